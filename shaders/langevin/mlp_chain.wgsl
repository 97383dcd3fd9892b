// langevin/mlp_chain - K Langevin steps on the energy of an MLP with two hidden layers, in one dispatch.
// E(x) = w3 . a(W2 a(W1 x + b1) + b2),  x' = clip(x - step_n dE/dx - coupling_n (x - center) + noise_n xi_k, lo, hi)
//
// A workgroup owns CHAINS chains for all steps. Its rows of activations (forward) and of their derivatives (backward) lie in
// workgroup memory, the state too; only weights are read again in every step, and only x_0 and x_K touch global memory.
// An invocation has NV groups of four columns of SC chains in registers.
// work item: SC x 4 NV. traffic: 8 HIDDEN^2 bytes of weights per workgroup and step.
// Software Vulkan (2 cores), 256 chains of 20 steps, 128 wide: 16-20 GFLOP/s, 20 to 27 % of the roof; the loads of weights bound it.
//#include "common/index.wgsl"
//#include "common/rng.wgsl"
//#include "elementwise/unary_functions.wgsl"
//#include "langevin/share_subgroup.wgsl" // @param SHARE

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

const QUADS = HIDDEN / 4u;
const SC = CHAINS / TEAMS;
const COLS = QUADS / NV;        // invocations of a team
const SIZE = COLS * TEAMS;
const PARTS = COLS / WIDTH;     // sums over columns that a team leaves behind
const ELEMENTS = CHAINS * DIM;

var<workgroup> rows: array<vec4f, CHAINS * QUADS>;
var<workgroup> state: array<f32, ELEMENTS>;
var<workgroup> slopes: array<f32, ELEMENTS * PARTS>;
var<private> acc: array<array<vec4f, NV>, SC>;

// What an invocation is: its first chain, its first group of columns, its place among the WIDTH that share a row.
struct Place { chain: u32, quad: u32, lane: u32 }

fn quad(at: Place, j: u32) -> u32 {
    return at.quad + j * WIDTH;
}

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

// acc += rows M for matrix 0 or 1 of the weights. Each of WIDTH neighbours loads another four k of a row; all see all.
fn product(at: Place, matrix: u32) {
    for (var block = 0u; block < QUADS; block += WIDTH) {
        var row: array<vec4f, SC>;
        for (var s = 0u; s < SC; s++) {
            row[s] = rows[(at.chain + s) * QUADS + block + at.lane];
        }
        // An array that the loop's own variable indexes makes Mesa unroll the loop, and a neighbour whose number is then a
        // constant costs no search.
        var four: array<vec4f, WIDTH>;
        for (var u = 0u; u < WIDTH; u++) {
            let k = matrix * HIDDEN + 4u * (block + u);
            var w: array<mat4x4f, NV>;
            for (var j = 0u; j < NV; j++) {
                let c = quad(at, j);
                w[j] = mat4x4f(weights[k * QUADS + c], weights[(k + 1u) * QUADS + c],
                               weights[(k + 2u) * QUADS + c], weights[(k + 3u) * QUADS + c]);
            }
            for (var s = 0u; s < SC; s++) {
                four[u] = shared_row(row[s], u);
                for (var j = 0u; j < NV; j++) {
                    acc[s][j] += w[j] * four[u];
                }
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

fn coefficient(which: u32, n: u32, same: f32) -> f32 {
    if PER_SAMPLE {
        return coefficients[which * p.samples + min(n, p.samples - 1u)];
    }
    return same;
}

// One Langevin step of element e of the workgroup, element i of all.
fn moved(e: u32, i: u32, xi: f32) -> f32 {
    let n = i / DIM;
    let here = state[e];
    var slope = 0.0;
    for (var part = 0u; part < PARTS; part++) {
        slope += slopes[e * PARTS + part];
    }
    var next = here - coefficient(0u, n, p.step) * slope;
    if COUPLED {
        next -= coefficient(1u, n, p.coupling) * (here - center[min(i, p.samples * DIM - 1u)]);
    }
    next += coefficient(2u, n, p.noise) * xi;
    if CLIP {
        let kept = clamp(next, p.lo, p.hi);
        next = select(kept, next, (bitcast<u32>(next) & 0x7fffffffu) > 0x7f800000u);
    }
    return next;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let team_lane = local % COLS;
    let at = Place(local / COLS * SC, team_lane / WIDTH * WIDTH * NV + team_lane % WIDTH, team_lane % WIDTH);
    let tick = u32(clock[0]);
    let begin = linear_group(group, groups) * ELEMENTS;
    let count = p.samples * DIM;
    for (var e = local; e < ELEMENTS; e += SIZE) {
        state[e] = x_0[min(begin + e, count - 1u)];
    }
    workgroupBarrier();
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
        product(at, 0u);
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
        product(at, 1u);
        for (var s = 0u; s < SC; s++) {
            for (var j = 0u; j < NV; j++) {
                acc[s][j] *= slope[s][j];
            }
        }
        leave_slopes(at);
        workgroupBarrier();
        let key = key_index(p.key, p.first + k);
        for (var e = 4u * local; e < ELEMENTS; e += 4u * SIZE) {
            let i = begin + e;
            let xi = to_normal(to_unit(random_bits(key, tick, i / 4u)));
            for (var c = 0u; c < 4u; c++) {
                state[e + c] = moved(e + c, i + c, xi[c]);
            }
        }
        workgroupBarrier();
    }
    for (var e = local; e < ELEMENTS; e += SIZE) {
        if begin + e < count {
            x_end[begin + e] = state[e];
        }
    }
}
