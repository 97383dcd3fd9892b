// 6.2 - MALA's proposal y was drawn from q(y | x) = N(y; x - h g, 2 h). e and g are E and dE/dx at x, f and k are those at y;
// T = 1. Return log( p(y) q(x | y) / (p(x) q(y | x)) ), p proportional to exp(-E). (The minimum with 0 comes later.)

fn log_ratio(x: f32, e: f32, g: f32, y: f32, f: f32, k: f32, h: f32) -> f32 {
    let there = y - (x - h * g); // how far y is from where the drift takes x
    return 0.0;
}
