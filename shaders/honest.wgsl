// Which replicas are most likely honest, from each one's share of being faulty.

// For each replica the weight with which it is faulty; of twins the first one's.
var<workgroup> faulty: array<f32, N>;
// 1 for those chosen.
var<workgroup> chosen: array<u32, N>;

// Chooses the `size` replicas least likely faulty, the earlier of twins first, and says whether that stands beyond the
// error of the weights. `floor` is the weight of the probability below which replicas tie.
fn choose(lane: Lane, model: u32, round_begin: u32, size: u32, floor: f32) -> bool {
    let n = params.replicas;
    let i = lane.index;
    var own = 0.0;
    var twin = 0u;
    if i < n {
        twin = twin_of(model, round_begin, i);
        own = faulty[twin];
    }
    workgroupBarrier();
    if i < n {
        faulty[i] = own;
    }
    workgroupBarrier();
    if i < n {
        var rank = 0u;
        for (var j = 0u; j < n; j += 1u) {
            let other = faulty[j];
            rank += select(0u, 1u, other < own || (other == own && j < i));
        }
        chosen[i] = select(0u, 1u, rank < size);
    }
    workgroupBarrier();
    var doubts = 0.0;
    if i < n && chosen[i] == 0u {
        for (var j = 0u; j < n; j += 1u) {
            let other = faulty[j];
            let close = own - other <= floor + BAND * (own + other);
            if chosen[j] == 1u && close && twin_of(model, round_begin, j) != twin {
                doubts = 1.0;
            }
        }
    }
    return reduce_max(lane, vec2<f32>(doubts, 0.0)).x == 0.0;
}

fn write_honest(lane: Lane, out: u32, total: f32) {
    let n = params.replicas;
    let words = (n + 31u) / 32u;
    if lane.index < n {
        let p = 1.0 - faulty[lane.index] / total;
        decisions[out + FIELDS + words + lane.index] = bitcast<u32>(clamp(p, 0.0, 1.0));
    }
}

fn write_chosen(lane: Lane, out: u32) {
    let words = (params.replicas + 31u) / 32u;
    if lane.index < words {
        var bits = 0u;
        for (var b = 0u; b < 32u; b += 1u) {
            let i = lane.index * 32u + b;
            if i < params.replicas && chosen[i] == 1u {
                bits |= 1u << b;
            }
        }
        decisions[out + FIELDS + lane.index] = bits;
    }
}
