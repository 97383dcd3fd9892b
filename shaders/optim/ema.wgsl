// optim/ema - e += gain (p - e), gain = 1 - decay
// work item: one vec4. traffic: 12 bytes per parameter.
//#include "common/index.wgsl"

struct Params { quads: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> p: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> gain: array<f32>; // of this update, from the host
@group(0) @binding(3) var<storage, read_write> e: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_group(group, groups) * 256u + local;
    if i < params.quads {
        e[i] += gain[0] * (p[i] - e[i]);
    }
}
