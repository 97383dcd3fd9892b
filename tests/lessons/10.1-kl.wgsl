// 10.1 - KL(N(m, s^2) || N(0, 1)) in one dimension; the encoder gives m and l = log s.

fn kl(m: f32, l: f32) -> f32 {
    return 0.5 * (m * m + exp(2.0 * l) - 1.0 - 2.0 * l);
}
