// langevin/residual_chain - K Langevin steps on the residual MLP of recovery likelihood, in one dispatch.
// h_0 = W x + b;  z_i = F_i a(h_{i-1}) + s_i;  h_i = S_i h_{i-1} + G_i a(z_i) + b_i, i = 1..B, S_i = 1 where the width stays;
// E(x) = -w . relu(h_B), a(z) = z where positive, else slope z; the s_i differ between samples (their level)
// x' = clip(x - step_n dE/dx - coupling_n (x - center) + noise_n xi_k, lo, hi)
//
// A workgroup owns its chains for all steps: chain.wgsl. The weights lie in the order in which a step reads them: for each block
// S^T, F^T, G^T, then, from the last block to the first, S, G, F. Of the activations the way back needs their signs alone.
// work item: SC x 4 NV. traffic: the weights once per workgroup and step.
//#include "langevin/chain.wgsl"
//#include "langevin/signs.wgsl"

// The widest layer, and the dimension of x.
const HIDDEN: u32 = 128u; // @param
const DIM: u32 = 2u; // @param
// B, at most 7.
const BLOCKS: u32 = 4u; // @param
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
    samples: u32, steps: u32, first: u32, matrices: u32,
    shift_rows: u32, shift_quads: u32, slope: f32, step: f32,
    coupling: f32, noise: f32, lo: f32, hi: f32,
    width: array<vec4u, 2>, @align(16) key: Key,
}

// x_0, center and x_end are [N, DIM]; shifts s_1, .., s_B side by side [N or 1, sum of widths]; the weights begin with W^T, b,
// b_1, .., b_B and w. Widths are those of h_0, .., h_B.
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_0: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> shifts: array<vec4f>; // @texels
@group(0) @binding(4) var<storage, read> center: array<f32>;
@group(0) @binding(5) var<storage, read> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read> clock: array<f32>;
@group(0) @binding(7) var<storage, read_write> x_end: array<f32>;

// h on the way forward, dE/dh on the way back.
var<private> stream: array<array<vec4f, NV>, SC>;
// The shifts of the block at hand.
var<private> shifted: array<array<vec4f, NV>, SC>;

// The width of h_i in groups of four columns.
fn width(i: u32) -> u32 {
    return p.width[i / 4u][i % 4u] / 4u;
}

// The rows become acc, if told so.
fn share(at: Place, really: bool) {
    workgroupBarrier(); // the rows before were read
    if really {
        for (var s = 0u; s < SC; s++) {
            for (var j = 0u; j < NV; j++) {
                rows[(at.chain + s) * QUADS + quad(at, j)] = acc[s][j];
            }
        }
    }
    workgroupBarrier();
}

// The stream becomes acc, if told so.
fn keep_stream(really: bool) {
    for (var s = 0u; s < SC; s++) {
        for (var j = 0u; j < NV; j++) {
            stream[s][j] = select(stream[s][j], acc[s][j], really);
        }
    }
}

// On the way back: part 0 is what the stream adds to, part 2 is added to it.
fn end_part(part: u32) {
    for (var s = 0u; s < SC; s++) {
        for (var j = 0u; j < NV; j++) {
            let sum = acc[s][j] + select(vec4f(0.0), stream[s][j], part == 2u);
            stream[s][j] = select(sum, stream[s][j], part == 1u);
            acc[s][j] = select(stream[s][j], acc[s][j], part == 1u);
        }
    }
}

// acc = the same vector for all chains
fn fill(at: Place, vector: u32, columns: u32) {
    for (var j = 0u; j < NV; j++) {
        let b = weights[vector + min(quad(at, j), columns - 1u)];
        for (var s = 0u; s < SC; s++) {
            acc[s][j] = b;
        }
    }
}

// acc = h_0
fn enter(at: Place, columns: u32) {
    fill(at, DIM * columns, columns);
    for (var d = 0u; d < DIM; d++) {
        for (var j = 0u; j < NV; j++) {
            let w = weights[d * columns + min(quad(at, j), columns - 1u)];
            for (var s = 0u; s < SC; s++) {
                acc[s][j] += state[(at.chain + s) * DIM + d] * w;
            }
        }
    }
}

// Leaves sums over columns of dE/dh_0 W: dE/dx in PARTS parts.
fn leave_slopes(at: Place, columns: u32) {
    for (var d = 0u; d < DIM; d++) {
        for (var s = 0u; s < SC; s++) {
            var sum = 0.0;
            for (var j = 0u; j < NV; j++) {
                let c = quad(at, j);
                sum -= select(0.0, dot(stream[s][j], weights[d * columns + min(c, columns - 1u)]), c < columns);
            }
            sum = shared_sum(sum);
            if at.lane == 0u {
                slopes[((at.chain + s) * DIM + d) * PARTS + at.quad / (WIDTH * NV)] = sum;
            }
        }
    }
}

// The shifts of each chain's sample at a block.
fn load_shifts(at: Place, begin: u32, shift: u32, columns: u32) {
    for (var s = 0u; s < SC; s++) {
        let row = min(begin + at.chain + s, p.shift_rows - 1u) * p.shift_quads + shift;
        for (var j = 0u; j < NV; j++) {
            shifted[s][j] = shifts[row + min(quad(at, j), columns - 1u)];
        }
    }
}

// What acc holds before a part of a block on the way forward: nothing, the shifts, or h and the bias.
fn begin_part(at: Place, part: u32, vector: u32, columns: u32) {
    for (var j = 0u; j < NV; j++) {
        let b = weights[vector + min(quad(at, j), columns - 1u)];
        for (var s = 0u; s < SC; s++) {
            acc[s][j] = select(select(vec4f(0.0), shifted[s][j], part == 1u), stream[s][j] + b, part == 2u);
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
        enter(at, width(0u));
        keep_signs(0u);
        stream = acc;
        share(at, true);
        var shift = 0u;
        var vector = (DIM + 1u) * width(0u);
        var matrix = p.matrices;
        // Software Vulkan runs both sides of every branch: what a part does not do is left out by selects, not branched around.
        for (var i = 0u; i < BLOCKS; i++) {
            let ends = vec2u(width(i), width(i + 1u));
            load_shifts(at, begin / DIM, shift, ends.y);
            for (var part = select(0u, 1u, ends.x == ends.y); part < 3u; part++) {
                let inputs = select(ends.x, ends.y, part == 2u);
                begin_part(at, part, vector, ends.y);
                product(at, matrix, inputs, ends.y, select(p.slope, 1.0, part == 0u));
                matrix += 4u * inputs * ends.y;
                keep_signs(select(2u * i + part, 2u * BLOCKS + 1u, part == 0u));
                keep_stream(part != 1u);
                share(at, part != 0u);
            }
            shift += ends.y;
            vector += ends.y;
        }
        // -dE/dh_B = w where h_B is positive; leave_slopes turns the sign.
        fill(at, vector, width(BLOCKS));
        times_slopes(2u * BLOCKS, 0.0);
        stream = acc;
        share(at, true);
        for (var left = BLOCKS; left > 0u; left--) {
            let ends = vec2u(width(left), width(left - 1u));
            for (var part = select(0u, 1u, ends.x == ends.y); part < 3u; part++) {
                let columns = select(ends.y, ends.x, part == 1u);
                acc = array<array<vec4f, NV>, SC>();
                product(at, matrix, ends.x, columns, 1.0);
                matrix += 4u * ends.x * columns;
                times_slopes(2u * left - part, select(p.slope, 1.0, part == 0u));
                end_part(part);
                share(at, part != 0u);
            }
        }
        leave_slopes(at, width(0u));
        workgroupBarrier();
        step_all(local, begin, k, tick);
        workgroupBarrier();
    }
    store_chains(local, begin);
}
