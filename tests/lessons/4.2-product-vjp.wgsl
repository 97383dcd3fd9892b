// 4.2 - c = a b, c[m, n] = sum_k a[m, k] b[k, n]. Given ct = dL/dc [M, N] and b [K, N], compute da = dL/da [M, K].
// Which c does a[m, k] take part in, and with which factor?

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ct: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> da: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let e = at.x;
    if e >= p.m * p.k {
        return;
    }
    let m = e / p.k;
    let k = e % p.k;
    var sum = 0.0;
    for (var n = 0u; n < p.n; n++) {
        sum += ct[m * p.n + n] * b[k * p.n + n];
    }
    da[e] = sum;
}
