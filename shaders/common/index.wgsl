// Unfolds a grid that the host folded because WebGPU allows 65,535 workgroups per dimension.
fn linear_group(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
