// Operands with rows of any length: four elements one by one.
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;

fn a_four(element: u32) -> vec4f {
    let i = min(element + vec4u(0u, 1u, 2u, 3u), vec4u(arrayLength(&a) - 1u));
    return vec4f(a[i.x], a[i.y], a[i.z], a[i.w]);
}
fn b_four(element: u32) -> vec4f {
    let i = min(element + vec4u(0u, 1u, 2u, 3u), vec4u(arrayLength(&b) - 1u));
    return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}
