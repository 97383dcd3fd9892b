// The largest singular value of a weight w [rows, columns], as power iteration estimates it: |t| with t = w^T u.
// One workgroup: ACROSS invocations lie along a row, and the others below them take rows of their own.
//#include "common/vec4.wgsl" // @param ELEMENT

const LANES: u32 = 256u; // @param
const ACROSS: u32 = 32u; // @param
const DOWN: u32 = LANES / ACROSS;

// Columns are counted in T.
struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<T>; // @texels
@group(0) @binding(2) var<storage, read> u: array<f32>;

var<workgroup> sh_part: array<f32, LANES>;
var<workgroup> sh_t: array<T, LANES>;

// The sum over all invocations, in a fixed order.
fn total(value: f32, local: u32) -> f32 {
    sh_part[local] = value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier(); // the upper half is written
        if local < half {
            sh_part[local] += sh_part[local + half];
        }
    }
    workgroupBarrier(); // the sum is written
    let sum = sh_part[0];
    workgroupBarrier(); // the sum is read; the memory may be reused
    return sum;
}

// t_j = sum_i u_i w_ij of ACROSS columns from `first` on, 0 beyond the last, in sh_t[0..ACROSS]; every invocation is told that of
// its own column.
fn along(first: u32, local: u32) -> T {
    let j = first + local % ACROSS;
    var t = T(0.0);
    if j < p.columns {
        for (var i = local / ACROSS; i < p.rows; i += DOWN) {
            t += u[i] * w[i * p.columns + j];
        }
    }
    workgroupBarrier(); // sums of columns before are read
    sh_t[local] = t;
    for (var half = LANES / 2u; half >= ACROSS; half /= 2u) {
        workgroupBarrier(); // the upper half is written
        if local < half {
            sh_t[local] += sh_t[local + half];
        }
    }
    workgroupBarrier(); // the sums are written
    return sh_t[local % ACROSS];
}

// |t|^2
fn square_of_sigma(local: u32) -> f32 {
    var squares = 0.0;
    for (var first = 0u; first < p.columns; first += ACROSS) {
        let t = along(first, local);
        if local < ACROSS {
            squares += fold_sum(t * t);
        }
    }
    return total(squares, local);
}
