// Reductions over a workgroup through workgroup memory.

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(workgroup_id) group: vec3<u32>,
}

fn reduce_add(lane: Lane, value: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    scratch[lane.index] = value.x;
    scratch[WG + lane.index] = value.y;
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane.index < half {
            scratch[lane.index] += scratch[lane.index + half];
            scratch[WG + lane.index] += scratch[WG + lane.index + half];
        }
    }
    workgroupBarrier();
    let sum = vec2<f32>(scratch[0], scratch[WG]);
    workgroupBarrier();
    return sum;
}

fn reduce_max(lane: Lane, value: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    scratch[lane.index] = value.x;
    scratch[WG + lane.index] = value.y;
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane.index < half {
            scratch[lane.index] = max(scratch[lane.index], scratch[lane.index + half]);
            scratch[WG + lane.index] = max(scratch[WG + lane.index], scratch[WG + lane.index + half]);
        }
    }
    workgroupBarrier();
    let top = vec2<f32>(scratch[0], scratch[WG]);
    workgroupBarrier();
    return top;
}
