// roof/copy - what memory can do at best: every other kernel's GB/s is judged by this one's.
// y[i] = x[i]
// work item: four vec4, 256 apart. traffic: 32 bytes per vec4.
//#include "common/index.wgsl"

struct Params { quads: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

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
            y[i] = x[i];
        }
    }
}
