// norm/spectral_grad - the cotangent through spectral normalisation to the weight; u is a constant.
// dw_ij = (g_ij - <g, w> u_i t_j / |t|^2) / |t|, t = w^T u
// work item: every DOWN-th row of a column (T = f32 or vec4f); one workgroup, which folds sums as trees in a fixed order.
// traffic: 12 bytes per element; later readings come from the cache.
//#include "norm/singular.wgsl"

@group(0) @binding(3) var<storage, read> g: array<T>; // @texels
@group(0) @binding(4) var<storage, read_write> dw: array<T>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) local: u32) {
    let square = square_of_sigma(local);
    var product = 0.0;
    for (var at = local; at < p.rows * p.columns; at += LANES) {
        product += fold_sum(g[at] * w[at]);
    }
    let scale = 1.0 / sqrt(square);
    let share = total(product, local) / square;
    for (var first = 0u; first < p.columns; first += ACROSS) {
        let j = first + local % ACROSS;
        let t = share * along(first, local);
        if j < p.columns {
            for (var i = local / ACROSS; i < p.rows; i += DOWN) {
                let at = i * p.columns + j;
                dw[at] = scale * (g[at] - t * u[i]);
            }
        }
    }
}
