// movement/scatter_rows - overwrites rows of y, which holds a copy of the table already.
// y[index[k], i] = rows[k, i]; an index outside 0..dim is dropped
// work item: one element of rows (T = f32 or vec4f). traffic: 8 bytes per element of rows.
//#include "common/index.wgsl"

alias T = f32; // @param

struct Params { count: u32, dim: u32, inner: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> rows: array<T>;
@group(0) @binding(2) var<storage, read> index: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e < p.count {
        let to = index[e / p.inner];
        if to >= 0.0 && to < f32(p.dim) {
            y[u32(to) * p.inner + e % p.inner] = rows[e];
        }
    }
}
