//#include "gemm/units.wgsl" // @param UNITS
// gemm/cooperative - family C: C[m,n] = sum_k f16(A[m,k]) f16(B[k,n]), sums in f32, on an adapter's matrix units.
//
// A workgroup computes BM x BN of C in steps of BK, as gemm/tile.wgsl does, from tiles of f16 in workgroup memory. Its teams of 32
// invocations (subgroups) have BM / 2 x 32 of it each, in matrices of SIDE x SIDE that a team holds together. The next step's fragments,
// one of A and one of B an invocation, are on their way while this step multiplies. No invocation can reach single elements of a
// matrix, so results pass through workgroup memory to where edges, bias and strides are known.
// work item: one fragment of A and B. traffic: A is read N / BN times, B is read M / BM times.
// Workgroup memory: 2 (BM (BK + 8) + BK (BN + 8)) + 8 BN SIDE bytes or less: 26.5 KiB for 128 x 128.
//#include "gemm/product.wgsl"

const BM: u32 = 64u; // @param
// Rows of B's tile are BN wide, with eight elements behind each so that neighbours lie in other banks.
const BN: u32 = 64u; // @param
const BK = 32u;
const A_ROW4 = (BK + 8u) / 4u;
const B_ROW4 = (BN + 8u) / 4u;
const TEAM = 32u;
const THREADS = 2u * BN;
// Matrices of a team, down and across.
const DOWN = BM / 2u / SIDE;
const ACROSS = 32u / SIDE;
const MATRIX4 = SIDE * SIDE / 4u;

var<workgroup> a_tile: array<Half4, BM * A_ROW4>;
var<workgroup> b_tile: array<Half4, BK * B_ROW4>;
var<workgroup> results: array<vec4f, THREADS / TEAM * MATRIX4>;

// Fragment f of a tile of `blocks` times BK / 4 as (its first row or column, its first k). Neighbours take neighbours in memory.
fn place(f: u32, blocks: u32, along_k: bool) -> vec2u {
    if along_k {
        return 4u * vec2u(f / (BK / 4u), f % (BK / 4u));
    }
    return 4u * vec2u(f % blocks, f / blocks);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let tile = tile_of(group, groups, vec2u(BM, BN));
    if tile.z >= products() {
        return;
    }
    let m0 = tile.m;
    let n0 = tile.n;
    let lane = local % TEAM;
    let team = local / TEAM;
    let team_m = team % 2u * (BM / 2u);
    let team_n = team / 2u * 32u;

    let range = begin(tile.z);
    let a_at = place(local, BM / 4u, M_ALONG_K);
    let b_at = place(local, BN / 4u, N_ALONG_K);
    let a_rows = m_begin(m0 + a_at.x);
    let b_columns = n_begin(n0 + b_at.x);

    var acc: array<array<MatrixC, ACROSS>, DOWN>;
    var a_next: mat4x4f;
    var b_next: mat4x4f;
    for (var k0 = range.x; k0 < range.y + BK; k0 += BK) {
        if k0 > range.x {
            workgroupBarrier();
            for (var i = 0u; i < 4u; i++) {
                a_tile[(a_at.x + i) * A_ROW4 + a_at.y / 4u] = to_half(a_next[i]);
                b_tile[(b_at.y + i) * B_ROW4 + b_at.x / 4u] = to_half(b_next[i]);
            }
            workgroupBarrier();
        }
        if k0 < range.y {
            a_next = mat4x4f();
            if k0 + a_at.y < range.y {
                a_next = m_frag(a_rows, k0 + a_at.y);
            }
            b_next = mat4x4f();
            if k0 + b_at.y < range.y {
                b_next = n_frag(b_columns, k0 + b_at.y);
            }
        }
        if k0 > range.x {
            for (var k = 0u; k < BK; k += SIDE) {
                for (var i = 0u; i < DOWN; i++) {
                    let a = load_a((team_m + i * SIDE) * A_ROW4 + k / 4u);
                    for (var j = 0u; j < ACROSS; j++) {
                        let b = load_b(k * B_ROW4 + (team_n + j * SIDE) / 4u);
                        acc[i][j] = multiply_add(a, b, acc[i][j], lane);
                    }
                }
            }
        }
    }
    for (var i = 0u; i < DOWN; i++) {
        for (var j = 0u; j < ACROSS; j++) {
            put(acc[i][j], team * MATRIX4, lane);
            workgroupBarrier();
            for (var q = lane; q < MATRIX4; q += TEAM) {
                let m = m0 + team_m + i * SIDE + 4u * q / SIDE;
                store(m, n0 + team_n + j * SIDE + 4u * q % SIDE, results[team * MATRIX4 + q]);
            }
            workgroupBarrier();
        }
    }
}
