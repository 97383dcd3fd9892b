// langevin/mlp_chain - K Langevin steps on the energy of an MLP with two hidden layers, in one dispatch.
// E(x) = w3 . a(W2 a(W1 x + b1) + b2),  x' = clip(x - step_n dE/dx - coupling_n (x - center) + noise_n xi_k, lo, hi)
//
// A workgroup owns its chains for all steps: chain.wgsl.
// work item: SC x 4 NV. traffic: 8 HIDDEN^2 bytes of weights per workgroup and step.
// Software Vulkan (2 cores), 256 chains of 20 steps, 128 wide: 16-20 GFLOP/s, 20 to 27 % of the roof; the loads of weights bound it.
//#include "elementwise/unary_functions.wgsl"
//#include "langevin/chain.wgsl"

// Width of the hidden layers, and the dimension of x.
const HIDDEN: u32 = 128u; // @param
const DIM: u32 = 2u; // @param
// Chains of a workgroup, a multiple of four, and how many groups of invocations share them.
const CHAINS: u32 = 16u; // @param
const TEAMS: u32 = 1u; // @param
// Groups of four columns of an invocation.
const NV: u32 = 2u; // @param
const COUPLED: bool = false; // @param
const CLIP: bool = false; // @param
// Whether step, coupling and noise differ between samples: [3, N] in `coefficients`.
const PER_SAMPLE: bool = false; // @param

struct Params {
    samples: u32, steps: u32, first: u32, a: f32,
    step: f32, coupling: f32, noise: f32, lo: f32,
    hi: f32, @align(16) key: Key,
}

// x_0, center and x_end are [N, DIM]; vectors W1^T [DIM, HIDDEN], b1, b2, w3; weights W2^T, W2 [2 HIDDEN, HIDDEN].
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_0: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> weights: array<vec4f>; // @texels
@group(0) @binding(4) var<storage, read> center: array<f32>;
@group(0) @binding(5) var<storage, read> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read> clock: array<f32>;
@group(0) @binding(7) var<storage, read_write> x_end: array<f32>;

// acc = W1 x + b1
fn first_layer(at: Place) {
    for (var j = 0u; j < NV; j++) {
        let b = vectors[DIM * QUADS + quad(at, j)];
        for (var s = 0u; s < SC; s++) {
            acc[s][j] = b;
        }
    }
    for (var d = 0u; d < DIM; d++) {
        for (var j = 0u; j < NV; j++) {
            let w = vectors[d * QUADS + quad(at, j)];
            for (var s = 0u; s < SC; s++) {
                acc[s][j] += state[(at.chain + s) * DIM + d] * w;
            }
        }
    }
}

// Leaves sums over columns of delta W1: dE/dx in PARTS parts.
fn leave_slopes(at: Place) {
    for (var d = 0u; d < DIM; d++) {
        for (var s = 0u; s < SC; s++) {
            var sum = 0.0;
            for (var j = 0u; j < NV; j++) {
                sum += dot(acc[s][j], vectors[d * QUADS + quad(at, j)]);
            }
            sum = shared_sum(sum);
            if at.lane == 0u {
                slopes[((at.chain + s) * DIM + d) * PARTS + at.quad / (WIDTH * NV)] = sum;
            }
        }
    }
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let at = place(local);
    let tick = u32(clock[0]);
    let begin = linear_group(group, groups) * ELEMENTS;
    load_chains(local, begin);
    for (var k = 0u; k < p.steps; k++) {
        first_layer(at);
        for (var s = 0u; s < SC; s++) {
            for (var j = 0u; j < NV; j++) {
                rows[(at.chain + s) * QUADS + quad(at, j)] = f4(acc[s][j], p.a, 0.0);
            }
        }
        for (var j = 0u; j < NV; j++) {
            let b = vectors[(DIM + 1u) * QUADS + quad(at, j)];
            for (var s = 0u; s < SC; s++) {
                acc[s][j] = b;
            }
        }
        workgroupBarrier();
        product(at, 0u, QUADS, QUADS, 1.0);
        workgroupBarrier();
        // Through the last layer and the second activation.
        for (var j = 0u; j < NV; j++) {
            let w = vectors[(DIM + 2u) * QUADS + quad(at, j)];
            for (var s = 0u; s < SC; s++) {
                rows[(at.chain + s) * QUADS + quad(at, j)] = w * df4(acc[s][j], p.a, 0.0);
            }
        }
        // The first activation's derivative, computed again rather than kept.
        first_layer(at);
        var slope: array<array<vec4f, NV>, SC>;
        for (var s = 0u; s < SC; s++) {
            for (var j = 0u; j < NV; j++) {
                slope[s][j] = df4(acc[s][j], p.a, 0.0);
                acc[s][j] = vec4f(0.0);
            }
        }
        workgroupBarrier();
        product(at, HIDDEN * QUADS, QUADS, QUADS, 1.0);
        for (var s = 0u; s < SC; s++) {
            for (var j = 0u; j < NV; j++) {
                acc[s][j] *= slope[s][j];
            }
        }
        leave_slopes(at);
        workgroupBarrier();
        step_all(local, begin, k, tick);
        workgroupBarrier();
    }
    store_chains(local, begin);
}
