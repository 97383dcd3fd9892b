// 4.1 - y = silu(x) = x s(x), s(x) = 1 / (1 + exp(-x)). Given ct = dL/dy, return dL/dx.

fn silu_vjp(x: f32, ct: f32) -> f32 {
    let s = 1.0 / (1.0 + exp(-x));
    return ct * s * (1.0 + x * (1.0 - s));
}
