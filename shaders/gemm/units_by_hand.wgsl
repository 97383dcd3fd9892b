// Matrix units by hand: what gemm/units.wgsl asks of the adapter, by ordinary instructions, so that gemm/cooperative.wgsl runs and is
// tested where there are none. An invocation holds SIDE SIDE / 32 elements of C, and of A and B the place in the tile.

const SIDE = 16u; // @param
const HELD = SIDE * SIDE / 32u;
alias MatrixA = u32;
alias MatrixB = u32;
alias MatrixC = array<f32, HELD>;
alias Half4 = vec2u; // four f16, packed

fn to_half(v: vec4f) -> Half4 {
    return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

fn of_half(v: Half4, i: u32) -> f32 {
    return unpack2x16float(v[i / 2u])[i % 2u];
}

fn load_a(at: u32) -> MatrixA {
    return at;
}
fn load_b(at: u32) -> MatrixB {
    return at;
}

fn multiply_add(a: MatrixA, b: MatrixB, c: MatrixC, lane: u32) -> MatrixC {
    var sum = c;
    for (var e = 0u; e < HELD; e++) {
        let row = (lane * HELD + e) / SIDE;
        let column = (lane * HELD + e) % SIDE;
        for (var k = 0u; k < SIDE; k++) {
            let left = of_half(a_tile[a + row * A_ROW4 + k / 4u], k % 4u);
            sum[e] += left * of_half(b_tile[b + k * B_ROW4 + column / 4u], column % 4u);
        }
    }
    return sum;
}

fn put(c: MatrixC, at: u32, lane: u32) {
    for (var e = 0u; e < HELD; e++) {
        let i = lane * HELD + e;
        results[at + i / 4u][i % 4u] = c[e];
    }
}
