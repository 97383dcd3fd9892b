// Writes four columns of C, whose rows are multiples of four elements.
@group(0) @binding(C_BINDING) var<storage, read_write> c: array<vec4f>;
const C_BINDING: u32 = 3u; // @param
//#include BIAS

fn store(m: u32, n: u32, sum: vec4f) {
    let row = c_row(m);
    if row != NO_ROW && n < cols() {
        c[(row + c_column(n).x) / 4u] = sum + bias(n);
    }
}
