// What the bodies of a product share. C[z,m,n] = sum_k A[z,m,k] B[z,k,n] (+ bias[n]), computed in tiles.
//
// A loader (gemm/load_*.wgsl) says where the elements of A, B and C lie. A fragment is a mat4x4f. The loader provides
//   rows(), cols()          M and N of one product
//   products()              how many products there are, splits of k included
//   begin(z)                prepares product z; returns the range of k it sums, both ends multiples of four
//   At                      what is known of four rows of A, or of four columns of B, before k is
//   a_begin(m), b_begin(n)  that of rows m .. m + 3 of A, of columns n .. n + 3 of B; past the edge of any that exist
//   a_frag(at, k)           column i holds row m + i of A at k .. k + 3, with zeros past the end of k
//   b_frag(at, k)           column i holds row k + i of B at columns n .. n + 3
//   A_ALONG_K, B_ALONG_K    whether neighbours in k are neighbours in memory
//   c_row(m), c_column(n)   where row m of C begins, or NO_ROW past the edge; where column n lies in a row, and how many
//                           columns follow
// and reads memory with a_four and b_four.
//#include "gemm/load_matmul.wgsl" // @param LOADER
//#include "common/vec4.wgsl" // @param ELEMENT

// What A and B are read as: vec4f where their rows are multiples of four elements (READ_VEC4), else f32. In the same way
// ELEMENT chooses T for C.
alias READ = vec4f; // @param
const READ_VEC4: bool = true; // @param
const BIAS: bool = false; // @param
// Whether the rows of a tile are columns of C, C^T = B^T A^T: a tile can have as few as four rows but not as few columns.
const SWAP: bool = false; // @param

const LANES = vec4u(0u, 1u, 2u, 3u);
const NO_ROW = 0xffffffffu;

@group(0) @binding(1) var<storage, read> a_data: array<READ>; // @texels
@group(0) @binding(2) var<storage, read> b_data: array<READ>; // @texels
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c_data: array<T>;

// Four neighbours in memory.
fn a_four(element: u32) -> vec4f {
    if READ_VEC4 {
        return vec4f(a_data[element / 4u]);
    }
    let i = min(element + LANES, vec4u(arrayLength(&a_data) - 1u));
    return vec4f(vec4f(a_data[i.x]).x, vec4f(a_data[i.y]).x, vec4f(a_data[i.z]).x, vec4f(a_data[i.w]).x);
}
fn b_four(element: u32) -> vec4f {
    if READ_VEC4 {
        return vec4f(b_data[element / 4u]);
    }
    let i = min(element + LANES, vec4u(arrayLength(&b_data) - 1u));
    return vec4f(vec4f(b_data[i.x]).x, vec4f(b_data[i.y]).x, vec4f(b_data[i.z]).x, vec4f(b_data[i.w]).x);
}

// The first `count` of four elements if `inside`, zeros for the rest. A select, so that nothing invalid is multiplied.
fn keep(v: vec4f, inside: bool, count: u32) -> vec4f {
    return select(vec4f(0.0), v, (LANES < vec4u(count)) & vec4<bool>(inside));
}

// The sides of a tile: A and B, or swapped.
const M_ALONG_K = (A_ALONG_K && !SWAP) || (B_ALONG_K && SWAP);
const N_ALONG_K = (B_ALONG_K && !SWAP) || (A_ALONG_K && SWAP);

fn m_size() -> u32 {
    return select(rows(), cols(), SWAP);
}
fn n_size() -> u32 {
    return select(cols(), rows(), SWAP);
}
fn m_begin(m: u32) -> At {
    if SWAP { return b_begin(m); }
    return a_begin(m);
}
fn n_begin(n: u32) -> At {
    if SWAP { return a_begin(n); }
    return b_begin(n);
}
fn m_frag(at: At, k: u32) -> mat4x4f {
    if SWAP { return transpose(b_frag(at, k)); }
    return a_frag(at, k);
}
fn n_frag(at: At, k: u32) -> mat4x4f {
    if SWAP { return transpose(a_frag(at, k)); }
    return b_frag(at, k);
}

// The first row and column of a workgroup's tile, and which product it belongs to.
struct Tile { m: u32, n: u32, z: u32 }

// Tiles of `size` lie row by row, product after product.
fn tile_of(group: vec3u, groups: vec3u, size: vec2u) -> Tile {
    let index = group.y * groups.x + group.x;
    let tiles = (vec2u(m_size(), n_size()) + size - 1u) / size;
    return Tile(index / tiles.y % tiles.x * size.x, index % tiles.y * size.y, index / (tiles.x * tiles.y));
}

// Writes columns n .. n + 3 of row m of a tile.
fn store(m: u32, n: u32, sum: vec4f) {
    if SWAP {
        store_down(n, m, sum);
    } else {
        store_across(m, n, sum);
    }
}

// Four columns of C.
fn store_across(m: u32, n: u32, sum: vec4f) {
    let row = c_row(m);
    if row == NO_ROW || n >= cols() {
        return;
    }
    let column = c_column(n);
    let at = row + column.x;
    var v = sum;
    if BIAS {
        let i = min(n + LANES, vec4u(cols() - 1u));
        v += vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
    }
    if WIDTH == 4u {
        c_data[at / 4u] = from_four(v);
        return;
    }
    c_data[at] = from_four(v);
    if column.y > 1u { c_data[at + 1u] = from_four(v.yyyy); }
    if column.y > 2u { c_data[at + 2u] = from_four(v.zzzz); }
    if column.y > 3u { c_data[at + 3u] = from_four(v.wwww); }
}

// Four rows of C.
fn store_down(m: u32, n: u32, sum: vec4f) {
    let column = c_column(n);
    if n >= cols() || column.y == 0u {
        return;
    }
    let rows = vec4u(c_row(m), c_row(m + 1u), c_row(m + 2u), c_row(m + 3u));
    let at = rows + column.x;
    var v = sum;
    if BIAS {
        v += bias[n];
    }
    if rows.x != NO_ROW { c_data[at.x] = from_four(v); }
    if rows.y != NO_ROW { c_data[at.y] = from_four(v.yyyy); }
    if rows.z != NO_ROW { c_data[at.z] = from_four(v.zzzz); }
    if rows.w != NO_ROW { c_data[at.w] = from_four(v.wwww); }
}
