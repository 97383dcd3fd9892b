// The elementwise functions of two variables, for T = f32 or vec4f. The codes are `Kind` in src/ops/binary.rs.
//#include "common/special.wgsl"

const OP: u32 = 0u; // @param

fn combine(a: T, b: T) -> T {
    switch OP {
        case 0u: { return a + b; }
        case 1u: { return a - b; }
        case 2u: { return a * b; }
        case 3u: { return a / b; }
        case 4u: { return larger(a, b); }
        case 5u: { return smaller(a, b); }
        case 6u: { return ordered(select(T(0.0), T(1.0), a < b), a, b); }
        case 7u: { return ordered(select(T(0.0), T(1.0), a <= b), a, b); }
        case 8u: { return ordered(select(T(0.0), T(1.0), a == b), a, b); }
        case 9u: { return keep_nan(keep_nan(power(a, b), a), b); }
        default: { return a; }
    }
}
