// Loader: the gradient of conv2d with respect to x as C[m,n] with m = pixel of dx, n = channel c, k = (r,s,k), k fastest and
// rounded up to K4. A gathers dy; B is w, across its rows. With a stride only some taps reach a given pixel, so the
// pixels are sorted by phase (h mod STRIDE_Y, w mod STRIDE_X): each phase is a product z over its own taps only.
//#include "gemm/conv.wgsl"

// STRIDE_Y / gcd(STRIDE_Y, DILATION_Y): from one tap of a phase to the next.
const TAP_STEP_Y: u32 = 1u; // @param
const TAP_STEP_X: u32 = 1u; // @param
const A_ALONG_K = true;
const B_ALONG_K = false;
const PHASE_H = (H + STRIDE_Y - 1u) / STRIDE_Y; // pixels of a phase
const PHASE_W = (W + STRIDE_X - 1u) / STRIDE_X;

var<private> phase: vec2u;
var<private> first: vec2u; // tap of the phase
var<private> taps: vec2u;  // of the phase

fn rows() -> u32 { return p.images * PHASE_H * PHASE_W; }
fn cols() -> u32 { return CX; }
fn products() -> u32 { return STRIDE_Y * STRIDE_X; }

// The first tap r below `step` with (at - r dilation) mod stride = 0; `none` if there is none.
fn first_tap(at: u32, dilation: u32, stride: u32, step: u32, none: u32) -> u32 {
    for (var r = 0u; r < step; r++) {
        if (i32(at) - i32(r * dilation)) % i32(stride) == 0 {
            return r;
        }
    }
    return none;
}

fn begin(z: u32) -> vec2u {
    let z_phase = vec2u(z / STRIDE_X, z % STRIDE_X);
    let z_first = vec2u(first_tap(z_phase.x + PAD_Y, DILATION_Y, STRIDE_Y, TAP_STEP_Y, R),
                        first_tap(z_phase.y + PAD_X, DILATION_X, STRIDE_X, TAP_STEP_X, S));
    let step = vec2u(TAP_STEP_Y, TAP_STEP_X);
    let z_taps = (vec2u(R, S) - min(z_first, vec2u(R, S)) + step - 1u) / step;
    phase = z_phase;
    first = z_first;
    taps = z_taps;
    return vec2u(0u, z_taps.x * z_taps.y * K4);
}
fn taps_across() -> u32 {
    return select(taps.y, S, TAP_STEP_X == 1u); // where it is constant, division is cheap
}

// The image and the output pixel that reaches each of four pixels at its first tap.
fn a_begin(m: u32) -> At {
    let pixel = min(m + LANES, vec4u(rows() - 1u));
    let y = vec4i(pixel / PHASE_W % PHASE_H * STRIDE_Y + phase.x + PAD_Y) - i32(first.x * DILATION_Y);
    let x = vec4i(pixel % PHASE_W * STRIDE_X + phase.y + PAD_X) - i32(first.y * DILATION_X);
    return At(pixel / (PHASE_H * PHASE_W), y / i32(STRIDE_Y), x / i32(STRIDE_X));
}
fn a_frag(at: At, k: u32) -> mat4x4f {
    let tap = k / K4;
    let y = at.y - i32(tap / taps_across() * (TAP_STEP_Y * DILATION_Y / STRIDE_Y));
    let x = at.x - i32(tap % taps_across() * (TAP_STEP_X * DILATION_X / STRIDE_X));
    return a_pixels(pixels(at.start, y, x, P, Q), k % K4);
}

fn b_begin(n: u32) -> At {
    return At(vec4u(min(n, CX - 1u)), vec4i(), vec4i());
}
fn b_frag(at: At, k: u32) -> mat4x4f {
    let tap = k / K4;
    let r = first.x + tap / taps_across() * TAP_STEP_Y;
    let s = first.y + tap % taps_across() * TAP_STEP_X;
    let i = ((min(k % K4 + LANES, vec4u(K - 1u)) * R + r) * S + s) * B_ROW + at.start.x;
    return mat4x4f(b_four(i.x), b_four(i.y), b_four(i.z), b_four(i.w));
}

fn c_row(m: u32) -> u32 {
    let h = m / PHASE_W % PHASE_H * STRIDE_Y + phase.x;
    let w = m % PHASE_W * STRIDE_X + phase.y;
    let inside = m < rows() && h < H && w < W;
    return select(NO_ROW, ((m / (PHASE_H * PHASE_W) * H + h) * W + w) * CX, inside);
}
fn c_column(n: u32) -> vec2u {
    return vec2u(n, CX - n);
}
