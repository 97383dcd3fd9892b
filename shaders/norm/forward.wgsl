// norm/forward - group norm with optional gamma, beta and silu: y, as in norm/group.wgsl.
// work item: pixels DOWN apart. traffic: 8 bytes per element; the second reading of a block comes from the cache.
//#include "norm/group.wgsl"

@group(0) @binding(4) var<storage, read_write> y: array<T>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) invocation: u32) {
    let g = block_of(linear_group(group, groups), invocation);
    let local = invocation % WIDTH;
    if g >= p.count {
        return;
    }
    let channel = g % p.blocks * SPAN;
    let base = g / p.blocks * p.pixels * p.stride + channel;
    let m = moments(base, local);
    for (var j = local % ACROSS; j < SPAN; j += ACROSS) {
        let f = affine_at(channel + j);
        for (var i = local / ACROSS; i < p.pixels; i += DOWN) {
            let at = base + i * p.stride + j;
            y[at] = activate(f.gain * normalise(x[at], m) + f.bias);
        }
    }
}
