// Writes four columns of C, whose rows have any length.
@group(0) @binding(C_BINDING) var<storage, read_write> c: array<f32>;
const C_BINDING: u32 = 3u; // @param
//#include BIAS

fn store(m: u32, n: u32, sum: vec4f) {
    let row = c_row(m);
    let column = c_column(n);
    if row == NO_ROW || n >= cols() {
        return;
    }
    let at = row + column.x;
    let v = sum + bias(n);
    c[at] = v.x;
    if column.y > 1u { c[at + 1u] = v.y; }
    if column.y > 2u { c[at + 2u] = v.z; }
    if column.y > 3u { c[at + 3u] = v.w; }
}
