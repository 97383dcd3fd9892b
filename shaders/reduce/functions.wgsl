// What a reduction combines, for T = f32 or vec4f: 0 sum, 1 max, 2 min. The codes are `Kind` in src/ops/reduce.rs.
// A sum starts from 0, an extreme from any of its elements.
//#include "common/special.wgsl"
const OP: u32 = 0u; // @param

fn combine(a: T, b: T) -> T {
    switch OP {
        case 1u: { return larger(a, b); }
        case 2u: { return smaller(a, b); }
        default: { return a + b; }
    }
}
