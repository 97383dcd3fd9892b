// movement/transpose - matrices with rows and columns exchanged, sixteen elements at a time.
// y[b, j, i] = x[b, i, j]
// work item: a block of 4 x 4. A workgroup has 8 x 8 of them, so that both sides are touched 128 bytes at a time.
// traffic: 8 bytes per element.
//#include "common/index.wgsl"

// Matrices, and rows and columns of x in fours.
struct Params { batch: u32, rows: u32, columns: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let tiles = (vec2u(p.rows, p.columns) + 7u) / 8u;
    let tile = linear_group(group, groups);
    let i = tile % tiles.x * 8u + local % 8u;
    let j = tile / tiles.x % tiles.y * 8u + local / 8u;
    let matrix = tile / (tiles.x * tiles.y);
    if i >= p.rows || j >= p.columns || matrix >= p.batch {
        return;
    }
    let first = (matrix * p.rows + i) * 4u * p.columns + j;
    let block = transpose(mat4x4f(x[first], x[first + p.columns], x[first + 2u * p.columns], x[first + 3u * p.columns]));
    let place = (matrix * p.columns + j) * 4u * p.rows + i;
    for (var c = 0u; c < 4u; c++) {
        y[place + c * p.rows] = block[c];
    }
}
