// langevin/step - one Langevin step with the noise drawn in registers.
// y = clip(x - step_n g - coupling_n (x - center) + noise_n xi, lo, hi), xi = the key's normal draw, n the sample
// work item: four vec4, 256 apart. traffic: 12 bytes per element, 16 with a coupling; ten Philox rounds per vec4.
//#include "common/index.wgsl"
//#include "common/rng.wgsl"
//#include "common/special.wgsl"
//#include "schedule/sample.wgsl"

alias T = vec4f;
alias Bits = vec4u;

// Where each coefficient comes from: 0 nowhere (the term is left out), 1 Params, 2 the only element of its tensor,
// 3 its tensor, one sample per vec4, 4 its tensor, a vec4 may hold several samples.
const STEP: u32 = 1u; // @param
const COUPLING: u32 = 0u; // @param
const NOISE: u32 = 1u; // @param
const CLIP: bool = false; // @param

struct Params {
    quads: u32, samples: u32, per_sample: u32, step: f32,
    coupling: f32, noise: f32, lo: f32, hi: f32,
    @align(16) key: Key,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> g: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> center: array<vec4f>;
@group(0) @binding(4) var<storage, read> steps: array<f32>;
@group(0) @binding(5) var<storage, read> couplings: array<f32>;
@group(0) @binding(6) var<storage, read> noises: array<f32>;
@group(0) @binding(7) var<storage, read> clock: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<vec4f>;

fn step_of(quad: u32) -> vec4f {
    if STEP == 1u {
        return vec4f(p.step);
    }
    let n = sample_of(quad, STEP, p.samples, p.per_sample);
    return vec4f(steps[n.x], steps[n.y], steps[n.z], steps[n.w]);
}

fn coupling_of(quad: u32) -> vec4f {
    if COUPLING == 1u {
        return vec4f(p.coupling);
    }
    let n = sample_of(quad, COUPLING, p.samples, p.per_sample);
    return vec4f(couplings[n.x], couplings[n.y], couplings[n.z], couplings[n.w]);
}

fn noise_of(quad: u32) -> vec4f {
    if NOISE == 1u {
        return vec4f(p.noise);
    }
    let n = sample_of(quad, NOISE, p.samples, p.per_sample);
    return vec4f(noises[n.x], noises[n.y], noises[n.z], noises[n.w]);
}

fn moved(quad: u32, tick: u32) -> vec4f {
    let here = x[quad];
    var next = here - step_of(quad) * g[quad];
    if COUPLING != 0u {
        next -= coupling_of(quad) * (here - center[quad]);
    }
    if NOISE != 0u {
        next += noise_of(quad) * to_normal(to_unit(random_bits(p.key, tick, quad)));
    }
    if CLIP {
        next = keep_nan(clamp(next, vec4f(p.lo), vec4f(p.hi)), next);
    }
    return next;
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
            y[quad] = moved(quad, tick);
        }
    }
}
