// Which elements a resized position reads, in whole numbers: no rounding decides which.
const LINEAR: bool = true; // @param

struct Source { at: u32, fraction: f32 }

// Position j of n reads element `at` of dim and, by `fraction`, the one after it.
fn source_of(j: u32, dim: u32, n: u32) -> Source {
    if !LINEAR {
        return Source(j * dim / n, 0.0);
    }
    // (j + 1/2) dim / n - 1/2 over the denominator 2 n.
    let position = max((2u * j + 1u) * dim, n) - n;
    return Source(position / (2u * n), f32(position % (2u * n)) / f32(2u * n));
}
