// norm/spectral - a weight divided by its largest singular value.
// y_ij = w_ij / |t|, t = w^T u
// work item: every DOWN-th row of a column (T = f32 or vec4f); one workgroup, which folds sums as trees in a fixed order.
// traffic: 8 bytes per element; the second reading of w comes from the cache.
//#include "norm/singular.wgsl"

@group(0) @binding(3) var<storage, read_write> y: array<T>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) local: u32) {
    let scale = 1.0 / sqrt(square_of_sigma(local));
    for (var at = local; at < p.rows * p.columns; at += LANES) {
        y[at] = w[at] * scale;
    }
}
