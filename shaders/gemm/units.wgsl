enable f16;
enable wgpu_cooperative_matrix;
// What gemm/cooperative.wgsl asks of the adapter's matrix units: C += A B for SIDE x SIDE matrices of f16, sums in f32, which the 32
// invocations of a team hold together, in an order of the driver's own.

// Rows and columns of a matrix.
const SIDE = 16u; // @param
alias MatrixA = coop_mat16x16<f16, A>; // @param
alias MatrixB = coop_mat16x16<f16, B>; // @param
alias MatrixC = coop_mat16x16<f32, C>; // @param
alias Half4 = vec4<f16>;

fn to_half(v: vec4f) -> Half4 {
    return Half4(v);
}

// The matrices that begin at these vec4s of the tiles. (naga wants pointers and strides of matrices as names.)
fn load_a(at: u32) -> MatrixA {
    let row = A_ROW4;
    return coopLoadT<MatrixA>(&a_tile[at], row);
}
fn load_b(at: u32) -> MatrixB {
    let row = B_ROW4;
    return coopLoadT<MatrixB>(&b_tile[at], row);
}

fn multiply_add(a: MatrixA, b: MatrixB, c: MatrixC, lane: u32) -> MatrixC {
    return coopMultiplyAdd(a, b, c);
}

fn put(c: MatrixC, at: u32, lane: u32) {
    let row = SIDE / 4u;
    coopStoreT(c, &results[at], row);
}
