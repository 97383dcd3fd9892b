// matmul/v4_subgroup - c[m, n] = sum_k a[m, k] b[k, n], with rows shared through the registers of a subgroup.
// changed from v3_register: no workgroup memory and no barriers. A workgroup is one subgroup; lane i loads row i of a, and
// subgroupShuffle gives every lane the value that another one holds. gain: 4.5 on software Vulkan (512^3).
// work item: LANES rows and four columns, LANES apart. traffic: a is read N / (4 LANES) times, b is read M / LANES times.
// The kernels that Tensor::matmul runs go on from here and from v3: shaders/gemm.
//#include "common/index.wgsl"

// Lanes of a subgroup, and rows of c that each of them has.
const LANES: u32 = 8u; // @param

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let tile = linear_group(group, groups);
    let across = (p.n + 4u * LANES - 1u) / (4u * LANES);
    let m0 = tile / across * LANES;
    let n = tile % across * 4u * LANES + lane + LANES * vec4u(0u, 1u, 2u, 3u);
    // Past the edges the last row and column again, whose results are not stored.
    let row = min(m0 + lane, p.m - 1u);
    let column = min(n, vec4u(p.n - 1u));
    var sum: array<vec4f, LANES>;
    for (var k = 0u; k < p.k; k++) {
        let a_k = a[row * p.k + k];
        let at = k * p.n + column;
        let b_k = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
        for (var i = 0u; i < LANES; i++) {
            sum[i] += subgroupShuffle(a_k, i) * b_k;
        }
    }
    for (var i = 0u; i < LANES; i++) {
        for (var j = 0u; j < 4u; j++) {
            if m0 + i < p.m && n[j] < p.n {
                c[(m0 + i) * p.n + n[j]] = sum[i][j];
            }
        }
    }
}
