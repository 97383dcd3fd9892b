// 2.2 - y[r, c] = exp(x[r, c]) / sum_k exp(x[r, k]). As it stands exp overflows above 88. The result stays the same when a
// number that belongs to the row is subtracted from all x of the row.

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= p.rows {
        return;
    }
    let first = at.x * p.columns;
    let last = first + p.columns;
    var top = x[first];
    for (var i = first; i < last; i++) {
        top = max(top, x[i]);
    }
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        sum += exp(x[i] - top);
    }
    for (var i = first; i < last; i++) {
        y[i] = exp(x[i] - top) / sum;
    }
}
