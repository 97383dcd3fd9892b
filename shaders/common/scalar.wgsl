// Elements one at a time.
alias T = f32;

fn fold_max(v: T) -> f32 {
    return v;
}

fn fold_sum(v: T) -> f32 {
    return v;
}
