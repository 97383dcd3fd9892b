// movement/place - one part of a concatenation goes to its place.
// y[o * total + start + i] = x[o * run + i], i < run
// work item: one T, an element or four (all numbers then count vec4f). traffic: 8 bytes per element.
//#include "common/index.wgsl"
//#include "common/vec4.wgsl" // @param ELEMENT

struct Params { count: u32, run: u32, total: u32, start: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e < p.count {
        y[e / p.run * p.total + p.start + e % p.run] = x[e];
    }
}
