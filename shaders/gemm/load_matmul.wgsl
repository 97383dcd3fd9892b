// Loader: C[z,m,n] = sum_k A[z,m,k] B[z,k,n] of stored matrices. Sizes are not baked: one pipeline serves every shape.

// A lies as [k, m].
const TRANSPOSE_A: bool = false; // @param
// B lies as [n, k].
const TRANSPOSE_B: bool = false; // @param
// K is no multiple of four.
const RAGGED_K: bool = false; // @param
const A_ALONG_K = !TRANSPOSE_A;
const B_ALONG_K = TRANSPOSE_B;

struct Params {
    m: u32, n: u32, k: u32,
    products: u32, // batch * splits
    splits: u32,   // product z = (batch element, split); a split sums `slice` values of k into its own copy of C
    slice: u32,    // a multiple of four
    a_row: u32, b_row: u32, // elements of a row as stored, padding included
}
@group(0) @binding(0) var<uniform> p: Params;

var<private> a_start: u32;
var<private> b_start: u32;
var<private> c_start: u32;

alias At = vec4u; // addresses at k = 0

fn rows() -> u32 { return p.m; }
fn cols() -> u32 { return p.n; }
fn products() -> u32 { return p.products; }

fn begin(z: u32) -> vec2u {
    let batch = z / p.splits;
    a_start = batch * p.a_row * select(p.m, p.k, TRANSPOSE_A);
    b_start = batch * p.b_row * select(p.k, p.n, TRANSPOSE_B);
    c_start = z * p.m * p.n;
    let first = z % p.splits * p.slice;
    return vec2u(first, min(first + p.slice, (p.k + 3u) / 4u * 4u));
}

// The addresses of rows m .. m + 3 of A at k = 0; past the edge the last row again, whose result is not stored.
fn a_begin(m: u32) -> At {
    let row = min(m + LANES, vec4u(p.m - 1u));
    return a_start + select(row * p.a_row, vec4u(row.x), TRANSPOSE_A);
}
fn a_frag(at: At, k: u32) -> mat4x4f {
    if TRANSPOSE_A {
        let row = at + min(k + LANES, vec4u(p.k - 1u)) * p.a_row;
        let f = transpose(mat4x4f(a_four(row.x), a_four(row.y), a_four(row.z), a_four(row.w)));
        return keep_k(f, k);
    }
    return keep_k(mat4x4f(a_four(at.x + k), a_four(at.y + k), a_four(at.z + k), a_four(at.w + k)), k);
}

fn b_begin(n: u32) -> At {
    let column = min(n + LANES, vec4u(p.n - 1u));
    return b_start + select(vec4u(column.x), column * p.b_row, TRANSPOSE_B);
}
fn b_frag(at: At, k: u32) -> mat4x4f {
    if TRANSPOSE_B {
        return transpose(keep_k(mat4x4f(b_four(at.x + k), b_four(at.y + k), b_four(at.z + k), b_four(at.w + k)), k));
    }
    let row = at + min(k + LANES, vec4u(p.k - 1u)) * p.b_row;
    return mat4x4f(b_four(row.x), b_four(row.y), b_four(row.z), b_four(row.w));
}

// Zeros past the end of k, which runs along the components.
fn keep_k(f: mat4x4f, k: u32) -> mat4x4f {
    if !RAGGED_K {
        return f;
    }
    let count = p.k - k;
    return mat4x4f(keep(f[0], true, count), keep(f[1], true, count), keep(f[2], true, count), keep(f[3], true, count));
}

// Where row m of C begins; where column n lies in a row, and how many columns follow.
fn c_row(m: u32) -> u32 {
    return select(NO_ROW, c_start + m * p.n, m < p.m);
}
fn c_column(n: u32) -> vec2u {
    return vec2u(n, p.n - n);
}
