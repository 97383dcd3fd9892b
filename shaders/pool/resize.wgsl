// pool/resize - another length n for the middle of x[outer, dim, inner], by the nearest element or linearly.
// nearest: y[o, j, i] = x[o, k, i], k = floor(j dim / n) or floor((j + 1/2) dim / n)
// linear:  y[o, j, i] = (1 - f) x[o, k, i] + f x[o, min(k + 1, dim - 1), i],
//          k + f = max((j + 1/2) dim / n - 1/2, 0) or j (dim - 1) / (n - 1)
// work item: one result (T = f32 or vec4f). traffic: 4 bytes per element of x and y.
//#include "common/index.wgsl"
//#include "pool/resize_weights.wgsl"

alias T = f32; // @param

struct Params { count: u32, dim: u32, n: u32, inner: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e >= p.count {
        return;
    }
    let i = e % p.inner;
    let base = e / p.inner / p.n * p.dim;
    let source = source_of(e / p.inner % p.n, p.dim, p.n);
    let low = x[(base + source.at) * p.inner + i];
    // Without a share in it, a NaN of the next element must not show.
    if RULE < 2u || source.fraction == 0.0 {
        y[e] = low;
        return;
    }
    let high = x[(base + min(source.at + 1u, p.dim - 1u)) * p.inner + i];
    y[e] = (1.0 - source.fraction) * low + source.fraction * high;
}
