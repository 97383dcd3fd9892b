// random/draw - element i of a draw: uniform, standard normal, or the raw bits (upper 24, as a number).
// y[4b .. 4b+3] = law(philox([b, step + clock, draw], seed))
// work item: one block of four. traffic: 4 bytes per element; ten Philox rounds per block.
//#include "common/index.wgsl"
//#include "common/rng.wgsl"

const OP: u32 = 0u; // @param

// The clock is added to the key's step on the device, so that a captured step can be replayed.
struct Params { quads: u32, @align(16) key: Key }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> clock: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let block = linear_group(group, groups) * 256u + local;
    if block < p.quads {
        let bits = random_bits(p.key, u32(clock[0]), block);
        switch OP {
            case 0u: { y[block] = to_unit(bits); }
            case 1u: { y[block] = to_normal(to_unit(bits)); }
            default: { y[block] = vec4f(bits >> vec4u(8u)); }
        }
    }
}
