// reduce/columns - the middle of [outer, dim, inner], one segment of one column per invocation.
// y[o, s, i] = combine_{j in segment s} x[o, j, i]
// work item: one element (T = f32) or four neighbours (T = vec4f) of y. traffic: 4 bytes per element of x.
//#include "common/index.wgsl"
//#include "reduce/functions.wgsl"

alias T = f32; // @param
alias Bits = u32; // @param

struct Params { outer: u32, dim: u32, inner: u32, segments: u32, per_segment: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 64u + local;
    if e >= p.outer * p.segments * p.inner {
        return;
    }
    let i = e % p.inner;
    let s = e / p.inner % p.segments;
    let o = e / (p.inner * p.segments);
    let first = s * p.per_segment;
    let last = min(first + p.per_segment, p.dim);
    var sum = T(0.0);
    if OP != 0u {
        sum = x[(o * p.dim + first) * p.inner + i];
    }
    for (var j = first; j < last; j++) {
        sum = combine(sum, x[(o * p.dim + j) * p.inner + i]);
    }
    y[e] = sum;
}
