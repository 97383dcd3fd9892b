// Writes four rows of C (n of the tile) in one column (m of the tile).
@group(0) @binding(C_BINDING) var<storage, read_write> c: array<f32>;
const C_BINDING: u32 = 3u; // @param
//#include BIAS

fn store(m: u32, n: u32, sum: vec4f) {
    let column = c_column(m);
    if m >= cols() || column.y == 0u {
        return;
    }
    let rows = vec4u(c_row(n), c_row(n + 1u), c_row(n + 2u), c_row(n + 3u));
    let at = rows + column.x;
    let v = sum + bias(m).x;
    if rows.x != NO_ROW { c[at.x] = v.x; }
    if rows.y != NO_ROW { c[at.y] = v.y; }
    if rows.z != NO_ROW { c[at.z] = v.z; }
    if rows.w != NO_ROW { c[at.w] = v.w; }
}
