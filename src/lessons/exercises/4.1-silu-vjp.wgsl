// 4.1 - y = silu(x) = x s(x), s(x) = 1 / (1 + exp(-x)). Given ct = dL/dy, return dL/dx.

fn silu_vjp(x: f32, ct: f32) -> f32 {
    return 0.0;
}
