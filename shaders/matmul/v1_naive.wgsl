// matmul/v1_naive - one product at a time: the definition as a kernel.
// c[i, m, n] = sum_k a[i, m, k] b[i, k, n] + bias[n], both operands with any strides
// work item: one c[i, m, n]. traffic: every element of a is read N times and every element of b M times, from caches at best.
// The ladder goes on in v2_tile. Small products run this kernel, which takes operands as they lie.
//#include "common/index.wgsl"

const BIAS: bool = false; // @param

struct Params {
    count: u32, m: u32, n: u32, k: u32,
    a_batch: u32, a_m: u32, a_k: u32,
    b_batch: u32, b_k: u32, b_n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 64u + local;
    if e >= p.count {
        return;
    }
    let n = e % p.n;
    let m = e / p.n % p.m;
    let i = e / (p.n * p.m);
    var sum = 0.0;
    if BIAS {
        sum = bias[n];
    }
    for (var k = 0u; k < p.k; k++) {
        sum += a[i * p.a_batch + m * p.a_m + k * p.a_k] * b[i * p.b_batch + k * p.b_k + n * p.b_n];
    }
    c[e] = sum;
}
