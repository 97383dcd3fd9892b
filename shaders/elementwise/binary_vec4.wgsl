// elementwise/binary_vec4 - a function of two broadcast operands, four results at a time.
// y[o] = a[sum_d o_d A_d] op b[sum_d o_d B_d]
// changed from binary: where the innermost dimension is a multiple of 4 (or the only one), an operand either gives four
// neighbours or, when it is stretched along that dimension (SPLAT), one value for all four.
// work item: four vec4, 256 apart. traffic: 12 bytes per element for equal shapes.
//#include "common/index.wgsl"
//#include "elementwise/binary_functions.wgsl"

alias T = vec4f;
alias Bits = vec4u;
const RANK: u32 = 1u; // @param
const A_SPLAT: bool = false; // @param
const B_SPLAT: bool = false; // @param

struct Params { count: u32, dims: array<vec4u, 2>, a: array<vec4u, 2>, b: array<vec4u, 2> }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> b: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

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
            var rest = o * 4u;
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
            var va = a[a_at / 4u];
            if A_SPLAT {
                va = vec4f(va[a_at % 4u]);
            }
            var vb = b[b_at / 4u];
            if B_SPLAT {
                vb = vec4f(vb[b_at % 4u]);
            }
            y[o] = combine(va, vb);
        }
    }
}
