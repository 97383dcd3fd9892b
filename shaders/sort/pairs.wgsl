// Sorting works on pairs (key, index): keys are floats mapped to u32 so that the order stays, NaN last; ties go by index,
// which makes the sort stable. Padding beyond the row has the largest key of all.

fn sort_key(bits: u32) -> u32 {
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return 0xfffffffeu; // NaN
    }
    let negative = bits != magnitude && magnitude != 0u;
    return select(magnitude | 0x80000000u, ~bits, negative);
}

fn after(a: vec2u, b: vec2u) -> bool {
    return a.x > b.x || (a.x == b.x && a.y > b.y);
}

// The lower element of the i-th pair of elements `gap` apart.
fn lower(i: u32, gap: u32) -> u32 {
    return 2u * i - (i & (gap - 1u));
}
