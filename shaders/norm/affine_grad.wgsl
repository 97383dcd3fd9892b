// norm/affine_grad - the cotangents of gamma and beta, one image at a time.
// d[n, 0, c] = sum over pixels of ct_z xhat, d[n, 1, c] = sum over pixels of ct_z, ct_z the cotangent of z
// work item: pixels DOWN apart. traffic: 8 bytes per element.
//#include "norm/group.wgsl"

@group(0) @binding(4) var<storage, read> ct: array<T>; // @texels
@group(0) @binding(5) var<storage, read_write> d: array<T>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) invocation: u32) {
    let g = block_of(linear_group(group, groups), invocation);
    let local = invocation % WIDTH;
    if g >= p.count {
        return;
    }
    let channel = g % p.blocks * SPAN;
    let image = g / p.blocks;
    let base = image * p.pixels * p.stride + channel;
    let m = moments(base, local);
    // Every lane makes the same number of rounds, because the sums have barriers.
    for (var k = 0u; k < SPAN; k += ACROSS) {
        let j = k + local % ACROSS;
        var along = T(0.0);
        var sum = T(0.0);
        if j < SPAN {
            let f = affine_at(channel + j);
            for (var i = local / ACROSS; i < p.pixels; i += DOWN) {
                let at = base + i * p.stride + j;
                let xhat = normalise(x[at], m);
                let t = act_vjp(f.gain * xhat + f.bias, ct[at]);
                along += t * xhat;
                sum += t;
            }
        }
        let sums = total(along, sum, local, ACROSS);
        if local < ACROSS && j < SPAN {
            d[2u * image * p.stride + channel + j] = sums.a;
            d[(2u * image + 1u) * p.stride + channel + j] = sums.b;
        }
    }
}
