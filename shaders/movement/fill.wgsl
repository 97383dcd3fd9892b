// movement/fill - every element becomes one 32-bit pattern.
// y[i] = pattern
// work item: one vec4 of y. traffic: 4 bytes written per element.
//#include "common/index.wgsl"

struct Params { quads: u32, pattern: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_group(group, groups) * 256u + local;
    if i < p.quads {
        y[i] = vec4u(p.pattern);
    }
}
