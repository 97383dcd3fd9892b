// elementwise/binary - a function of two broadcast operands, any strides.
// y[o] = a[sum_d o_d A_d] op b[sum_d o_d B_d], o = (o_0 .. o_RANK-1) the coordinates of one result
// work item: four results, 256 apart. traffic: 4 bytes per operand element and result, when neighbours are neighbours.
//#include "common/index.wgsl"
//#include "elementwise/binary_functions.wgsl"

alias T = f32;
alias Bits = u32;
const RANK: u32 = 1u; // @param

struct Params { count: u32, dims: array<vec4u, 2>, a: array<vec4u, 2>, b: array<vec4u, 2> }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// A work item has EACH elements, SIZE apart.
const SIZE = 256u;
const EACH = 4u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let start = linear_group(group, groups) * SIZE * EACH + local;
    for (var j = 0u; j < EACH; j++) {
        let o = start + j * SIZE;
        if o < p.count {
            var rest = o;
            var a_at = 0u;
            var b_at = 0u;
            for (var k = 0u; k < RANK; k++) {
                let d = RANK - 1u - k;
                let dim = p.dims[d / 4u][d % 4u];
                let c = select(rest % dim, rest, d == 0u);
                rest = rest / dim;
                a_at += c * p.a[d / 4u][d % 4u];
                b_at += c * p.b[d / 4u][d % 4u];
            }
            y[o] = combine(a[a_at], b[b_at]);
        }
    }
}
