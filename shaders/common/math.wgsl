// Functions that hardware computes with too few digits, or whose naive form loses them or overflows.
// Arguments are clamped where f32 has saturated anyway.

// e^x - 1: near zero by its series.
fn expm1(x: f32) -> f32 {
    var s = 2.4801587e-5 * x + 1.9841270e-4;
    s = s * x + 1.3888889e-3;
    s = s * x + 8.3333333e-3;
    s = s * x + 4.1666667e-2;
    s = s * x + 1.6666667e-1;
    s = s * x + 0.5;
    return select(exp(x) - 1.0, (s * x) * x + x, abs(x) < 0.5);
}

// log(1 + u) for u in [0, 1]: 2 atanh(s), s = u / (2 + u) at most 1/3, by its series.
fn log1p(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let z = s * s;
    var t = 6.6666667e-2 * z + 7.6923077e-2;
    t = t * z + 9.0909091e-2;
    t = t * z + 1.1111111e-1;
    t = t * z + 1.4285714e-1;
    t = t * z + 0.2;
    t = t * z + 3.3333333e-1;
    return 2.0 * (s + (t * z) * s);
}

// (1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; tanh is 1 to f32 precision from 9.02 on.
fn safe_tanh(x: f32) -> f32 {
    let e = expm1(-2.0 * min(abs(x), 15.0));
    return sign(x) * (-e / (2.0 + e));
}

// 1 / (1 + e^-x); e^-87 is near the smallest normal f32.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0)));
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log1p(exp(-min(abs(x), 87.0)));
}

// (cos x, sin x) to 2^-22 for |x| up to 8192: x less q quarter turns, in three parts of pi / 2 whose products with q are
// exact, then a polynomial (Cephes sinf, cosf). WGSL promises 2^-11, and nothing beyond pi.
fn cos_sin(x: f32) -> vec2f {
    let q = floor(0.63661977 * x + 0.5);
    let r = ((x - q * 1.5703125) - q * 4.837512969970703125e-4) - q * 7.549789954891882e-8;
    let z = r * r;
    let s = r + r * z * (-1.6666655e-1 + z * (8.332161e-3 - z * 1.9515296e-4));
    let c = 1.0 + z * (-0.5 + z * (4.1666646e-2 + z * (-1.3887316e-3 + z * 2.4433157e-5)));
    let quarter = bitcast<u32>(i32(q));
    let turned = select(vec2f(c, s), vec2f(-s, c), (quarter & 1u) != 0u);
    return select(turned, -turned, (quarter & 2u) != 0u);
}

// 1 - erf(t) for t >= 0.9, and erf(x) for |x| < 0.93: polynomials by N. Juffa, good to 1 ulp of erf.
fn erfc_tail(t: f32) -> f32 {
    let r = min(t, 9.0);
    let s = r * r;
    var e = (-1.72853470e-5 * r + 3.83197126e-4) * s + (-3.88396438e-3 * r + 2.42546219e-2);
    e = e * r - 1.06777877e-1;
    e = e * r - 6.34846687e-1;
    e = e * r - 1.28717512e-1;
    return exp(e * r - r);
}

fn erf_center(x: f32) -> f32 {
    let s = x * x;
    var r = -5.96761703e-4 * s + 4.99119423e-3;
    r = r * s - 2.67681349e-2;
    r = r * s + 1.12819925e-1;
    r = r * s - 3.76125336e-1;
    r = r * s + 1.28379166e-1;
    return r * x + x;
}

fn erf(x: f32) -> f32 {
    return select(erf_center(x), sign(x) * (1.0 - erfc_tail(abs(x))), abs(x) > 0.92);
}

// The normal distribution function, (1 + erf(x / sqrt 2)) / 2.
fn normal_cdf(x: f32) -> f32 {
    let t = 0.70710678 * x;
    let tail = 0.5 * erfc_tail(abs(t));
    return select(0.5 + 0.5 * erf_center(t), select(tail, 1.0 - tail, x > 0.0), abs(t) > 0.92);
}
