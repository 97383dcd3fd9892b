// softmax/rows - softmax, or its logarithm, of every row.
// y[r, i] = exp(x[r, i] - top) / sum_j exp(x[r, j] - top), top = max_j x[r, j]
// LOG: y[r, i] = (x[r, i] - top) - log sum_j exp(x[r, j] - top); a row of -inf gives 0 (LOG: -inf)
// work item: every LANES-th element (T = f32 or vec4f) of a row; workgroup: ROWS rows, each folded as a tree in a fixed
// order. traffic: 8 bytes per element; the second and third reading of a row come from the cache.
//#include "common/index.wgsl"
//#include "common/vec4.wgsl" // @param ELEMENT
//#include "common/special.wgsl"

const LANES: u32 = 8u; // @param
const ROWS: u32 = 1u; // @param
const LOG: bool = false; // @param

struct Params { rows: u32, dim: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

var<workgroup> sh_part: array<f32, LANES * ROWS>;

// e^d, and NaN where d is: hardware may make a number of it.
fn exponential(d: T) -> T {
    return keep_nan(exp(d), d);
}

// The largest, or the sum, of the values of the row's lanes.
fn fold_lanes(value: f32, local: u32, largest: bool) -> f32 {
    sh_part[local] = value;
    let lane = local % LANES;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier(); // the upper half is written
        if lane < half {
            let other = sh_part[local + half];
            sh_part[local] = select(sh_part[local] + other, max(sh_part[local], other), largest);
        }
    }
    workgroupBarrier(); // the result is written
    let result = sh_part[local - lane];
    workgroupBarrier(); // the result is read; the memory may be reused
    return result;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let row = linear_group(group, groups) * ROWS + local / LANES;
    let live = row < p.rows;
    let first = row * p.dim + local % LANES;
    let last = select(first, (row + 1u) * p.dim, live);
    var best = T(-3.4028234e38);
    for (var i = first; i < last; i += LANES) {
        best = max(best, x[i]);
    }
    let top = fold_lanes(fold_max(best), local, true);
    var sum = T(0.0);
    for (var i = first; i < last; i += LANES) {
        sum += exponential(x[i] - top);
    }
    let total = fold_lanes(fold_sum(sum), local, false);
    // The sum is 0 only where every element is -inf.
    let none = total == 0.0;
    let shift = select(log(total), total, (bitcast<u32>(total) & 0x7fffffffu) > 0x7f800000u);
    let scale = select(1.0 / total, 0.0, none);
    for (var i = first; i < last; i += LANES) {
        if LOG {
            y[i] = select((x[i] - top) - shift, x[i], none);
        } else {
            y[i] = exp(x[i] - top) * scale;
        }
    }
}
