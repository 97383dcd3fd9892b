// Operands whose rows are multiples of four elements.
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;

fn a_four(element: u32) -> vec4f {
    return a[element / 4u];
}
fn b_four(element: u32) -> vec4f {
    return b[element / 4u];
}
