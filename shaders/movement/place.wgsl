// movement/place - up to four parts of a concatenation go to their places.
// y[o * total + start_i + j] = x_i[o * run_i + j], j < run_i
// work item: one T, an element or four (all numbers then count vec4f), of the parts side by side. traffic: 8 bytes per element.
//#include "common/index.wgsl"
//#include "common/vec4.wgsl" // @param ELEMENT

// Where each part ends when they lie side by side, which it does in rows; where it goes to in rows of `total`.
struct Params { count: u32, total: u32, @align(16) ends: vec4u, starts: vec4u }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_0: array<T>; // @texels
@group(0) @binding(2) var<storage, read> x_1: array<T>; // @texels
@group(0) @binding(3) var<storage, read> x_2: array<T>; // @texels
@group(0) @binding(4) var<storage, read> x_3: array<T>; // @texels
@group(0) @binding(5) var<storage, read_write> y: array<T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e >= p.count {
        return;
    }
    let o = e / p.ends.w;
    let j = e % p.ends.w;
    let row = o * p.total;
    if j < p.ends.x {
        y[row + p.starts.x + j] = x_0[o * p.ends.x + j];
    } else if j < p.ends.y {
        let i = j - p.ends.x;
        y[row + p.starts.y + i] = x_1[o * (p.ends.y - p.ends.x) + i];
    } else if j < p.ends.z {
        let i = j - p.ends.y;
        y[row + p.starts.z + i] = x_2[o * (p.ends.z - p.ends.y) + i];
    } else {
        let i = j - p.ends.z;
        y[row + p.starts.w + i] = x_3[o * (p.ends.w - p.ends.z) + i];
    }
}
