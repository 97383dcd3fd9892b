// Loader: conv2d as C[m,n] with m = output pixel (n,p,q), n = output channel, k = (r,s,c), c fastest and rounded up to C4.
// A gathers x; B is w, along its rows.
//#include "gemm/conv.wgsl"

const A_ALONG_K = true;
const B_ALONG_K = true;

fn rows() -> u32 { return p.images * P * Q; }
fn cols() -> u32 { return K; }
fn products() -> u32 { return 1u; }
fn begin(z: u32) -> vec2u { return vec2u(0u, R * S * C4); }

// The image and the first tap of four output pixels.
fn a_begin(m: u32) -> At {
    let pixel = min(m + LANES, vec4u(rows() - 1u));
    let y = vec4i(pixel / Q % P * STRIDE_Y) - i32(PAD_Y);
    let x = vec4i(pixel % Q * STRIDE_X) - i32(PAD_X);
    return At(pixel / (P * Q), y, x);
}
fn a_frag(at: At, k: u32) -> mat4x4f {
    let tap = k / C4;
    let y = at.y + i32(tap / S * DILATION_Y);
    let x = at.x + i32(tap % S * DILATION_X);
    return a_pixels(pixels(at.start, y, x, H, W), k % C4);
}

fn b_begin(n: u32) -> At {
    return At(min(n + LANES, vec4u(K - 1u)) * (R * S * B_ROW), vec4i(), vec4i());
}
fn b_frag(at: At, k: u32) -> mat4x4f {
    let i = at.start + k / C4 * B_ROW + k % C4;
    let n = remaining(k % C4, B_ROW);
    return transpose(mat4x4f(keep(b_four(i.x), true, n), keep(b_four(i.y), true, n),
                             keep(b_four(i.z), true, n), keep(b_four(i.w), true, n)));
}

fn c_row(m: u32) -> u32 {
    return select(NO_ROW, m * K, m < rows());
}
fn c_column(n: u32) -> vec2u {
    return vec2u(n, K - n);
}
