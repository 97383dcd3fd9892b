// What a reduction combines: 0 sum, 1 max, 2 min. The codes are `Kind` in src/ops/reduce.rs.
const OP: u32 = 0u; // @param

fn identity() -> f32 {
    switch OP {
        case 1u: { return -3.4028234e38; }
        case 2u: { return 3.4028234e38; }
        default: { return 0.0; }
    }
}
