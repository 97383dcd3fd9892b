// distance/pairwise - squared distances between the rows of a[n, d] and b[m, d], as sums of squared differences.
// y[i, j] = sum_k (a[i, k] - b[j, k])^2
// work item: a 4 x 4 tile of y; workgroup: TILE x TILE of y. Rows beyond the end repeat the last one and are not written.
// traffic: 4 bytes per element of y; a and b come from the cache, (n m / 2) d elements of them.
//#include "common/index.wgsl"
//#include "common/vec4.wgsl" // @param ELEMENT

// Rows and columns of a workgroup.
const TILE: u32 = 32u; // @param
const SIDE = TILE / 4u;

struct Params { n: u32, m: u32, d: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(SIDE * SIDE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let tile = linear_group(group, groups);
    let tiles = (p.m + TILE - 1u) / TILE;
    let row = tile / tiles * TILE + local / SIDE * 4u;
    // Neighbouring invocations own neighbouring columns, SIDE apart within one, so that their stores are together.
    let column = tile % tiles * TILE + local % SIDE;
    if row >= p.n {
        return;
    }
    var a_at: array<u32, 4>;
    var b_at: array<u32, 4>;
    for (var i = 0u; i < 4u; i++) {
        a_at[i] = min(row + i, p.n - 1u) * p.d;
        b_at[i] = min(column + SIDE * i, p.m - 1u) * p.d;
    }
    var sum: array<T, 16>;
    for (var k = 0u; k < p.d; k++) {
        let r = array<T, 4>(b[b_at[0] + k], b[b_at[1] + k], b[b_at[2] + k], b[b_at[3] + k]);
        for (var i = 0u; i < 4u; i++) {
            let l = a[a_at[i] + k];
            for (var j = 0u; j < 4u; j++) {
                sum[4u * i + j] += (l - r[j]) * (l - r[j]);
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            if row + i < p.n && column + SIDE * j < p.m {
                y[(row + i) * p.m + column + SIDE * j] = fold_sum(sum[4u * i + j]);
            }
        }
    }
}
