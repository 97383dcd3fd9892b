// Elements one at a time.
alias T = f32;
alias Bits = u32;
const WIDTH = 1u;

// The first of them.
fn from_four(v: vec4f) -> T {
    return v.x;
}

fn fold_max(v: T) -> f32 {
    return v;
}

fn fold_sum(v: T) -> f32 {
    return v;
}
