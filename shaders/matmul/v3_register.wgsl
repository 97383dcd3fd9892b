// matmul/v3_register - c[m, n] = sum_k a[m, k] b[k, n], with a small tile of c in the registers of a work item.
// changed from v2_tile: a work item computes SIDE x SIDE of c. From 2 SIDE loads out of workgroup memory it makes SIDE^2
// multiply-adds, where v2 makes one from two. gain: 3.4 on software Vulkan (512^3).
// work item: SIDE rows and columns, GROUP apart; workgroup: TILE x TILE of c. traffic: a is read N / TILE times, b M / TILE.
//#include "common/index.wgsl"

const SIDE: u32 = 4u; // @param
// Work items along either side of a workgroup, and the k of one step.
const GROUP: u32 = 16u; // @param
const TILE: u32 = SIDE * GROUP;

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

var<workgroup> a_tile: array<array<f32, GROUP>, TILE>;
var<workgroup> b_tile: array<array<f32, TILE>, GROUP>;

@compute @workgroup_size(GROUP, GROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u) {
    let tile = linear_group(group, groups);
    let across = (p.n + TILE - 1u) / TILE;
    let m0 = tile / across * TILE + local.y;
    let n0 = tile % across * TILE + local.x;
    var sum: array<array<f32, SIDE>, SIDE>;
    for (var k0 = 0u; k0 < p.k; k0 += GROUP) {
        for (var i = 0u; i < SIDE; i++) {
            let m = m0 + i * GROUP;
            let n = n0 + i * GROUP;
            a_tile[local.y + i * GROUP][local.x] = 0.0;
            if m < p.m && k0 + local.x < p.k {
                a_tile[local.y + i * GROUP][local.x] = a[m * p.k + k0 + local.x];
            }
            b_tile[local.y][local.x + i * GROUP] = 0.0;
            if k0 + local.y < p.k && n < p.n {
                b_tile[local.y][local.x + i * GROUP] = b[(k0 + local.y) * p.n + n];
            }
        }
        workgroupBarrier(); // the tiles are loaded
        for (var k = 0u; k < GROUP; k++) {
            var b_k: array<f32, SIDE>;
            for (var j = 0u; j < SIDE; j++) {
                b_k[j] = b_tile[k][local.x + j * GROUP];
            }
            for (var i = 0u; i < SIDE; i++) {
                let a_k = a_tile[local.y + i * GROUP][k];
                for (var j = 0u; j < SIDE; j++) {
                    sum[i][j] += a_k * b_k[j];
                }
            }
        }
        workgroupBarrier(); // the tiles are read; the memory may be reused
    }
    for (var i = 0u; i < SIDE; i++) {
        for (var j = 0u; j < SIDE; j++) {
            if m0 + i * GROUP < p.m && n0 + j * GROUP < p.n {
                c[(m0 + i * GROUP) * p.n + n0 + j * GROUP] = sum[i][j];
            }
        }
    }
}
