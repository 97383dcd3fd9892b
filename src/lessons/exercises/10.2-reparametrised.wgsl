// 10.2 - The encoder's loss of one sample is L = f(z) + w KL(N(m, s^2) || N(0, 1)) with z = m + s eps, s = exp(l), eps ~ N(0, 1).
// The decoder's backward pass gives ct = df/dz. Return dL/dl.

fn encoder_gradient(ct: f32, m: f32, l: f32, eps: f32, w: f32) -> f32 {
    return 0.0;
}
