// 11.2 - The target that the value V(x_t, t) is regressed to, in one dimension, for one step of the sampler from x to x_next:
// V(x_next, t + 1) + tau c - tau log sigma, c = (x_next - x)^2 / (2 s^2). v_next is V(x_next, t + 1).

fn target_of(v_next: f32, x: f32, x_next: f32, s: f32, sigma: f32, tau: f32) -> f32 {
    let step = (x_next - x) / s;
    return v_next + 0.5 * tau * step * step - tau * log(sigma);
}
