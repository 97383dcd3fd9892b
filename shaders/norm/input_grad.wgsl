// norm/input_grad - the cotangent through group norm to its input.
// dx = scale (g - mean(g) - xhat mean(g xhat)), g = gamma (cotangent of z), means over the group
// work item: pixels DOWN apart. traffic: 12 bytes per element; later readings of a block come from the cache.
//#include "norm/group.wgsl"

@group(0) @binding(4) var<storage, read> ct: array<T>; // @texels
@group(0) @binding(5) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) invocation: u32) {
    let block = block_of(linear_group(group, groups), invocation);
    let local = invocation % WIDTH;
    if block >= p.count {
        return;
    }
    let channel = block % p.blocks * SPAN;
    let base = block / p.blocks * p.pixels * p.stride + channel;
    let m = moments(base, local);
    var sum = T(0.0);
    var along = T(0.0);
    for (var j = local % ACROSS; j < SPAN; j += ACROSS) {
        let f = affine_at(channel + j);
        for (var i = local / ACROSS; i < p.pixels; i += DOWN) {
            let at = base + i * p.stride + j;
            let xhat = normalise(x[at], m);
            let g = f.gain * act_vjp(f.gain * xhat + f.bias, ct[at]);
            sum += g;
            along += g * xhat;
        }
    }
    let sums = total(sum, along, local, 1u);
    let mean_g = fold(sums.a) * p.inverse;
    let mean_along = fold(sums.b) * p.inverse;
    for (var j = local % ACROSS; j < SPAN; j += ACROSS) {
        let f = affine_at(channel + j);
        for (var i = local / ACROSS; i < p.pixels; i += DOWN) {
            let at = base + i * p.stride + j;
            let xhat = normalise(x[at], m);
            let g = f.gain * act_vjp(f.gain * xhat + f.bias, ct[at]);
            dx[at] = m.scale * (g - mean_g - xhat * mean_along);
        }
    }
}
