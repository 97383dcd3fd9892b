// Which elements a resized position reads, in whole numbers: no rounding decides which.
// 0 nearest, 1 nearest from pixel centres, 2 linear, 3 linear with the corners in place; `Rule` in src/ops/resize.rs.
const RULE: u32 = 2u; // @param

struct Source { at: u32, fraction: f32 }

// Position j of n reads element `at` of dim and, by `fraction`, the one after it.
fn source_of(j: u32, dim: u32, n: u32) -> Source {
    switch RULE {
        case 0u: { return Source(j * dim / n, 0.0); }
        case 1u: { return Source((2u * j + 1u) * dim / (2u * n), 0.0); }
        // (j + 1/2) dim / n - 1/2 over the denominator 2 n.
        case 2u: { return quotient(max((2u * j + 1u) * dim, n) - n, 2u * n); }
        default: { return quotient(j * (dim - 1u), max(n - 1u, 1u)); }
    }
}

fn quotient(position: u32, unit: u32) -> Source {
    return Source(position / unit, f32(position % unit) / f32(unit));
}
