// How invocations of mlp_chain share where there are no subgroups: through workgroup memory alone.
const WIDTH: u32 = 1u;

fn shared_row(row: vec4f, lane: u32) -> vec4f {
    return row;
}

fn shared_sum(value: f32) -> f32 {
    return value;
}
