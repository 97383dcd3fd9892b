// How neighbours of mlp_chain share: WIDTH of them are a subgroup and see each other's registers.
const WIDTH: u32 = 8u; // @param

fn shared_row(row: vec4f, lane: u32) -> vec4f {
    return subgroupShuffle(row, lane);
}

fn shared_sum(value: f32) -> f32 {
    return subgroupAdd(value);
}
