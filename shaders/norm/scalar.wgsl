// Channels one at a time: any number of them.
alias T = f32;

// What the parts of a sum have in common with the rest of their group.
fn fold(v: T) -> T {
    return v;
}

fn first(v: T) -> T {
    return v;
}
