// Channels four at a time. CHANNELS is 1 or 2 where four channels hold several groups, else 4.
alias T = vec4f;
const CHANNELS: u32 = 4u; // @param

// Every component becomes the sum over its group.
fn fold(v: T) -> T {
    switch CHANNELS {
        case 1u: { return v; }
        case 2u: { return vec4f(vec2f(v.x + v.y), vec2f(v.z + v.w)); }
        default: { return vec4f((v.x + v.y) + (v.z + v.w)); }
    }
}

// Every component becomes the first of its group.
fn first(v: T) -> T {
    switch CHANNELS {
        case 1u: { return v; }
        case 2u: { return v.xxzz; }
        default: { return v.xxxx; }
    }
}
