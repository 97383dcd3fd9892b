// scan/scan - sums from the start of the middle axis of [outer, dim, inner], one segment of one column per invocation.
// y[o, j, i] = before[o, segment - 1, i] + sum_{k <= j in the segment} x[o, k, i]; only the last of each segment if TOTALS
// work item: one segment. traffic: 8 bytes per element (4 if TOTALS).
//#include "common/index.wgsl"

// Sums from the end instead of from the start: positions count backwards.
const REVERSE: bool = false; // @param
const TOTALS: bool = false; // @param
// Whether `before` holds the running sums of the segments.
const CARRY: bool = false; // @param

struct Params { count: u32, dim: u32, inner: u32, segments: u32, per_segment: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> before: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 64u + local;
    if e >= p.count {
        return;
    }
    let i = e % p.inner;
    let segment = e / p.inner % p.segments;
    let o = e / p.inner / p.segments;
    let first = segment * p.per_segment;
    let last = min(first + p.per_segment, p.dim);
    var sum = 0.0;
    if CARRY && segment > 0u {
        sum = before[e - p.inner];
    }
    for (var j = first; j < last; j++) {
        let at = (o * p.dim + select(j, p.dim - 1u - j, REVERSE)) * p.inner + i;
        sum += x[at];
        if !TOTALS {
            y[at] = sum;
        }
    }
    if TOTALS {
        y[e] = sum;
    }
}
