// Operands whose rows are multiples of four elements, as textures of 4096 texels a row. Software Vulkan gathers a texel in 11 ns
// but a vec4f of a buffer in 220 ns (8 lanes, AVX2): its buffer loads insert element by element through memory.
@group(0) @binding(1) var a: texture_2d<f32>;
@group(0) @binding(2) var b: texture_2d<f32>;

fn a_four(element: u32) -> vec4f {
    return textureLoad(a, vec2u(element / 4u % 4096u, element / 16384u), 0);
}
fn b_four(element: u32) -> vec4f {
    return textureLoad(b, vec2u(element / 4u % 4096u, element / 16384u), 0);
}
