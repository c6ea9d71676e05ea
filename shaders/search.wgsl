// The search over quorums for `evidence`, `joint` and `posterior`: an invocation for each quorum, which goes through the
// grid points; the rows lie in workgroup memory, TILE points (a multiple of 16) at a time. It comes after a kernel of the
// `marginal` model, whose flags it reads. At most 32 replicas.

const VECTORS: u32 = TILE / 4u;
const STRIDE: u32 = VECTORS + 1u;
// The best criterion is to be far above what products may have lost.
const LEAST: f32 = 7.888609e-31; // 2^-100

var<workgroup> rows: array<vec4<f32>, N * STRIDE>;
var<workgroup> masses: array<vec4<f32>, VECTORS>;
var<workgroup> factors: array<vec2<f32>, N>;
// The replica before this one that was observed like it, as a bit; 0 where there is none.
var<workgroup> twins: array<u32, N>;

// Sum and maximum over the grid of prior times likelihoods.
struct Scores {
    sum: f32,
    top: f32,
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
        twins[lane.index] = twin_before(model, round_begin, lane.index);
    }
    workgroupBarrier();
    if points <= TILE {
        load(lane, 0u, points, prior_begin);
    }
    var nearest = Nearest(vec3<f32>(-1.0), vec2<u32>(0u));
    for (var begin = 0u; begin < params.quorums; begin += WG) {
        let q = begin + lane.index;
        let quorum = quorums[params.quorum_begin + min(q, params.quorums - 1u)];
        let scores = scores_of(lane, quorum, points, prior_begin);
        let factor = factor_of(quorum);
        if q < params.quorums && factor >= 0.0 {
            nearest = joined(nearest, criterion_of(scores, factor), q);
        }
    }
    let found = gather(lane, nearest);
    let quorum = quorums[params.quorum_begin + found.first];
    for (var x = lane.index; x < points; x += WG) {
        var product = prior(prior_begin, x);
        for (var left = quorum; left != 0u; left &= left - 1u) {
            product *= cell(firstTrailingBit(left), x);
        }
        weights[x] = product;
    }
    workgroupBarrier();
    let told = report(lane, points, tail);
    if lane.index == 0u {
        var flags = (decisions[out + 1u] >> 16u) | EVIDENCE_SOUND;
        if found.top < LEAST || told.best < FAINT {
            flags &= ~SOUND;
        }
        flags |= select(0u, QUORUM_CERTAIN, found.count == 1u);
        flags |= select(0u, ONE_RIVAL, found.count == 2u && found.last <= 0xffffu);
        write_report(out, told, flags, log2(told.total) + log2(factor_of(quorum)));
        decisions[out + 3u] |= found.last << 16u;
        decisions[out + FIELDS] = quorum;
    }
}

// The three largest criteria that an invocation has seen, and the quorums of the first two.
struct Nearest {
    criteria: vec3<f32>,
    quorums: vec2<u32>,
}

fn joined(nearest: Nearest, criterion: f32, q: u32) -> Nearest {
    let c = nearest.criteria;
    if criterion > c.x {
        return Nearest(vec3<f32>(criterion, c.xy), vec2<u32>(q, nearest.quorums.x));
    }
    if criterion > c.y {
        return Nearest(vec3<f32>(c.x, criterion, c.y), vec2<u32>(nearest.quorums.x, q));
    }
    return Nearest(vec3<f32>(c.xy, max(c.z, criterion)), nearest.quorums);
}

// The quorums within BAND of the largest criterion: the first and the last of them, and how many (3 or more: too many).
struct Found {
    top: f32,
    first: u32,
    last: u32,
    count: u32,
}

fn gather(lane: Lane, nearest: Nearest) -> Found {
    let top = reduce_max(lane, vec2<f32>(nearest.criteria.x, 0.0)).x;
    let near = nearest.criteria >= vec3<f32>(top * (1.0 - BAND));
    let q = vec2<f32>(nearest.quorums);
    var ends = vec2<f32>(-1e9, -1e9);
    if near.x {
        ends = vec2<f32>(-q.x, q.x);
    }
    if near.y {
        ends = max(ends, vec2<f32>(-q.y, q.y));
    }
    ends = reduce_max(lane, ends);
    let mine = select(0.0, 1.0, near.x) + select(0.0, 1.0, near.y) + select(0.0, 1.0, near.z);
    let count = reduce_add(lane, vec2<f32>(mine, 0.0)).x;
    return Found(top, u32(-ends.x), u32(ends.y), u32(count));
}

fn twin_before(model: u32, round_begin: u32, i: u32) -> u32 {
    let code = code_at(round_begin, i);
    let table = models[model + HEADER + REPLICA * i + 2u];
    for (var j = i; j > 0u; j -= 1u) {
        let same_table = models[model + HEADER + REPLICA * (j - 1u) + 2u] == table;
        if same_table && code_at(round_begin, j - 1u) == code {
            return 1u << (j - 1u);
        }
    }
    return 0u;
}

fn load(lane: Lane, tile: u32, points: u32, prior_begin: u32) {
    for (var k = lane.index; k < (params.replicas + 1u) * VECTORS; k += WG) {
        let i = k / VECTORS;
        let v = k % VECTORS;
        let x = tile + v * 4u;
        if i == params.replicas {
            masses[v] = vec4<f32>(
                mass_at(prior_begin, x, points), mass_at(prior_begin, x + 1u, points),
                mass_at(prior_begin, x + 2u, points), mass_at(prior_begin, x + 3u, points),
            );
        } else {
            let last = points - 1u;
            rows[i * STRIDE + v] = vec4<f32>(
                cell(i, min(x, last)), cell(i, min(x + 1u, last)),
                cell(i, min(x + 2u, last)), cell(i, min(x + 3u, last)),
            );
        }
    }
    workgroupBarrier();
}

fn mass_at(prior_begin: u32, x: u32, points: u32) -> f32 {
    if x < points {
        return prior(prior_begin, x);
    }
    return 0.0;
}

fn scores_of(lane: Lane, quorum: u32, points: u32, prior_begin: u32) -> Scores {
    var sums = vec4<f32>(0.0);
    var tops = vec4<f32>(0.0);
    for (var tile = 0u; tile < points; tile += TILE) {
        if points > TILE {
            workgroupBarrier();
            load(lane, tile, points, prior_begin);
        }
        for (var v = 0u; v < VECTORS; v += 4u) {
            var a = masses[v];
            var b = masses[v + 1u];
            var c = masses[v + 2u];
            var d = masses[v + 3u];
            for (var left = quorum; left != 0u; left &= left - 1u) {
                let row = firstTrailingBit(left) * STRIDE + v;
                a *= rows[row];
                b *= rows[row + 1u];
                c *= rows[row + 2u];
                d *= rows[row + 3u];
            }
            sums += (a + b) + (c + d);
            tops = max(tops, max(max(a, b), max(c, d)));
        }
    }
    let top = max(tops.xy, tops.zw);
    return Scores((sums.x + sums.y) + (sums.z + sums.w), max(top.x, top.y));
}

// Of replicas in and left out, without their rows. Negative where the quorum does not count: where one of its missing
// messages is impossible, and of quorums that differ by an exchange of twins for all but the one with the first of them,
// which comes first.
fn factor_of(quorum: u32) -> f32 {
    var factor = 1.0;
    var counts = true;
    for (var i = 0u; i < params.replicas; i += 1u) {
        let sides = factors[i];
        let inside = ((quorum >> i) & 1u) == 1u;
        factor *= select(sides.y, sides.x, inside);
        counts = counts && !(inside && ((twins[i] & ~quorum) != 0u || sides.x == 0.0));
    }
    return select(-1.0, factor, counts);
}

// Where float32 has lost too much, what the criterion may be at most.
fn criterion_of(scores: Scores, factor: f32) -> f32 {
    if params.objective == EVIDENCE {
        return max(scores.sum, FAINT) * factor;
    }
    if params.objective == JOINT {
        return max(scores.top, FAINT) * factor;
    }
    return select(scores.top / scores.sum, 1.0, scores.sum < FAINT);
}
