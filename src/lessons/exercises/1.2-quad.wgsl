// 1.2 - c[m, n] = sum_k a[m, k] b[k, n], four neighbours of a row by one work item. N is a multiple of 4.
// Work item e computes c[m, n], c[m, n + 1], c[m, n + 2] and c[m, n + 3]: the a[m, k] it reads is used four times.

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let quads = p.n / 4u;
    if at.x >= p.m * quads {
        return;
    }
    let m = at.x / quads;
    let n = at.x % quads * 4u;
    var sum = vec4f();
    for (var k = 0u; k < p.k; k++) {
        // Complete this: the other three columns.
        sum.x += a[m * p.k + k] * b[k * p.n + n];
    }
    for (var q = 0u; q < 4u; q++) {
        c[m * p.n + n + q] = sum[q];
    }
}
