// optim/sgd - v = momentum v + grad;  p' = p - lr v
// work item: one vec4. traffic: 20 bytes per parameter.
//#include "common/index.wgsl"

struct Params { quads: u32, momentum: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> p: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> grad: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> lr: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> next: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_group(group, groups) * 256u + local;
    if i < params.quads {
        let vi = params.momentum * v[i] + grad[i];
        v[i] = vi;
        next[i] = p[i] - lr[0] * vi;
    }
}
