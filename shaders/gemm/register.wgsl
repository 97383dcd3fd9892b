// gemm/register - family R: C[m,n] = sum_k A[m,k] B[k,n], a register tile of one invocation: no subgroups, no barriers.
//
// work item: 4 FM x 4 FN of C, the sum of outer products of four k at a time. Workgroup: GM x GN work items, which share their
// rows and columns through the cache. traffic: A is read N / (4 FN) times, B is read M / (4 FM) times.
//#include "gemm/product.wgsl"

// Rows and columns of a workgroup's tile.
const TM: u32 = 64u; // @param
const TN: u32 = 32u; // @param
const GM = 8u;
const GN = 4u;
// Fragments of a work item.
const FM = TM / (4u * GM);
const FN = TN / (4u * GN);

@compute @workgroup_size(GM * GN)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let tile = tile_of(group, groups, vec2u(TM, TN));
    if tile.z >= products() {
        return;
    }
    let m0 = tile.m + local / GN * 4u * FM;
    let n0 = tile.n + local % GN * 4u * FN;

    let range = begin(tile.z);
    var a_rows: array<At, FM>;
    var b_cols: array<At, FN>;
    for (var i = 0u; i < FM; i++) {
        a_rows[i] = m_begin(m0 + 4u * i);
    }
    for (var j = 0u; j < FN; j++) {
        b_cols[j] = n_begin(n0 + 4u * j);
    }
    var acc: array<array<mat4x4f, FN>, FM>; // column r of acc[i][j]: row r of the fragment
    for (var k = range.x; k < range.y; k += 4u) {
        var a: array<mat4x4f, FM>;
        for (var i = 0u; i < FM; i++) {
            a[i] = m_frag(a_rows[i], k);
        }
        for (var j = 0u; j < FN; j++) {
            let b = n_frag(b_cols[j], k);
            for (var i = 0u; i < FM; i++) {
                acc[i][j] += b * a[i];
            }
        }
    }
    for (var i = 0u; i < FM; i++) {
        for (var j = 0u; j < FN; j++) {
            let c = acc[i][j];
            let m = m0 + 4u * i;
            let n = n0 + 4u * j;
            store(m, n, c[0]);
            store(m + 1u, n, c[1]);
            store(m + 2u, n, c[2]);
            store(m + 3u, n, c[3]);
        }
    }
}
