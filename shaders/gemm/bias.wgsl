// One number for each column of C.
@group(0) @binding(3) var<storage, read> bias_values: array<f32>;

fn bias(n: u32) -> vec4f {
    let i = min(n + LANES, vec4u(cols() - 1u));
    return vec4f(bias_values[i.x], bias_values[i.y], bias_values[i.z], bias_values[i.w]);
}
