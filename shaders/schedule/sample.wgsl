// The samples that the four elements of a vec4 belong to. The ways of looking are `Lookup` in src/ops/schedule.rs:
// 2 there is one value for all, 3 the vec4 lies in one sample, 4 it may hold several; its tail lanes stay in range.
fn sample_of(quad: u32, lookup: u32, samples: u32, per_sample: u32) -> vec4u {
    if lookup == 2u {
        return vec4u(0u);
    }
    if lookup == 3u {
        return vec4u(quad * 4u / per_sample);
    }
    return min((vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u)) / per_sample, vec4u(samples - 1u));
}
