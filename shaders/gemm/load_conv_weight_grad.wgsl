// Loader: the gradient of conv2d with respect to w as C[m,n] with m = output channel, n = (r,s,c), c fastest and rounded up to
// C4, k = output pixel (n,p,q). A is dy, across its rows; B gathers x. The sum is long and the result small: it is cut
// into splits (z), each written to its own copy of C; reduce/columns.wgsl adds the copies in order.
//#include "gemm/conv.wgsl"

const A_ALONG_K = false;
const B_ALONG_K = false;

var<private> c_start: u32;

fn rows() -> u32 { return K; }
fn cols() -> u32 { return R * S * C4; }
fn products() -> u32 { return p.splits; }
fn count() -> u32 { return p.images * P * Q; }

fn begin(z: u32) -> vec2u {
    c_start = z * (K * R * S * CX);
    return min(vec2u(z, z + 1u) * p.slice, vec2u((count() + 3u) / 4u * 4u));
}

fn a_begin(m: u32) -> At {
    return At(vec4u(min(m, K - 1u)), vec4i(), vec4i());
}
fn a_frag(at: At, k: u32) -> mat4x4f {
    let pixel = k + LANES;
    let i = min(pixel, vec4u(count() - 1u)) * A_ROW + at.start.x;
    let inside = pixel < vec4u(count());
    return transpose(mat4x4f(keep(a_four(i.x), inside.x, 4u), keep(a_four(i.y), inside.y, 4u),
                             keep(a_four(i.z), inside.z, 4u), keep(a_four(i.w), inside.w, 4u)));
}

// The channel, and the tap relative to an output pixel.
fn b_begin(n: u32) -> At {
    let tap = min(n, cols() - 1u) / C4;
    let y = i32(tap / S * DILATION_Y) - i32(PAD_Y);
    let x = i32(tap % S * DILATION_X) - i32(PAD_X);
    return At(vec4u(n % C4), vec4i(y), vec4i(x));
}
fn b_frag(at: At, k: u32) -> mat4x4f {
    let pixel = min(k + LANES, vec4u(count() - 1u));
    let y = vec4i(pixel / Q % P * STRIDE_Y) + at.y;
    let x = vec4i(pixel % Q * STRIDE_X) + at.x;
    let v = pixels(pixel / (P * Q), y, x, H, W);
    let i = v.at * B_ROW + at.start.x;
    return mat4x4f(keep(b_four(i.x), v.inside.x, 4u), keep(b_four(i.y), v.inside.y, 4u),
                   keep(b_four(i.z), v.inside.z, 4u), keep(b_four(i.w), v.inside.w, 4u));
}

fn c_row(m: u32) -> u32 {
    return select(NO_ROW, c_start + m * (R * S * CX), m < K);
}
fn c_column(n: u32) -> vec2u {
    return vec2u(n / C4 * CX + n % C4, max(CX, n % C4) - n % C4);
}
