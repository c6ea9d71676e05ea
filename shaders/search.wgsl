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
    let tail = bitcast<f32>(models[model + 2u]);
    if lane.index < n {
        let replica = model + HEADER + REPLICA * lane.index;
        let code = code_at(round_from, lane.index);
        row_start[lane.index] = row_of(replica, code);
        factors[lane.index] = sides(replica, code);
        twins[lane.index] = twin_before(model, round_from, lane.index);
    }
    workgroupBarrier();
    if points <= TILE {
        load(lane, 0u, points, prior_from);
    }
    var best = -1.0;
    var second = -1.0;
    var winner = 0u;
    var faint = 0.0;
    for (var begin = 0u; begin < params.quorums; begin += WG) {
        let q = begin + lane.index;
        let quorum = quorums[params.quorum_from + min(q, params.quorums - 1u)];
        let scores = scores_of(lane, quorum, points, prior_from);
        var criterion = -1.0;
        let factor = factor_of(quorum);
        if q < params.quorums && factor >= 0.0 {
            criterion = criterion_of(scores, factor);
        }
        if criterion > best {
            second = best;
            best = criterion;
            winner = q;
            faint = select(0.0, 1.0, scores.sum < FAINT);
        } else {
            second = max(second, criterion);
        }
    }
    let top = reduce_max(lane, vec2<f32>(best, 0.0)).x;
    // Of equal ones the first.
    let found = reduce_max(lane, vec2<f32>(select(-1e9, -f32(winner), best == top), 0.0)).x;
    let mine = best == top && -f32(winner) == found;
    let rival = select(best, second, mine);
    let near = rival >= top * (1.0 - BAND);
    let doubts = reduce_max(lane, vec2<f32>(select(0.0, 1.0, near), select(0.0, faint, mine)));
    let quorum = quorums[params.quorum_from + u32(-found)];
    for (var x = lane.index; x < points; x += WG) {
        var product = prior(prior_from, x);
        for (var left = quorum; left != 0u; left &= left - 1u) {
            product *= cell(firstTrailingBit(left), x);
        }
        weights[x] = product;
    }
    workgroupBarrier();
    let told = report(lane, points, tail);
    if lane.index == 0u {
        var flags = decisions[out + 1u] >> 16u;
        if doubts.y != 0.0 || top < LEAST || told.best < FAINT {
            flags &= ~SOUND;
        }
        flags |= select(QUORUM_CERTAIN, 0u, doubts.x != 0.0) | EVIDENCE_SOUND;
        write_report(out, told, flags, log2(told.total) + log2(factor_of(quorum)));
        decisions[out + FIELDS] = quorum;
    }
}

fn twin_before(model: u32, round_from: u32, i: u32) -> u32 {
    let code = code_at(round_from, i);
    let table = models[model + HEADER + REPLICA * i + 2u];
    for (var j = i; j > 0u; j -= 1u) {
        let same_table = models[model + HEADER + REPLICA * (j - 1u) + 2u] == table;
        if same_table && code_at(round_from, j - 1u) == code {
            return 1u << (j - 1u);
        }
    }
    return 0u;
}

fn load(lane: Lane, tile: u32, points: u32, prior_from: u32) {
    for (var k = lane.index; k < (params.replicas + 1u) * VECTORS; k += WG) {
        let i = k / VECTORS;
        let v = k % VECTORS;
        let x = tile + v * 4u;
        if i == params.replicas {
            masses[v] = vec4<f32>(
                mass_at(prior_from, x, points), mass_at(prior_from, x + 1u, points),
                mass_at(prior_from, x + 2u, points), mass_at(prior_from, x + 3u, points),
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

fn mass_at(prior_from: u32, x: u32, points: u32) -> f32 {
    if x < points {
        return prior(prior_from, x);
    }
    return 0.0;
}

fn scores_of(lane: Lane, quorum: u32, points: u32, prior_from: u32) -> Scores {
    var sums = vec4<f32>(0.0);
    var tops = vec4<f32>(0.0);
    for (var tile = 0u; tile < points; tile += TILE) {
        if points > TILE {
            workgroupBarrier();
            load(lane, tile, points, prior_from);
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
