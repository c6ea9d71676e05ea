// The `marginal` model with any number of faulty replicas below J: an invocation for each grid point and each number j of
// replicas left out, WG/J points at a time. SCRATCH is at least (BLOCK + 1)·WG.
//
// With r = exp L/u of replica i at point x, h = min(r, 1), w = min(1/r, 1), and e_j the mean over the subsets of j of the
// first i replicas (E_j over C(i, j), so that nothing grows):
//   e_j ← ((i + 1 − j)·h·e_j + j·w·e_{j−1})/(i + 1),  i = 0 … n − 1
// and from the weights 1/(f + 1) backwards, with the C(i, j) taken in,
//   a_j ← ((i + 1 − j)·h·a_j + (j + 1)·w·a_{j+1})/(i + 1).
// What replica i adds to being faulty is Σ_j e_j·(j + 1)·w·a_{j+1}/(i + 1), e from before i and a from after it. The product
// of max(r, 1) is kept apart, as mantissa and exponent.

const BLOCK: u32 = 8u;
const POINTS: u32 = WG / J;
// Weights below this share of the largest change nothing.
const NOTHING: f32 = 9.094947e-13; // 2^-40
// Sums below this may have lost what matters.
const LOST: f32 = 2.524355e-29; // 2^-95
// A prior mass that float32 cannot hold beside the largest is at most this.
const LN_FLUSHED: f32 = -100.0;

// Sums before every SPACING-th replica.
var<workgroup> marks: array<f32, (N / SPACING) * WG>;
var<workgroup> exponents: array<i32, P>;
// exp L/u of each replica where its likelihood is largest.
var<workgroup> ratios: array<f32, N>;

// A positive number m·2^e with m in [1, 2), or 0.
struct Wide {
    m: f32,
    e: i32,
}

fn normal(value: Wide) -> Wide {
    if value.m == 0.0 {
        return Wide(0.0, 0);
    }
    let bits = bitcast<u32>(value.m);
    let e = i32(bits >> 23u) - 127;
    return Wide(bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u), value.e + e);
}

fn times(a: Wide, b: f32) -> Wide {
    return normal(Wide(a.m * b, a.e));
}

// 2^e for e from −126 to 127; 0 below.
fn power(e: i32) -> f32 {
    return select(bitcast<f32>(u32(clamp(e, -126, 127) + 127) << 23u), 0.0, e < -126);
}

// This invocation's point of a group and number of replicas left out.
struct Cell {
    x: u32,
    inside: bool,
    j: u32,
}

fn ratio(i: u32, x: u32) -> f32 {
    return cell(i, x) * ratios[i];
}

fn in_factor(r: f32) -> f32 {
    return min(r, 1.0);
}

fn out_factor(r: f32) -> f32 {
    return select(1.0, 1.0 / r, r > 1.0);
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
        let factor = sides(replica, code);
        ratios[lane.index] = factor.x / factor.y;
        faulty[lane.index] = 0.0;
    }
    workgroupBarrier();
    let trusted = weigh(lane, points, prior_begin);
    let top = common_scale(lane, points);
    for (var begin = 0u; begin < points; begin += POINTS) {
        if matters(begin, points) {
            shares(lane, begin, points, prior_begin, top);
        }
    }
    let told = report(lane, points, tail);
    write_honest(lane, out, told.total);
    let sound = select(0u, SOUND, told.best > 0.0 && trusted - f32(top) < log2(told.best) - 40.0);
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
            | select(0u, EVIDENCE_SOUND, evidence > -1e9);
        write_report(out, told, flags, evidence);
    }
}

fn cell_of(lane: Lane, begin: u32, points: u32) -> Cell {
    let x = begin + lane.index / J;
    return Cell(min(x, points - 1u), x < points, lane.index % J);
}

// One step of the recurrence; `slot` is a stretch of `scratch` that no invocation still reads.
fn forward(lane: Lane, at: Cell, e: f32, i: u32, slot: u32) -> f32 {
    scratch[slot * WG + lane.index] = e;
    workgroupBarrier();
    var left = 0.0;
    if at.j > 0u {
        left = scratch[slot * WG + lane.index - 1u];
    }
    let r = ratio(i, at.x);
    let kept = f32(i + 1u) - f32(at.j);
    return (max(kept, 0.0) * in_factor(r) * e + f32(at.j) * out_factor(r) * left) / f32(i + 1u);
}

// The weight of every grid point, mantissa and exponent apart; gives the logarithm of the most that may have been lost.
fn weigh(lane: Lane, points: u32, prior_begin: u32) -> f32 {
    var lost = -1e9;
    for (var begin = 0u; begin < points; begin += POINTS) {
        let at = cell_of(lane, begin, points);
        var e = select(0.0, 1.0, at.j == 0u);
        var scale = Wide(1.0, 0);
        for (var i = 0u; i < params.replicas; i += 1u) {
            e = forward(lane, at, e, i, i % BLOCK);
            scale = times(scale, max(ratio(i, at.x), 1.0));
        }
        workgroupBarrier();
        scratch[lane.index] = select(0.0, e, at.j <= params.faults);
        workgroupBarrier();
        if at.j == 0u && at.inside {
            var sum = 0.0;
            for (var b = 0u; b <= params.faults; b += 1u) {
                sum += scratch[lane.index + b];
            }
            sum /= f32(params.faults + 1u);
            let mass = cells[prior_begin + at.x];
            let held = max(mass, 0.0);
            let weight = times(normal(Wide(scale.m * sum, scale.e)), held);
            weights[at.x] = weight.m;
            exponents[at.x] = select(weight.e, -1000000, weight.m == 0.0);
            let ln_scale = log2(scale.m) + f32(scale.e);
            if sum < LOST && held > 0.0 {
                lost = max(lost, ln_scale + log2(held) - 95.0);
            }
            if mass < 0.0 {
                lost = max(lost, ln_scale + LN_FLUSHED);
            }
        }
        workgroupBarrier();
    }
    return reduce_max(lane, vec2<f32>(lost, 0.0)).x;
}

// Brings the weights to one scale, the largest near 1; gives its exponent.
fn common_scale(lane: Lane, points: u32) -> i32 {
    var top = -1e6;
    for (var x = lane.index; x < points; x += WG) {
        top = max(top, f32(exponents[x]));
    }
    top = reduce_max(lane, vec2<f32>(top, 0.0)).x;
    for (var x = lane.index; x < points; x += WG) {
        weights[x] *= power(exponents[x] - i32(top));
    }
    workgroupBarrier();
    return i32(top);
}

fn matters(begin: u32, points: u32) -> bool {
    var most = 0.0;
    for (var x = begin; x < min(begin + POINTS, points); x += 1u) {
        most = max(most, weights[x]);
    }
    return most >= NOTHING;
}

// Adds to `faulty` what each replica adds at this group's points.
fn shares(lane: Lane, begin: u32, points: u32, prior_begin: u32, top: i32) {
    let n = params.replicas;
    let at = cell_of(lane, begin, points);
    var e = select(0.0, 1.0, at.j == 0u);
    var scale = Wide(1.0, -top);
    for (var i = 0u; i < n; i += 1u) {
        if i % SPACING == 0u {
            marks[(i / SPACING) * WG + lane.index] = e;
        }
        e = forward(lane, at, e, i, i % BLOCK);
        scale = times(scale, max(ratio(i, at.x), 1.0));
    }
    var mass = 0.0;
    if at.inside {
        scale = times(scale, prior(prior_begin, at.x));
        mass = scale.m * power(scale.e);
    }
    var after = select(0.0, 1.0 / f32(params.faults + 1u), at.j <= params.faults);
    for (var blocks = (n + BLOCK - 1u) / BLOCK; blocks > 0u; blocks -= 1u) {
        let first = (blocks - 1u) * BLOCK;
        workgroupBarrier();
        before_block(lane, at, first);
        after = block(lane, at, first, after, mass);
        gather(lane, first);
    }
}

// Leaves in stretch s of `scratch` the sums before replica `first` + s.
fn before_block(lane: Lane, at: Cell, first: u32) {
    let mark = first / SPACING;
    var e = marks[mark * WG + lane.index];
    for (var i = mark * SPACING; i < first; i += 1u) {
        e = forward(lane, at, e, i, i % BLOCK);
    }
    workgroupBarrier();
    for (var i = first; i < min(first + BLOCK, params.replicas); i += 1u) {
        e = forward(lane, at, e, i, i - first);
    }
    workgroupBarrier();
}

// Backwards through the block. In stretch s + 1 stays what replica `first` + s adds.
fn block(lane: Lane, at: Cell, first: u32, start: f32, mass: f32) -> f32 {
    var after = start;
    for (var i = min(first + BLOCK, params.replicas); i > first; i -= 1u) {
        let slot = i - 1u - first;
        let before = scratch[slot * WG + lane.index];
        scratch[slot * WG + lane.index] = after;
        workgroupBarrier();
        var more = 0.0;
        if at.j + 1u < J {
            more = scratch[slot * WG + lane.index + 1u];
        }
        let r = ratio(i - 1u, at.x);
        let left_out = f32(at.j + 1u) * out_factor(r) * more / f32(i);
        scratch[(slot + 1u) * WG + lane.index] = before * left_out * mass;
        after = max(f32(i) - f32(at.j), 0.0) * in_factor(r) * after / f32(i) + left_out;
    }
    workgroupBarrier();
    return after;
}

// Adds up the invocations' parts of the block's replicas.
fn gather(lane: Lane, first: u32) {
    let parts = WG / BLOCK;
    let s = lane.index / parts;
    let part = lane.index % parts;
    let live = first + s < params.replicas;
    var sum = 0.0;
    for (var k = 0u; k < BLOCK; k += 1u) {
        sum += select(0.0, scratch[(s + 1u) * WG + part * BLOCK + k], live);
    }
    scratch[lane.index] = sum;
    workgroupBarrier();
    if lane.index < BLOCK && first + lane.index < params.replicas {
        var all = faulty[first + lane.index];
        for (var p = 0u; p < parts; p += 1u) {
            all += scratch[lane.index * parts + p];
        }
        faulty[first + lane.index] = all;
    }
    workgroupBarrier();
}

// Base-2 logarithm of the chosen quorum's evidence over the product of all u.
fn evidence_of_chosen(lane: Lane, points: u32, prior_begin: u32) -> f32 {
    var top = -1e6;
    for (var turn = 0u; turn < 2u; turn += 1u) {
        var sum = 0.0;
        var most = -1e6;
        for (var x = lane.index; x < points; x += WG) {
            var product = normal(Wide(prior(prior_begin, x), 0));
            for (var i = 0u; i < params.replicas; i += 1u) {
                if chosen[i] == 1u {
                    product = times(product, ratio(i, x));
                }
            }
            if product.m > 0.0 {
                most = max(most, f32(product.e));
                sum += product.m * power(product.e - i32(top));
            }
        }
        if turn == 0u {
            top = reduce_max(lane, vec2<f32>(most, 0.0)).x;
        } else {
            let total = reduce_add(lane, vec2<f32>(sum, 0.0)).x;
            if total > 0.0 {
                return log2(total) + top;
            }
        }
    }
    return -1e10;
}
