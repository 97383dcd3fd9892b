// elementwise/unary_grad - the cotangent through one function.
// dx[i] = ct[i] f'(x[i]; a, b)
// work item: four vec4, 256 apart. traffic: 12 bytes per element; the derivative is recomputed, not stored.
//#include "common/index.wgsl"
//#include "elementwise/unary_functions.wgsl"

struct Params { quads: u32, a: f32, b: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> ct: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

// A work item has EACH elements, SIZE apart.
const SIZE = 256u;
const EACH = 4u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let start = linear_group(group, groups) * SIZE * EACH + local;
    for (var j = 0u; j < EACH; j++) {
        let i = start + j * SIZE;
        if i < p.quads {
            dx[i] = ct[i] * df4(x[i], p.a, p.b);
        }
    }
}
