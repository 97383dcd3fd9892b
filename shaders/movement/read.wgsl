// movement/read - permute, broadcast, slice, flip and pad: every result reads one element, or is the fill value.
// y[o] = x[sum_d i_d stride_d], i_d = (start_d + step_d o_d) / gap_d; fill where an i_d is not a whole number in 0..size_d
// work item: four T, 256 apart; T = vec4f where the innermost dimension is read four at a time: its numbers (and all strides)
// then count vec4f. traffic: 8 bytes per result.
//#include "common/index.wgsl"
//#include "common/vec4.wgsl" // @param ELEMENT

const RANK: u32 = 1u; // @param
// Whether any dimension can miss; permutations and broadcasts never do.
const MASKED: bool = true; // @param
// Whether any gap is wider than 1.
const GAPS: bool = true; // @param

struct Params {
    count: u32,
    fill: f32,
    dim: array<vec4u, 2>,
    start: array<vec4i, 2>,
    step: array<vec4i, 2>,
    gap: array<vec4u, 2>,
    size: array<vec4u, 2>,
    stride: array<vec4u, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

// A work item has EACH T, SIZE apart.
const SIZE = 256u;
const EACH = 4u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let first = linear_group(group, groups) * SIZE * EACH + local;
    for (var j = 0u; j < EACH; j++) {
        let o = first + j * SIZE;
        if o < p.count {
            var rest = o;
            var at = 0u;
            var inside = true;
            for (var k = 0u; k < RANK; k++) {
                let d = RANK - 1u - k;
                let dim = p.dim[d / 4u][d % 4u];
                let c = select(rest % dim, rest, d == 0u);
                rest = rest / dim;
                if MASKED {
                    let s = p.start[d / 4u][d % 4u] + p.step[d / 4u][d % 4u] * i32(c);
                    var i = u32(max(s, 0));
                    if GAPS {
                        let gap = p.gap[d / 4u][d % 4u];
                        inside = inside && i % gap == 0u;
                        i /= gap;
                    }
                    inside = inside && s >= 0 && i < p.size[d / 4u][d % 4u];
                    at += i * p.stride[d / 4u][d % 4u];
                } else {
                    at += c * p.stride[d / 4u][d % 4u];
                }
            }
            if inside {
                y[o] = x[at];
            } else {
                y[o] = T(p.fill);
            }
        }
    }
}
