// sort/load - rows of floats to rows of (key, index) pairs, padded to a power of two.
// pairs[r, i] = (key(x[r, i]), i) for i < dim, else the largest pair
// work item: one pair. traffic: 4 bytes per element of x, 8 per pair.
//#include "common/index.wgsl"
//#include "sort/pairs.wgsl"

struct Params { count: u32, dim: u32, padded: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> pairs: array<vec2u>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e < p.count {
        let i = e % p.padded;
        var pair = vec2u(0xffffffffu, i);
        if i < p.dim {
            pair.x = sort_key(x[e / p.padded * p.dim + i]);
        }
        pairs[e] = pair;
    }
}
