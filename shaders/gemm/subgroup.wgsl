// gemm/subgroup - family S: C[m,n] = sum_k A[m,k] B[k,n], a register tile of one subgroup, no barriers.
//
// A workgroup is one subgroup; its tile has 4 ML rows and 4 SG NV columns. Lane i loads four rows of A, every lane then
// sees all rows through subgroupShuffle; a lane keeps all rows of the tile for NV groups of four columns.
// With ML < SG the other lanes load the next k, and one step covers 4 SG / ML of them.
// work item: 4 ML x 4 NV of C. traffic: A is read N / (4 SG NV) times, B is read M / (4 ML) times.
// Software Vulkan (2 cores, AVX2), 1024^3: 35-42 GFLOP/s with operands as texels, 9 from buffers; register tile (v1) 5.
//#include "gemm/product.wgsl"

// Lanes of a subgroup.
const SG: u32 = 8u; // @param
// Lanes along m.
const ML: u32 = 8u; // @param
// Groups of four columns of a lane.
const NV: u32 = 2u; // @param
const TM = 4u * ML;
const TN = 4u * SG * NV;
const KL = SG / ML;

// Nested arrays: software Vulkan unrolls a loop for certain when its counter indexes an array of that length.
var<private> acc: array<array<array<vec4f, NV>, 4>, ML>;

// acc += A B over four k; lane `at + i` holds rows 4 i .. 4 i + 3 of A.
fn update(a: array<vec4f, 4>, at: u32, b: array<mat4x4f, NV>) {
    for (var i = 0u; i < ML; i++) {
        for (var r = 0u; r < 4u; r++) {
            let row = subgroupShuffle(a[r], at + i);
            for (var j = 0u; j < NV; j++) {
                acc[i][r][j] += b[j] * row;
            }
        }
    }
}

@compute @workgroup_size(SG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let tile = tile_of(group, groups, vec2u(TM, TN));
    if tile.z >= products() {
        return;
    }
    let m0 = tile.m;
    let n0 = tile.n + lane * 4u;

    let range = begin(tile.z);
    let a_rows = m_begin(m0 + lane % ML * 4u);
    var b_cols: array<At, NV>;
    for (var j = 0u; j < NV; j++) {
        b_cols[j] = n_begin(n0 + j * 4u * SG);
    }
    for (var k = range.x; k < range.y; k += 4u * KL) {
        let k_lane = k + lane / ML * 4u;
        let frag = m_frag(a_rows, min(k_lane, range.y - 4u));
        var a = array<vec4f, 4>(frag[0], frag[1], frag[2], frag[3]);
        if KL > 1u && k_lane >= range.y {
            a = array<vec4f, 4>();
        }
        var b: array<mat4x4f, NV>;
        if KL == 1u {
            for (var j = 0u; j < NV; j++) {
                b[j] = n_frag(b_cols[j], k);
            }
            update(a, 0u, b);
        } else {
            for (var l = 0u; l < KL; l++) {
                for (var j = 0u; j < NV; j++) {
                    b[j] = n_frag(b_cols[j], min(k + 4u * l, range.y - 4u));
                }
                update(a, l * ML, b);
            }
        }
    }
    for (var i = 0u; i < ML; i++) {
        for (var r = 0u; r < 4u; r++) {
            for (var j = 0u; j < NV; j++) {
                store(m0 + i * 4u + r, n0 + j * 4u * SG, acc[i][r][j]);
            }
        }
    }
}
