// The region: the hull of the most probable points over all quorums, in base-2 logarithms, since quorums of replicas far
// apart count as well. An invocation for each quorum; rows in workgroup memory, TILE points at a time. It comes last, and
// only adds the region to the decision.

const VECTORS: u32 = TILE / 4u;
const STRIDE: u32 = VECTORS + 1u;
// Stands for −∞; sums of 33 of them stay finite.
const IMPOSSIBLE: f32 = -1e30;
// Points within this (4e-5 in natural logarithms) of the maximum count as it; the first is taken.
const NEAR: f32 = 0.00006103515625; // 2^-14

var<workgroup> rows: array<vec4<f32>, N * STRIDE>;
var<workgroup> masses: array<vec4<f32>, VECTORS>;

// The largest logarithm so far, and where.
struct Peak {
    ln: f32,
    x: f32,
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
    if lane.index < n {
        let replica = model + HEADER + REPLICA * lane.index;
        row_start[lane.index] = row_of(replica, code_at(round_begin, lane.index));
    }
    workgroupBarrier();
    if points <= TILE {
        load(lane, model, 0u, points, prior_begin);
    }
    var hull = vec2<f32>(-1e9, -1.0);
    for (var begin = 0u; begin < params.quorums; begin += WG) {
        let q = begin + lane.index;
        let quorum = quorums[params.quorum_begin + min(q, params.quorums - 1u)];
        let peak = peak_of(lane, model, quorum, points, prior_begin);
        if peak >= 0.0 {
            hull = max(hull, vec2<f32>(-peak, peak));
        }
    }
    hull = reduce_max(lane, hull);
    if lane.index == 0u && hull.y >= 0.0 {
        decisions[out + 2u] = u32(-hull.x) | (u32(hull.y) << 16u);
    }
}

// The first of the most probable points; negative where the quorum is impossible.
fn peak_of(lane: Lane, model: u32, quorum: u32, points: u32, prior_begin: u32) -> f32 {
    var peak = Peak(0.5 * IMPOSSIBLE, -1.0);
    for (var tile = 0u; tile < points; tile += TILE) {
        if points > TILE {
            workgroupBarrier();
            load(lane, model, tile, points, prior_begin);
        }
        for (var v = 0u; v < VECTORS; v += 4u) {
            var a = masses[v];
            var b = masses[v + 1u];
            var c = masses[v + 2u];
            var d = masses[v + 3u];
            for (var left = quorum; left != 0u; left &= left - 1u) {
                let row = firstTrailingBit(left) * STRIDE + v;
                a += rows[row];
                b += rows[row + 1u];
                c += rows[row + 2u];
                d += rows[row + 3u];
            }
            let x = f32(tile + 4u * v);
            peak = four(four(four(four(peak, a, x), b, x + 4.0), c, x + 8.0), d, x + 12.0);
        }
    }
    return peak.x;
}

// A point that is higher by more than NEAR takes over.
fn higher(peak: Peak, ln: f32, x: f32) -> Peak {
    if ln > peak.ln + NEAR {
        return Peak(ln, x);
    }
    return peak;
}

fn four(peak: Peak, lns: vec4<f32>, x: f32) -> Peak {
    let two = higher(higher(peak, lns.x, x), lns.y, x + 1.0);
    return higher(higher(two, lns.z, x + 2.0), lns.w, x + 3.0);
}

fn load(lane: Lane, model: u32, tile: u32, points: u32, prior_begin: u32) {
    for (var k = lane.index; k < (params.replicas + 1u) * VECTORS; k += WG) {
        let i = k / VECTORS;
        let v = k % VECTORS;
        let x = tile + v * 4u;
        if i == params.replicas {
            masses[v] = vec4<f32>(
                ln_mass(prior_begin, x, points), ln_mass(prior_begin, x + 1u, points),
                ln_mass(prior_begin, x + 2u, points), ln_mass(prior_begin, x + 3u, points),
            );
        } else {
            let last = points - 1u;
            rows[i * STRIDE + v] = vec4<f32>(
                ln_cell(model, i, min(x, last)), ln_cell(model, i, min(x + 1u, last)),
                ln_cell(model, i, min(x + 2u, last)), ln_cell(model, i, min(x + 3u, last)),
            );
        }
    }
    workgroupBarrier();
}

fn ln_mass(prior_begin: u32, x: u32, points: u32) -> f32 {
    if x < points {
        return ln_cells[prior_begin + x];
    }
    return IMPOSSIBLE;
}

fn ln_cell(model: u32, i: u32, x: u32) -> f32 {
    let start = row_start[i];
    if start != ROW_MISSING {
        return ln_cells[start + x];
    }
    // The same for every point; all that counts is whether a missing message is possible.
    let possible = bitcast<f32>(models[model + HEADER + REPLICA * i + 5u]) > 0.0;
    return select(IMPOSSIBLE, 0.0, possible);
}
