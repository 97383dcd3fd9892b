// 6.1 - One Langevin step from x, whose law tends to exp(-E / T) / Z for small steps h. slope is dE/dx at x, xi is a
// standard normal number.

fn langevin_step(x: f32, slope: f32, h: f32, temperature: f32, xi: f32) -> f32 {
    return x - h * slope + sqrt(2.0 * h * temperature) * xi;
}
