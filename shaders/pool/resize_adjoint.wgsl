// pool/resize_adjoint - every resized element gives back what it took: the adjoint of pool/resize.
// y[o, k, i] = sum_j weight(j, k) x[o, j, i], over the positions j < n that may read element k < dim
// work item: one result (T = f32 or vec4f). traffic: 4 bytes per element of y, 4 to 8 per element of x.
//#include "common/index.wgsl"
//#include "pool/resize_weights.wgsl"

alias T = f32; // @param

struct Params { count: u32, dim: u32, n: u32, inner: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

// How much of element k position j takes.
fn weight(j: u32, k: u32) -> f32 {
    let source = source_of(j, p.dim, p.n);
    let high = min(source.at + 1u, p.dim - 1u);
    return select(0.0, 1.0 - source.fraction, source.at == k) + select(0.0, source.fraction, high == k);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e >= p.count {
        return;
    }
    let i = e % p.inner;
    let base = e / p.inner / p.dim * p.n;
    let k = e / p.inner % p.dim;
    // Positions that read k - 1, k or k + 1 surely include all that read k.
    var first = select(0u, (k - 1u) * p.n / p.dim, k > 0u);
    var last = min((k + 2u) * p.n / p.dim + 1u, p.n);
    if RULE == 3u {
        let steps = max(p.dim - 1u, 1u);
        first = select(0u, (k - 1u) * (p.n - 1u) / steps, k > 0u);
        last = select(p.n, min((k + 1u) * (p.n - 1u) / steps + 1u, p.n), p.dim > 1u);
    }
    var sum = T(0.0);
    for (var j = first; j < last; j++) {
        let w = weight(j, k);
        if w != 0.0 {
            sum += w * x[(base + j) * p.inner + i];
        }
    }
    y[e] = sum;
}
