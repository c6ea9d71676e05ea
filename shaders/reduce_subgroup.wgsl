// Reductions over a workgroup by subgroup operations; the few subgroups meet in workgroup memory.

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

fn share(lane: Lane, part: vec2<f32>) {
    workgroupBarrier();
    if lane.place == 0u {
        scratch[lane.subgroup] = part.x;
        scratch[WG + lane.subgroup] = part.y;
    }
    workgroupBarrier();
}

fn reduce_add(lane: Lane, value: vec2<f32>) -> vec2<f32> {
    share(lane, subgroupAdd(value));
    var sum = vec2<f32>(0.0);
    for (var s = 0u; s < lane.subgroups; s += 1u) {
        sum += vec2<f32>(scratch[s], scratch[WG + s]);
    }
    workgroupBarrier();
    return sum;
}

fn reduce_max(lane: Lane, value: vec2<f32>) -> vec2<f32> {
    share(lane, subgroupMax(value));
    var top = vec2<f32>(scratch[0], scratch[WG]);
    for (var s = 1u; s < lane.subgroups; s += 1u) {
        top = max(top, vec2<f32>(scratch[s], scratch[WG + s]));
    }
    workgroupBarrier();
    return top;
}
