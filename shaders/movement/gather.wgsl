// movement/gather - elements of the middle of [outer, dim, inner] by index.
// y[o, k, i] = x[o, index[k], i], or index[o, k] where every row has a list of its own; indices are clamped to 0..dim
// work item: four results (T = f32 or vec4f), 256 apart. traffic: 8 bytes per result, and the indices.
//#include "common/index.wgsl"

alias T = f32; // @param

// list: n where every row has a list of its own, else 0.
struct Params { count: u32, dim: u32, n: u32, inner: u32, list: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> index: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

// A work item has EACH elements, SIZE apart.
const SIZE = 256u;
const EACH = 4u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let first = linear_group(group, groups) * SIZE * EACH + local;
    for (var j = 0u; j < EACH; j++) {
        let e = first + j * SIZE;
        if e < p.count {
            let i = e % p.inner;
            let k = e / p.inner % p.n;
            let o = e / p.inner / p.n;
            let at = u32(clamp(index[o * p.list + k], 0.0, f32(p.dim - 1u)));
            y[e] = x[(o * p.dim + at) * p.inner + i];
        }
    }
}
