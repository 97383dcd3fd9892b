// elementwise/where - y[i] = c[i] != 0 ? a[i] : b[i]
// work item: one vec4. traffic: 16 bytes per element.
//#include "common/index.wgsl"

struct Params { quads: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> c: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> a: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> b: array<vec4f>; // @texels
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_group(group, groups) * 256u + local;
    if i < p.quads {
        y[i] = select(b[i], a[i], c[i] != vec4f(0.0));
    }
}
