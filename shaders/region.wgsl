// The region: the hull of the most probable points over all quorums, in base-2 logarithms, since quorums of replicas far
// apart count as well. An invocation for each quorum; rows in workgroup memory, TILE points at a time. It comes last, and
// only adds the region to the decision.

const STRIDE: u32 = TILE + 1u;
// Stands for −∞; sums of 33 of them stay finite.
const IMPOSSIBLE: f32 = -1e30;
// Points within this (1.7e-4 in natural logarithms) of the maximum count as it; the first is taken.
const NEAR: f32 = 0.000244140625; // 2^-12

var<workgroup> rows: array<f32, N * STRIDE>;
var<workgroup> masses: array<f32, TILE>;

@compute @workgroup_size(WG)
fn main(lane: Lane) {
    let round = round_of(lane);
    if round >= params.rounds {
        return;
    }
    let n = params.replicas;
    let round_from = round * params.in_words;
    let out = round * params.out_words;
    let model = rounds[round_from];
    let points = models[model];
    let prior_from = models[model + 1u];
    if lane.index < n {
        let replica = model + HEADER + REPLICA * lane.index;
        row_start[lane.index] = row_of(replica, code_at(round_from, lane.index));
    }
    workgroupBarrier();
    if points <= TILE {
        load(lane, model, 0u, points, prior_from);
    }
    var hull = vec2<f32>(-1e9, -1.0);
    for (var begin = 0u; begin < params.quorums; begin += WG) {
        let q = begin + lane.index;
        let quorum = quorums[params.quorum_from + min(q, params.quorums - 1u)];
        let peak = peak_of(lane, model, quorum, points, prior_from);
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
fn peak_of(lane: Lane, model: u32, quorum: u32, points: u32, prior_from: u32) -> f32 {
    var best = IMPOSSIBLE;
    var peak = -1.0;
    for (var tile = 0u; tile < points; tile += TILE) {
        if points > TILE {
            workgroupBarrier();
            load(lane, model, tile, points, prior_from);
        }
        for (var v = 0u; v < min(TILE, points - tile); v += 1u) {
            var sum = masses[v];
            for (var left = quorum; left != 0u; left &= left - 1u) {
                sum += rows[firstTrailingBit(left) * STRIDE + v];
            }
            if sum > max(best + NEAR, 0.5 * IMPOSSIBLE) {
                best = sum;
                peak = f32(tile + v);
            }
        }
    }
    return peak;
}

fn load(lane: Lane, model: u32, tile: u32, points: u32, prior_from: u32) {
    for (var k = lane.index; k < (params.replicas + 1u) * TILE; k += WG) {
        let i = k / TILE;
        let v = k % TILE;
        let x = min(tile + v, points - 1u);
        if i == params.replicas {
            masses[v] = ln_cells[prior_from + x];
        } else {
            rows[i * STRIDE + v] = ln_cell(model, i, x);
        }
    }
    workgroupBarrier();
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
