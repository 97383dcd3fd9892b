// 2.1 - y[r] = sum_k x[r, k]: one workgroup of 64 a row. Each work item has added up every 64th number of the row and put its
// sum into part. Fold the 64 sums as a tree: with half = 32, 16, 8, 4, 2, 1 the first half work items add
// part[local + half] to their own, and all wait for each other before the next round reads what this one wrote.

struct Params { columns: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var k = local; k < p.columns; k += 64u) {
        sum += x[group.x * p.columns + k];
    }
    part[local] = sum;
    // Your rounds.
    if local == 0u {
        y[group.x] = part[0];
    }
}
