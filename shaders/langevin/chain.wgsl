// What kernels of whole Langevin chains share: a workgroup owns CHAINS chains for all steps. Its rows of activations (forward) and
// of their derivatives (backward) lie in workgroup memory, the state too; only weights are read again in every step, and only
// x_0 and x_K touch global memory. An invocation has NV groups of four columns of SC chains in registers.
// The kernel declares HIDDEN, DIM, CHAINS, TEAMS, NV, COUPLED, CLIP, PER_SAMPLE, its parameters p and its bindings.
//#include "common/index.wgsl"
//#include "common/rng.wgsl"
//#include "langevin/share_subgroup.wgsl" // @param SHARE

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

fn place(local: u32) -> Place {
    let lane = local % COLS;
    return Place(local / COLS * SC, lane / WIDTH * WIDTH * NV + lane % WIDTH, lane % WIDTH);
}

fn quad(at: Place, j: u32) -> u32 {
    return at.quad + j * WIDTH;
}

// acc += l(rows) M for the matrix [4 inputs, 4 columns] that begins at `first`, l the leaky ReLU of this slope (1: none).
// Each of WIDTH neighbours loads another four k of a row; all see all. Columns beyond the last compute it again.
fn product(at: Place, first: u32, inputs: u32, columns: u32, slope: f32) {
    for (var block = 0u; block < inputs; block += WIDTH) {
        var row: array<vec4f, SC>;
        for (var s = 0u; s < SC; s++) {
            let r = rows[(at.chain + s) * QUADS + block + at.lane];
            row[s] = select(slope * r, r, r > vec4f(0.0));
        }
        // An array that the loop's own variable indexes makes Mesa unroll the loop, and a neighbour whose number is then a
        // constant costs no search.
        var four: array<vec4f, WIDTH>;
        for (var u = 0u; u < WIDTH; u++) {
            let k = first + 4u * (block + u) * columns;
            var w: array<mat4x4f, NV>;
            for (var j = 0u; j < NV; j++) {
                let c = k + min(quad(at, j), columns - 1u);
                w[j] = mat4x4f(weights[c], weights[c + columns], weights[c + 2u * columns], weights[c + 3u * columns]);
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

// The Langevin step number k of all chains of the workgroup, from the slopes that were left.
fn step_all(local: u32, begin: u32, k: u32, tick: u32) {
    let key = key_index(p.key, p.first + k);
    for (var e = 4u * local; e < ELEMENTS; e += 4u * SIZE) {
        let i = begin + e;
        let xi = to_normal(to_unit(random_bits(key, tick, i / 4u)));
        for (var c = 0u; c < 4u; c++) {
            state[e + c] = moved(e + c, i + c, xi[c]);
        }
    }
}

// The chains that begin at element `begin`, those beyond the last being copies of it.
fn load_chains(local: u32, begin: u32) {
    for (var e = local; e < ELEMENTS; e += SIZE) {
        state[e] = x_0[min(begin + e, p.samples * DIM - 1u)];
    }
    workgroupBarrier();
}

fn store_chains(local: u32, begin: u32) {
    for (var e = local; e < ELEMENTS; e += SIZE) {
        if begin + e < p.samples * DIM {
            x_end[begin + e] = state[e];
        }
    }
}
