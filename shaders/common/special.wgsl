// NaN and infinities, for T = f32 or vec4f (and Bits = u32 or vec4u). Compilers may assume that there are none, and a
// constant infinity does not compile: NaN is told by its bits, infinities come from data.

// y, or x where x is NaN.
fn keep_nan(y: T, x: T) -> T {
    return select(y, x, (bitcast<Bits>(x) & Bits(0x7fffffffu)) > Bits(0x7f800000u));
}

// The larger, or NaN where one of them is; WGSL's max may return the other.
fn larger(a: T, b: T) -> T {
    return keep_nan(keep_nan(max(a, b), a), b);
}

fn smaller(a: T, b: T) -> T {
    return keep_nan(keep_nan(min(a, b), a), b);
}

// c, or 0 where a or b is NaN: what a comparison gives.
fn ordered(c: T, a: T, b: T) -> T {
    let most = max(bitcast<Bits>(a) & Bits(0x7fffffffu), bitcast<Bits>(b) & Bits(0x7fffffffu));
    return select(c, T(0.0), most > Bits(0x7f800000u));
}

// x^a, also of a negative x for whole a; else its root is NaN.
fn power(x: T, a: T) -> T {
    let whole = floor(a) == a;
    let odd = whole & (floor(0.5 * a) * 2.0 != a);
    let of_zero = select(T(0.0), 1.0 / abs(x), a < T(0.0));
    let size = select(pow(abs(x), a), of_zero, x == T(0.0));
    let nan = bitcast<T>(bitcast<Bits>(x) | Bits(0x7fc00000u));
    let y = select(select(size, -size, odd & (x < T(0.0))), nan, !whole & (x < T(0.0)));
    return select(y, T(1.0), a == T(0.0));
}
