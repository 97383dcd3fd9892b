// sort/indices - the order out of the sorted pairs, without the padding.
// y[r, i] = index of pairs[r, i], i < dim
// work item: one element of y. traffic: 12 bytes per element.
//#include "common/index.wgsl"

struct Params { count: u32, dim: u32, padded: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e < p.count {
        y[e] = f32(pairs[e / p.dim * p.padded + e % p.dim].y);
    }
}
