// 9.1 - E(x) = theta x^2 / 2 and one Langevin step x' = x - h theta x + noise. x itself came out of earlier steps and depends on
// theta: dx = dx/dtheta. Return dx'/dtheta; the noise is the same for every theta.

fn through(x: f32, dx: f32, theta: f32, h: f32) -> f32 {
    return (1.0 - h * theta) * dx - h * x;
}
