// gemm/tile - family W: C[m,n] = sum_k A[m,k] B[k,n], a tile in workgroup memory.
//
// A workgroup computes BM x BN of C in steps of BK: every thread moves fragments of 4 x 4 from memory to the tile, then all
// multiply from the tile. The next step's fragments are already on their way in registers while this step multiplies.
// Tiles lie k-major, so that a thread reads its rows and columns as vec4f; the swizzle spreads the transposed writes
// over the banks. work item: RM x RN of C. traffic: A is read N / BN times, B is read M / BM times.
// Workgroup memory: 4 BK (BM + BN) bytes, 16 KiB for 128 x 128 x 16.
//#include "gemm/product.wgsl"

const BM: u32 = 64u; // @param
const BN: u32 = 64u; // @param
// Rows of a thread, in groups of four.
const RM: u32 = 8u; // @param
// Columns of a thread, in groups of four.
const RN: u32 = 4u; // @param
const BK = 16u;
const TX = BN / RN;
const TY = BM / RM;
const THREADS = TX * TY;
const A_FRAGS = BM * BK / 16u;
const B_FRAGS = BN * BK / 16u;
const A_SLOTS = (A_FRAGS + THREADS - 1u) / THREADS;
const B_SLOTS = (B_FRAGS + THREADS - 1u) / THREADS;

var<workgroup> a_tile: array<vec4f, BK * BM / 4u>;
var<workgroup> b_tile: array<vec4f, BK * BN / 4u>;

// Fragment f of a tile `blocks` fragments wide as (block of four rows or columns, block of four k). Neighbouring threads
// take neighbours in memory.
fn place(f: u32, blocks: u32, along_k: bool) -> vec2u {
    if along_k {
        return vec2u(f / (BK / 4u), f % (BK / 4u));
    }
    return vec2u(f % blocks, f / blocks);
}

// Where vec4f number `block` of row k of a tile lies.
fn swizzle(block: u32, k: u32, blocks: u32) -> u32 {
    return k * blocks + (block ^ (k / 4u * 2u % 8u));
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

    let range = begin(tile.z);
    var a_at: array<vec2u, A_SLOTS>;
    var b_at: array<vec2u, B_SLOTS>;
    var a_rows: array<At, A_SLOTS>;
    var b_cols: array<At, B_SLOTS>;
    var a_next: array<mat4x4f, A_SLOTS>;
    var b_next: array<mat4x4f, B_SLOTS>;
    for (var s = 0u; s < A_SLOTS; s++) {
        a_at[s] = place(local + s * THREADS, BM / 4u, M_ALONG_K);
        a_rows[s] = m_begin(m0 + a_at[s].x * 4u);
    }
    // B from the other end: where a tile has fewer fragments than there are threads, each thread loads one of A or B.
    for (var s = 0u; s < B_SLOTS; s++) {
        b_at[s] = place(THREADS - 1u - local + s * THREADS, BN / 4u, N_ALONG_K);
        b_cols[s] = n_begin(n0 + b_at[s].x * 4u);
    }

    var acc: array<array<vec4f, RN / 4u>, RM>;
    let x = local % TX;
    let y = local / TX;
    for (var k0 = range.x; k0 < range.y + BK; k0 += BK) {
        if k0 > range.x {
            workgroupBarrier();
            for (var s = 0u; s < A_SLOTS; s++) {
                for (var q = 0u; q < 4u; q++) {
                    if local + s * THREADS < A_FRAGS {
                        let f = a_next[s];
                        a_tile[swizzle(a_at[s].x, a_at[s].y * 4u + q, BM / 4u)] = vec4f(f[0][q], f[1][q], f[2][q], f[3][q]);
                    }
                }
            }
            for (var s = 0u; s < B_SLOTS; s++) {
                for (var q = 0u; q < 4u; q++) {
                    if THREADS - 1u - local + s * THREADS < B_FRAGS {
                        b_tile[swizzle(b_at[s].x, b_at[s].y * 4u + q, BN / 4u)] = b_next[s][q];
                    }
                }
            }
            workgroupBarrier();
        }
        if k0 < range.y {
            for (var s = 0u; s < A_SLOTS; s++) {
                let k = k0 + a_at[s].y * 4u;
                a_next[s] = mat4x4f();
                if local + s * THREADS < A_FRAGS && k < range.y {
                    a_next[s] = m_frag(a_rows[s], k);
                }
            }
            for (var s = 0u; s < B_SLOTS; s++) {
                let k = k0 + b_at[s].y * 4u;
                b_next[s] = mat4x4f();
                if THREADS - 1u - local + s * THREADS < B_FRAGS && k < range.y {
                    b_next[s] = n_frag(b_cols[s], k);
                }
            }
        }
        if k0 > range.x {
            for (var k = 0u; k < BK; k++) {
                var a: array<vec4f, RM / 4u>;
                var b: array<vec4f, RN / 4u>;
                for (var i = 0u; i < RM / 4u; i++) {
                    a[i] = a_tile[swizzle(y + i * TY, k, BM / 4u)];
                }
                for (var j = 0u; j < RN / 4u; j++) {
                    b[j] = b_tile[swizzle(x + j * TX, k, BN / 4u)];
                }
                for (var i = 0u; i < RM / 4u; i++) {
                    for (var r = 0u; r < 4u; r++) {
                        for (var j = 0u; j < RN / 4u; j++) {
                            acc[i * 4u + r][j] += a[i][r] * b[j];
                        }
                    }
                }
            }
        }
    }
    for (var i = 0u; i < RM; i++) {
        for (var j = 0u; j < RN / 4u; j++) {
            store(m0 + (y + i / 4u * TY) * 4u + i % 4u, n0 + (x + j * TX) * 4u, acc[i][j]);
        }
    }
}
