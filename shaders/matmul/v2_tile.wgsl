// matmul/v2_tile - c[m, n] = sum_k a[m, k] b[k, n], with tiles of a and b in workgroup memory.
// changed from v1_naive: the work items of a workgroup load a tile of a and a tile of b together and all read them there, so an
// element comes from memory once for a workgroup instead of once for a work item. gain: 1.0 on
// software Vulkan (512^3), whose workgroup memory is ordinary memory.
// work item: one c[m, n]; workgroup: TILE x TILE of them. traffic: a is read N / TILE times, b is read M / TILE times.
//#include "common/index.wgsl"

const TILE: u32 = 16u; // @param

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

var<workgroup> a_tile: array<array<f32, TILE>, TILE>;
var<workgroup> b_tile: array<array<f32, TILE>, TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u) {
    let tile = linear_group(group, groups);
    let across = (p.n + TILE - 1u) / TILE;
    let m = tile / across * TILE + local.y;
    let n = tile % across * TILE + local.x;
    var sum = 0.0;
    for (var k0 = 0u; k0 < p.k; k0 += TILE) {
        // Past the edges zeros, which add nothing.
        a_tile[local.y][local.x] = 0.0;
        if m < p.m && k0 + local.x < p.k {
            a_tile[local.y][local.x] = a[m * p.k + k0 + local.x];
        }
        b_tile[local.y][local.x] = 0.0;
        if k0 + local.y < p.k && n < p.n {
            b_tile[local.y][local.x] = b[(k0 + local.y) * p.n + n];
        }
        workgroupBarrier(); // the tiles are loaded
        for (var k = 0u; k < TILE; k++) {
            sum += a_tile[local.y][k] * b_tile[k][local.x];
        }
        workgroupBarrier(); // the tiles are read; the memory may be reused
    }
    if m < p.m && n < p.n {
        c[m * p.n + n] = sum;
    }
}
