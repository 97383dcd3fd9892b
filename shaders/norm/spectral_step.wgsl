// norm/spectral_step - one step of power iteration.
// v = w t / |w t|, t = w^T u
// work item: every DOWN-th row of a column, then every LANES-th row; one workgroup. t passes through workgroup memory.
// traffic: 4 bytes per element; the second reading of w comes from the cache.
//#include "norm/singular.wgsl"

@group(0) @binding(3) var<storage, read_write> v: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) local: u32) {
    for (var i = local; i < p.rows; i += LANES) {
        v[i] = 0.0;
    }
    for (var first = 0u; first < p.columns; first += ACROSS) {
        along(first, local);
        let count = min(ACROSS, p.columns - first);
        for (var i = local; i < p.rows; i += LANES) {
            var sum = T(0.0);
            for (var j = 0u; j < count; j++) {
                sum += w[i * p.columns + first + j] * sh_t[j];
            }
            v[i] += fold_sum(sum);
        }
    }
    var squares = 0.0;
    for (var i = local; i < p.rows; i += LANES) {
        squares += v[i] * v[i];
    }
    let scale = 1.0 / (sqrt(total(squares, local)) + 1e-12);
    for (var i = local; i < p.rows; i += LANES) {
        v[i] *= scale;
    }
}
