// 8.2 - Recovery likelihood with the energy E(y) = (y^2 - 1)^2: p(y | x_t) ~ exp(-E(y) - (y - x_t)^2 / (2 s^2)).
// Return the derivative with respect to y of what stands behind the minus: a Langevin step goes down along it.

fn recovery_gradient(y: f32, x_t: f32, s: f32) -> f32 {
    return 4.0 * y * (y * y - 1.0) + (y - x_t) / (s * s);
}
