// What all loaders share. A fragment is a mat4x4f: of A, column i holds row m + i at k .. k + 3; of B, column i holds
// row k + i at columns n .. n + 3.
const LANES = vec4u(0u, 1u, 2u, 3u);
const NO_ROW = 0xffffffffu;

// The first `count` of four elements if `inside`, zeros for the rest. A select, so that nothing invalid is multiplied.
fn keep(v: vec4f, inside: bool, count: u32) -> vec4f {
    return select(vec4f(0.0), v, (LANES < vec4u(count)) & vec4<bool>(inside));
}
