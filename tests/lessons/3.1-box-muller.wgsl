// 3.1 - The Box-Muller transform. u and v are uniform on (0, 1) and independent; return two independent normal numbers.
// A pair of normal numbers has radius^2 / 2 exponentially distributed, as -log u is, and a uniform angle.

fn box_muller(u: f32, v: f32) -> vec2f {
    let radius = sqrt(-2.0 * log(u));
    let angle = 6.2831853 * v;
    return vec2f(radius * cos(angle), radius * sin(angle)); // the cosine first
}
