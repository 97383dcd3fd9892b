// 11.1 - A sampler draws x = mu + sigma eps, sigma = exp(u), and pays L = E(x) - tau log sigma with the energy E(x) = theta x^2 / 2.
// Return dL/du for one draw eps.

fn sampler_gradient(theta: f32, mu: f32, u: f32, eps: f32, tau: f32) -> f32 {
    let sigma = exp(u);
    let x = mu + sigma * eps;
    return theta * x * sigma * eps - tau;
}
