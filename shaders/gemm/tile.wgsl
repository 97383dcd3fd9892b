// gemm/tile - family W: C[m,n] = sum_k A[m,k] B[k,n], a tile in workgroup memory.
//
// A workgroup computes BM x BN of C in steps of BK: every thread moves fragments of 4 x 4 from memory to the tile, then all
// multiply from the tile. The next step's fragments are already on their way in registers while this step multiplies.
// Tiles lie k-major, so that a thread reads its rows and columns as vec4f; the swizzle spreads the transposed writes
// over the banks. work item: RM x RN of C. traffic: A is read N / BN times, B is read M / BM times.
// Workgroup memory: 4 BK (BM + BN) bytes, 16 KiB for 128 x 128 x 16.
//
// What a thread sums up has names, not places in an array: an array that a loop counts through stays in registers only where
// the driver unrolls the loop, and none has to.
//#include "gemm/product.wgsl"

const BM: u32 = 64u; // @param
const BN: u32 = 64u; // @param
// Rows of a thread, 4 or 8.
const RM: u32 = 8u; // @param
// Columns of a thread, 4 or 8.
const RN: u32 = 4u; // @param
const BK = 16u;
const TX = BN / RN;
const TY = BM / RM;
const THREADS = TX * TY;
const A_FRAGS = BM * BK / 16u;
const B_FRAGS = BN * BK / 16u;
// A thread loads at most one fragment of each.
const_assert A_FRAGS <= THREADS && B_FRAGS <= THREADS;

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

// Fragments as they lie in the tiles: column q of `f` holds row k + q.
fn write_a(at: vec2u, f: mat4x4f) {
    let k = at.y * 4u;
    a_tile[swizzle(at.x, k, BM / 4u)] = f[0];
    a_tile[swizzle(at.x, k + 1u, BM / 4u)] = f[1];
    a_tile[swizzle(at.x, k + 2u, BM / 4u)] = f[2];
    a_tile[swizzle(at.x, k + 3u, BM / 4u)] = f[3];
}
fn write_b(at: vec2u, f: mat4x4f) {
    let k = at.y * 4u;
    b_tile[swizzle(at.x, k, BN / 4u)] = f[0];
    b_tile[swizzle(at.x, k + 1u, BN / 4u)] = f[1];
    b_tile[swizzle(at.x, k + 2u, BN / 4u)] = f[2];
    b_tile[swizzle(at.x, k + 3u, BN / 4u)] = f[3];
}

// sums + a b^T, four rows of C by four columns; column r of `sums` is row r.
fn multiply_add(sums: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
    return mat4x4f(sums[0] + a.x * b, sums[1] + a.y * b, sums[2] + a.z * b, sums[3] + a.w * b);
}

fn store_block(m: u32, n: u32, sums: mat4x4f) {
    store(m, n, sums[0]);
    store(m + 1u, n, sums[1]);
    store(m + 2u, n, sums[2]);
    store(m + 3u, n, sums[3]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let tile = tile_of(group, groups, vec2u(BM, BN));
    if tile.z >= products() {
        return;
    }
    let range = begin(tile.z);
    // B from the other end: where a tile has fewer fragments than there are threads, each thread loads one of A or B.
    let other = THREADS - 1u - local;
    let a_at = place(local, BM / 4u, M_ALONG_K);
    let b_at = place(other, BN / 4u, N_ALONG_K);
    let a_rows = m_begin(tile.m + a_at.x * 4u);
    let b_cols = n_begin(tile.n + b_at.x * 4u);
    var a_next = mat4x4f();
    var b_next = mat4x4f();

    // Blocks of four rows by four columns of C: a thread has one or two of each, TY and TX blocks apart.
    var sums_00 = mat4x4f();
    var sums_01 = mat4x4f();
    var sums_10 = mat4x4f();
    var sums_11 = mat4x4f();
    let x = local % TX;
    let y = local / TX;
    for (var k0 = range.x; k0 < range.y + BK; k0 += BK) {
        if k0 > range.x {
            workgroupBarrier();
            if local < A_FRAGS { write_a(a_at, transpose(a_next)); }
            if other < B_FRAGS { write_b(b_at, b_next); }
            workgroupBarrier();
        }
        if k0 < range.y {
            let k = k0 + vec2u(a_at.y, b_at.y) * 4u;
            a_next = mat4x4f();
            b_next = mat4x4f();
            if local < A_FRAGS && k.x < range.y { a_next = m_frag(a_rows, k.x); }
            if other < B_FRAGS && k.y < range.y { b_next = n_frag(b_cols, k.y); }
        }
        if k0 > range.x {
            for (var k = 0u; k < BK; k++) {
                let a_0 = a_tile[swizzle(y, k, BM / 4u)];
                let b_0 = b_tile[swizzle(x, k, BN / 4u)];
                sums_00 = multiply_add(sums_00, a_0, b_0);
                if RN == 8u {
                    sums_01 = multiply_add(sums_01, a_0, b_tile[swizzle(x + TX, k, BN / 4u)]);
                }
                if RM == 8u {
                    let a_1 = a_tile[swizzle(y + TY, k, BM / 4u)];
                    sums_10 = multiply_add(sums_10, a_1, b_0);
                    if RN == 8u {
                        sums_11 = multiply_add(sums_11, a_1, b_tile[swizzle(x + TX, k, BN / 4u)]);
                    }
                }
            }
        }
    }
    let m = tile.m + vec2u(y, y + TY) * 4u;
    let n = tile.n + vec2u(x, x + TX) * 4u;
    store_block(m.x, n.x, sums_00);
    if RN == 8u { store_block(m.x, n.y, sums_01); }
    if RM == 8u { store_block(m.y, n.x, sums_10); }
    if RM == 8u && RN == 8u { store_block(m.y, n.y, sums_11); }
}
