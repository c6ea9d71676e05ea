// The `marginal` model with at most three faulty replicas: an invocation for each grid point, which holds the sums over
// subsets of 0 … 3 replicas left out in one vector. SCRATCH is at least N·(WG + 1).
//
// E_j ← E_j·h_i + E_{j−1}·w_i with h_i = likelihood·in and w_i = out, all at most 1.

// Factors of each replica if it is in and if it is left out.
var<workgroup> factors: array<vec2<f32>, N>;

fn forward(e: vec4<f32>, h: f32, w: f32) -> vec4<f32> {
    return e * h + vec4<f32>(0.0, e.xyz) * w;
}

@compute @workgroup_size(WG)
fn main(lane: Lane) {
    let round = lane.group.x;
    let n = params.replicas;
    let round_begin = round * params.in_words;
    let out = round * params.out_words;
    let model = rounds[round_begin];
    let points = models[model];
    let prior_begin = models[model + 1u];
    let tail = bitcast<f32>(models[model + 2u]);
    if lane.index < n {
        let replica = model + HEADER + REPLICA * lane.index;
        let code = code_at(round_begin, lane.index);
        row_start[lane.index] = row_of(replica, code);
        factors[lane.index] = sides(replica, code);
        faulty[lane.index] = 0.0;
    }
    workgroupBarrier();
    for (var tile = 0u; tile < points; tile += WG) {
        columns(lane, tile, points, prior_begin);
        gather(lane);
    }
    let told = report(lane, points, tail);
    write_honest(lane, out, told.total);
    let sound = select(0u, SOUND, told.best >= FAINT);
    if params.objective != MARGINAL {
        if lane.index == 0u {
            decisions[out + 1u] = sound << 16u;
        }
        return;
    }
    let certain = choose(lane, model, round_begin, n - params.faults, 2e-9 * told.total);
    let evidence = evidence_of_chosen(lane, points, prior_begin);
    write_chosen(lane, out);
    if lane.index == 0u {
        let flags = sound | select(0u, QUORUM_CERTAIN, certain)
            | select(0u, EVIDENCE_SOUND, evidence >= FAINT);
        write_report(out, told, flags, log2(evidence));
    }
}

// The recurrences of this invocation's grid point of the tile. Leaves in `scratch` what each replica adds to being faulty.
fn columns(lane: Lane, tile: u32, points: u32, prior_begin: u32) {
    let n = params.replicas;
    let x = tile + lane.index;
    var mass = 0.0;
    if x < points {
        mass = prior(prior_begin, x);
    }
    let at = min(x, points - 1u);
    var e = vec4<f32>(1.0, 0.0, 0.0, 0.0);
    for (var i = 0u; i < n; i += 1u) {
        let factor = factors[i];
        let h = cell(i, at) * factor.x;
        scratch[i * (WG + 1u) + lane.index] = h;
        e = forward(e, h, factor.y);
    }
    if x < points {
        weights[x] = mass * dot(e, params.faulty_weights);
    }
    // Sums over the replicas after i with the weights, by how many were left out up to i.
    var after = params.faulty_weights;
    for (var i = n; i > 0u; i -= 1u) {
        let place = (i - 1u) * (WG + 1u) + lane.index;
        let h = scratch[place];
        let w = factors[i - 1u].y;
        var before = vec4<f32>(1.0, 0.0, 0.0, 0.0);
        for (var k = 0u; k + 1u < i; k += 1u) {
            before = forward(before, scratch[k * (WG + 1u) + lane.index], factors[k].y);
        }
        let left_out = vec4<f32>(after.yzw, 0.0) * w;
        scratch[place] = mass * dot(before, left_out);
        after = after * h + left_out;
    }
}

// Adds up what the invocations found, replica by replica.
fn gather(lane: Lane) {
    let n = params.replicas;
    workgroupBarrier();
    let parts = WG / N;
    let span = (WG + parts - 1u) / parts;
    let i = lane.index / parts;
    let begin = (lane.index % parts) * span;
    var sum = 0.0;
    if i < n {
        for (var l = begin; l < min(begin + span, WG); l += 1u) {
            sum += scratch[i * (WG + 1u) + l];
        }
    }
    workgroupBarrier();
    scratch[lane.index] = sum;
    workgroupBarrier();
    if lane.index < n {
        var all = faulty[lane.index];
        for (var part = 0u; part < parts; part += 1u) {
            all += scratch[lane.index * parts + part];
        }
        faulty[lane.index] = all;
    }
    workgroupBarrier();
}

fn evidence_of_chosen(lane: Lane, points: u32, prior_begin: u32) -> f32 {
    var sum = 0.0;
    for (var x = lane.index; x < points; x += WG) {
        var product = prior(prior_begin, x);
        for (var i = 0u; i < params.replicas; i += 1u) {
            let factor = factors[i];
            product *= select(factor.y, cell(i, x) * factor.x, chosen[i] == 1u);
        }
        sum += product;
    }
    return reduce_add(lane, vec2<f32>(sum, 0.0)).x;
}
