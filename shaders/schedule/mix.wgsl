// schedule/mix - signal, second input and noise, weighted by a row of a table that each sample's level chooses.
// y = table[t_n].X x + table[t_n].y e + table[t_n].z xi, xi = the key's normal draw, t_n the level of sample n
// work item: four vec4, 256 apart. traffic: 8 bytes per element, 12 with e; ten Philox rounds per vec4 with noise.
//#include "common/index.wgsl"
//#include "common/rng.wgsl"
//#include "schedule/sample.wgsl"

// How a vec4 finds its sample (see schedule/sample), which column weights x, and which terms there are.
const LEVEL: u32 = 2u; // @param
const COLUMN: u32 = 0u; // @param
const SECOND: bool = false; // @param
const NOISE: bool = false; // @param

struct Params { quads: u32, samples: u32, per_sample: u32, @align(16) key: Key }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> e: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> table: array<vec4f>;
@group(0) @binding(4) var<storage, read> level: array<f32>;
@group(0) @binding(5) var<storage, read> clock: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

// The table's rows for four elements, one column per row of the result's transpose.
fn weights(quad: u32) -> mat4x4f {
    let n = sample_of(quad, LEVEL, p.samples, p.per_sample);
    let first = table[u32(level[n.x])];
    if LEVEL != 4u {
        return transpose(mat4x4f(first, first, first, first));
    }
    return transpose(mat4x4f(first, table[u32(level[n.y])], table[u32(level[n.z])], table[u32(level[n.w])]));
}

// A work item has EACH elements, SIZE apart.
const SIZE = 256u;
const EACH = 4u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let tick = u32(clock[0]);
    let start = linear_group(group, groups) * SIZE * EACH + local;
    for (var j = 0u; j < EACH; j++) {
        let quad = start + j * SIZE;
        if quad < p.quads {
            let w = weights(quad);
            var sum = w[COLUMN] * x[quad];
            if SECOND {
                sum += w[1] * e[quad];
            }
            if NOISE {
                sum += w[2] * to_normal(to_unit(random_bits(p.key, tick, quad)));
            }
            y[quad] = sum;
        }
    }
}
