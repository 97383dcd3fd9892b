// Functions whose naive form overflows. The arguments are clamped where f32 has saturated anyway.

// tanh is 1 to f32 precision from 9.02 on; some drivers divide two infinite exponentials beyond 44.
fn safe_tanh(x: f32) -> f32 {
    return tanh(clamp(x, -15.0, 15.0));
}

// 1 / (1 + e^-x); e^-88 is the smallest normal f32.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0)));
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log(1.0 + exp(-min(abs(x), 87.0)));
}
