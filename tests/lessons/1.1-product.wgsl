// 1.1 - c[m, n] = sum_k a[m, k] b[k, n]: a is [M, K], b is [K, N], c is [M, N], all row by row.
// Work item e computes c[e], that is row e / N and column e % N.

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let e = at.x;
    if e >= p.m * p.n {
        return;
    }
    let m = e / p.n;
    let n = e % p.n;
    var sum = 0.0;
    for (var k = 0u; k < p.k; k++) {
        sum += a[m * p.k + k] * b[k * p.n + n];
    }
    c[e] = sum;
}
