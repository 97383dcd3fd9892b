// Every lane has a block of its own (WIDTH = 1): for blocks of a few elements.
const SIZE = 64u;

fn block_of(group: u32, invocation: u32) -> u32 {
    return group * SIZE + invocation;
}

fn total(a: T, b: T, local: u32, lanes: u32) -> Pair {
    return Pair(a, b);
}
