// Elements four at a time.
alias T = vec4f;
alias Bits = vec4u;
const WIDTH = 4u;

fn from_four(v: vec4f) -> T {
    return v;
}

fn fold_max(v: T) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

fn fold_sum(v: T) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}
