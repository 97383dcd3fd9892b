// The baked shape of a convolution: x[n,H,W,C], w[K,R,S,C], y[n,P,Q,K],
// y[n,p,q,k] = sum_{r,s,c} x[n, p STRIDE_Y - PAD_Y + r DILATION_Y, q STRIDE_X - PAD_X + s DILATION_X, c] w[k,r,s,c].
// Baked, because divisions by constants are multiplications. The number of images is not.

const H: u32 = 8u; // @param
const W: u32 = 8u; // @param
// C is called CX: C alone is a word of matrix units.
const CX: u32 = 4u; // @param
const K: u32 = 4u; // @param
const R: u32 = 3u; // @param
const S: u32 = 3u; // @param
const P: u32 = 8u; // @param
const Q: u32 = 8u; // @param
const STRIDE_Y: u32 = 1u; // @param
const STRIDE_X: u32 = 1u; // @param
const PAD_Y: u32 = 1u; // @param
const PAD_X: u32 = 1u; // @param
const DILATION_Y: u32 = 1u; // @param
const DILATION_X: u32 = 1u; // @param
// Elements of a pixel or a tap of A and of B as stored, padding included.
const A_ROW: u32 = 4u; // @param
const B_ROW: u32 = 4u; // @param

const C4 = (CX + 3u) / 4u * 4u;
const K4 = (K + 3u) / 4u * 4u;

struct Params {
    images: u32,
    splits: u32, // of a weight gradient: split z sums `slice` pixels (a multiple of four) into its own copy
    slice: u32,
}
@group(0) @binding(0) var<uniform> p: Params;

// Of four rows of A or columns of B: the image or the address they begin with, and the coordinates of a pixel or a tap.
struct At { start: vec4u, y: vec4i, x: vec4i }

// Four pixels of images [n,height,width]: their numbers and whether they are inside.
struct Pixels { at: vec4u, inside: vec4<bool> }

fn pixels(image: vec4u, y: vec4i, x: vec4i, height: u32, width: u32) -> Pixels {
    // A negative coordinate is a huge unsigned one.
    let inside = (vec4u(y) < vec4u(height)) & (vec4u(x) < vec4u(width));
    return Pixels(select(vec4u(0u), (image * height + vec4u(y)) * width + vec4u(x), inside), inside);
}

// How many elements of a row remain at c, for whoever looks at four.
fn remaining(c: u32, row: u32) -> u32 {
    return select(row - c, 4u, row % 4u == 0u);
}

// Four channels from c on of four pixels of A.
fn a_pixels(v: Pixels, c: u32) -> mat4x4f {
    let at = v.at * A_ROW + c;
    let n = remaining(c, A_ROW);
    return mat4x4f(keep(a_four(at.x), v.inside.x, n), keep(a_four(at.y), v.inside.y, n),
                   keep(a_four(at.z), v.inside.z, n), keep(a_four(at.w), v.inside.w, n));
}
