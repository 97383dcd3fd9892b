// What the group norm kernels share. One workgroup has one block of channels of one image x[n, :, block]: a group, or
// four channels where groups are smaller. An item is one T of one pixel of the block.
//   z = gamma xhat + beta, xhat = (x - mean) / sqrt(variance + eps), y = z or silu(z)
//#include "common/index.wgsl"
//#include LAYOUT

const WIDTH: u32 = 8u; // @param
// T's of a block in one pixel.
const SPAN: u32 = 1u; // @param
const AFFINE: bool = false; // @param
const SILU: bool = false; // @param

// count: workgroups; stride: T's in one pixel; inverse: 1 / elements of a group.
struct Params { count: u32, blocks: u32, pixels: u32, stride: u32, eps: f32, inverse: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> gamma: array<T>;
@group(0) @binding(3) var<storage, read> beta: array<T>;

var<workgroup> sh_a: array<T, WIDTH>;
var<workgroup> sh_b: array<T, WIDTH>;

struct Pair { a: T, b: T }

// The sums of a and b over the workgroup, in a fixed order.
fn total(a: T, b: T, local: u32) -> Pair {
    sh_a[local] = a;
    sh_b[local] = b;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier(); // the upper half is written
        if local < half {
            sh_a[local] += sh_a[local + half];
            sh_b[local] += sh_b[local + half];
        }
    }
    workgroupBarrier(); // the sums are written
    let sum = Pair(sh_a[0], sh_b[0]);
    workgroupBarrier(); // the sums are read; the memory may be reused
    return sum;
}

// Where item i of the block that starts at `base` is.
fn item(base: u32, i: u32) -> u32 {
    return base + i / SPAN * p.stride + i % SPAN;
}

// xhat = (x - shift - mean) * scale. `shift` is one element of the group: sums of x - shift lose no digits to a mean
// far from zero.
struct Moments { shift: T, mean: T, scale: T }

fn moments(base: u32, local: u32) -> Moments {
    let shift = first(x[base]);
    var sum = T(0.0);
    var squares = T(0.0);
    for (var i = local; i < p.pixels * SPAN; i += WIDTH) {
        let d = x[item(base, i)] - shift;
        sum += d;
        squares += d * d;
    }
    let sums = total(sum, squares, local);
    let mean = fold(sums.a) * p.inverse;
    let variance = max(fold(sums.b) * p.inverse - mean * mean, T(0.0));
    return Moments(shift, mean, inverseSqrt(variance + p.eps));
}

fn normalise(v: T, m: Moments) -> T {
    return (v - m.shift - m.mean) * m.scale;
}

// Before the activation; `c` counts T's of channels.
fn affine(xhat: T, c: u32) -> T {
    if AFFINE {
        return gamma[c] * xhat + beta[c];
    }
    return xhat;
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
fn deactivate(z: T, ct: T) -> T {
    if SILU {
        let s = logistic(z);
        return ct * s * (1.0 + z * (1.0 - s));
    }
    return ct;
}
