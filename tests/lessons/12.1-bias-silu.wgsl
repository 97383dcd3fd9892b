// 12.1 - y = silu(x + bias), x [rows, columns], bias [columns], silu(v) = v / (1 + exp(-v)). As two kernels this moves 16 bytes
// a number, as one 8. Work item i computes y[i]; count = rows * columns.

struct Params { count: u32, columns: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let i = at.x;
    if i >= p.count {
        return;
    }
    let v = x[i] + bias[i % p.columns];
    y[i] = v / (1.0 + exp(-v));
}
