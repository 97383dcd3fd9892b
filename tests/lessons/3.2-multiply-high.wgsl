// 3.2 - The upper 32 bits of the 64-bit product a b. WGSL keeps only the lower ones: a * b.
// With halves of 16 bits, a = 2^16 ah + al: a b = 2^32 ah bh + 2^16 (ah bl + al bh) + al bl. Each product of halves fits
// into 32 bits; their sums need not.

fn multiply_high(a: u32, b: u32) -> u32 {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let left = ah * bl + (low >> 16u);
    let right = al * bh + (left & 0xffffu);
    return ah * bh + (left >> 16u) + (right >> 16u);
}
