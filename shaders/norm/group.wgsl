// What the group norm kernels share. WIDTH lanes have one block of channels of one image x[n, :, block]: a group, or
// four channels where groups are smaller. Every lane keeps to its own channels, so that it reads their gamma and beta once:
// ACROSS lanes lie side by side over the SPAN T's of a pixel, the others take other pixels.
//   z = gamma xhat + beta, xhat = (x - mean) / sqrt(variance + eps), y = z or silu(z)
//#include "common/index.wgsl"
//#include "norm/quad.wgsl" // @param LAYOUT

const WIDTH: u32 = 8u; // @param
// T's of a block in one pixel.
const SPAN: u32 = 1u; // @param
const ACROSS: u32 = 1u; // @param
const DOWN: u32 = WIDTH / ACROSS;
const AFFINE: bool = false; // @param
const SILU: bool = false; // @param

struct Pair { a: T, b: T }

// count: blocks; stride: T's in one pixel; inverse: 1 / elements of a group.
struct Params { count: u32, blocks: u32, pixels: u32, stride: u32, eps: f32, inverse: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read> gamma: array<T>; // @texels
@group(0) @binding(3) var<storage, read> beta: array<T>; // @texels

//#include "norm/together.wgsl" // @param LANES

// xhat = (x - shift - mean) * scale. `shift` is one element of the group: sums of x - shift lose no digits to a mean
// far from zero.
struct Moments { shift: T, mean: T, scale: T }

fn moments(base: u32, local: u32) -> Moments {
    let shift = first(x[base]);
    var sum = T(0.0);
    var squares = T(0.0);
    for (var j = local % ACROSS; j < SPAN; j += ACROSS) {
        for (var i = local / ACROSS; i < p.pixels; i += DOWN) {
            let d = x[base + i * p.stride + j] - shift;
            sum += d;
            squares += d * d;
        }
    }
    let sums = total(sum, squares, local, 1u);
    let mean = fold(sums.a) * p.inverse;
    // Rounding may leave less than 0; max would turn NaN into 0.
    let spread = fold(sums.b) * p.inverse - mean * mean;
    let variance = select(spread, T(0.0), spread < T(0.0));
    return Moments(shift, mean, inverseSqrt(variance + p.eps));
}

fn normalise(v: T, m: Moments) -> T {
    return (v - m.shift - m.mean) * m.scale;
}

// z = gain xhat + bias of the T's of channels at c.
struct Affine { gain: T, bias: T }

fn affine_at(c: u32) -> Affine {
    if AFFINE {
        return Affine(gamma[c], beta[c]);
    }
    return Affine(T(1.0), T(0.0));
}

fn logistic(z: T) -> T {
    return 1.0 / (1.0 + exp(-clamp(z, T(-87.0), T(87.0))));
}

fn activate(z: T) -> T {
    if SILU {
        return z * logistic(z);
    }
    return z;
}

// The cotangent of z from that of y.
fn act_vjp(z: T, ct: T) -> T {
    if SILU {
        let s = logistic(z);
        return ct * s * (1.0 + z * (1.0 - s));
    }
    return ct;
}
