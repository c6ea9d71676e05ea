// What every kernel shares: bindings, the layout of rounds and decisions, and what is told of a distribution.
//
// The host puts these constants in front:
//   WG      invocations of a workgroup        N       most replicas
//   P       most points of the support        SCRATCH cells of `scratch`, at least 2·WG
//   BAND    relative error beyond which two weights differ for certain
// and then either `reduce_shared.wgsl` or `reduce_subgroup.wgsl`.

struct Params {
    rounds: u32,
    replicas: u32,
    faults: u32,
    objective: u32,
    in_words: u32,
    out_words: u32,
    quorums: u32,
    quorum_begin: u32,
    // Weight of b = 0 … 3 faulty replicas: 1/((f + 1)·C(n, b)), 0 beyond f.
    faulty_weights: vec4<f32>,
}

@group(0) @binding(0) var<uniform> params: Params;
// Likelihoods of each table over its largest, and priors over theirs.
@group(0) @binding(1) var<storage, read> cells: array<f32>;
// Base-2 logarithms of the same cells.
@group(0) @binding(2) var<storage, read> ln_cells: array<f32>;
// A header for each model.
@group(0) @binding(3) var<storage, read> models: array<u32>;
@group(0) @binding(4) var<storage, read> rounds: array<u32>;
// Every quorum of a size as bits of the replicas' positions, in lexicographic order.
@group(0) @binding(5) var<storage, read> quorums: array<u32>;
@group(0) @binding(6) var<storage, read_write> decisions: array<u32>;

const MARGINAL: u32 = 0u;
const EVIDENCE: u32 = 1u;
const JOINT: u32 = 2u;
const POSTERIOR: u32 = 3u;

const SOUND: u32 = 1u;
const QUORUM_CERTAIN: u32 = 2u;
const EVIDENCE_SOUND: u32 = 4u;
// Of two quorums that float32 cannot tell apart the first is told, and the other named.
const ONE_RIVAL: u32 = 8u;

// Weights below this share of the scale may have lost what matters.
const FAINT: f32 = 8.673617e-19; // 2^-60
const CODE_MISSING: u32 = 0xffffu;
const ROW_MISSING: u32 = 0xffffffffu;
// Words of a model's header before its replicas, and of each replica.
const HEADER: u32 = 4u;
const REPLICA: u32 = 7u;
// Words of a decision before the quorum's bits.
const FIELDS: u32 = 8u;

var<workgroup> scratch: array<f32, SCRATCH>;
// The weight of each grid point.
var<workgroup> weights: array<f32, P>;
// Where the replica's row begins in `cells`.
var<workgroup> row_start: array<u32, N>;

fn code_at(round_begin: u32, i: u32) -> u32 {
    return (rounds[round_begin + 1u + i / 2u] >> ((i & 1u) * 16u)) & 0xffffu;
}

fn row_of(replica_begin: u32, code: u32) -> u32 {
    let start = models[replica_begin] + models[replica_begin + 1u] * code;
    return select(start, ROW_MISSING, code == CODE_MISSING);
}

// Likelihood of what replica i showed at point x over the largest of its table; the same everywhere for a missing message.
fn cell(i: u32, x: u32) -> f32 {
    let start = row_start[i];
    if start == ROW_MISSING {
        return 1.0;
    }
    return cells[start + x];
}

// A prior mass that float32 cannot hold beside the largest is stored as a negative bound.
fn prior(prior_begin: u32, x: u32) -> f32 {
    return max(cells[prior_begin + x], 0.0);
}

// What the replica's likelihood is multiplied by if it is in (x) and if it is left out (y): neither is above 1, and their
// ratio is the largest likelihood of its table over its u.
fn sides(replica_begin: u32, code: u32) -> vec2<f32> {
    let at = replica_begin + select(3u, 5u, code == CODE_MISSING);
    return vec2<f32>(bitcast<f32>(models[at]), bitcast<f32>(models[at + 1u]));
}

// The first replica that was observed like replica i: of the same table with the same report.
fn twin_of(model: u32, round_begin: u32, i: u32) -> u32 {
    let code = code_at(round_begin, i);
    let table = models[model + HEADER + REPLICA * i + 2u];
    for (var j = 0u; j < i; j += 1u) {
        if code_at(round_begin, j) == code && models[model + HEADER + REPLICA * j + 2u] == table {
            return j;
        }
    }
    return i;
}

struct Report {
    // First and last point within BAND of the largest weight.
    first: u32,
    last: u32,
    low: u32,
    high: u32,
    total: f32,
    best: f32,
    mean: f32,
    sd: f32,
}

// The sum of `value` over the invocations before this one.
fn sum_before(lane: Lane, value: f32) -> f32 {
    workgroupBarrier();
    scratch[lane.index] = value;
    var begin = 0u;
    for (var reach = 1u; reach < WG; reach <<= 1u) {
        workgroupBarrier();
        var sum = scratch[begin + lane.index];
        if lane.index >= reach {
            sum += scratch[begin + lane.index - reach];
        }
        begin = WG - begin;
        scratch[begin + lane.index] = sum;
    }
    workgroupBarrier();
    let upto = scratch[begin + lane.index];
    workgroupBarrier();
    return upto - value;
}

// Of the distribution in `weights`; `tail` is what the credible interval leaves out on each side.
fn report(lane: Lane, points: u32, tail: f32) -> Report {
    var best = 0.0;
    var sums = vec2<f32>(0.0);
    for (var x = lane.index; x < points; x += WG) {
        let w = weights[x];
        best = max(best, w);
        sums += vec2<f32>(w, w * f32(x));
    }
    best = reduce_max(lane, vec2<f32>(best, 0.0)).x;
    sums = reduce_add(lane, sums);
    let mean = sums.y / sums.x;
    var ends = vec2<f32>(-1e9, 0.0);
    var spread = 0.0;
    for (var x = lane.index; x < points; x += WG) {
        let w = weights[x];
        let away = f32(x) - mean;
        spread += w * away * away;
        if w >= best * (1.0 - BAND) {
            ends = max(ends, vec2<f32>(-f32(x), f32(x)));
        }
    }
    ends = reduce_max(lane, ends);
    spread = reduce_add(lane, vec2<f32>(spread, 0.0)).x;
    let interval = credible(lane, points, sums.x, tail);
    return Report(
        u32(-ends.x), u32(ends.y), interval.x, interval.y,
        sums.x, best, mean, sqrt(spread / sums.x),
    );
}

// The least points whose cumulated weight reaches `tail` and 1 − `tail` of the total.
fn credible(lane: Lane, points: u32, total: f32, tail: f32) -> vec2<u32> {
    let chunk = (points + WG - 1u) / WG;
    let begin = min(lane.index * chunk, points);
    let to = min(begin + chunk, points);
    var own = 0.0;
    for (var x = begin; x < to; x += 1u) {
        own += weights[x];
    }
    var cumulated = sum_before(lane, own);
    let last = -f32(points - 1u);
    var found = vec2<f32>(last);
    for (var x = begin; x < to; x += 1u) {
        cumulated += weights[x];
        let here = -f32(x);
        if cumulated >= tail * total {
            found.x = max(found.x, here);
        }
        if cumulated >= (1.0 - tail) * total {
            found.y = max(found.y, here);
        }
    }
    found = reduce_max(lane, found);
    return vec2<u32>(u32(-found.x), u32(-found.y));
}

fn write_report(out: u32, told: Report, flags: u32, log2_evidence: f32) {
    decisions[out] = told.first | (told.low << 16u);
    decisions[out + 1u] = told.high | (flags << 16u);
    decisions[out + 2u] = 0xffffu;
    decisions[out + 3u] = told.last;
    decisions[out + 4u] = bitcast<u32>(log2_evidence);
    decisions[out + 5u] = bitcast<u32>(weights[told.first] / told.total);
    decisions[out + 6u] = bitcast<u32>(told.mean);
    decisions[out + 7u] = bitcast<u32>(told.sd);
}
