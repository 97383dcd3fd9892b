// reduce/rows - each segment of each row to one value.
// y[r, s] = combine_{i in segment s} x[r, i]
// work item: every WIDTH-th vec4 of a segment; workgroup: one segment of one row, folded as a tree in a fixed order.
// traffic: 4 bytes per element. Rows may start anywhere: the first and last vec4 are masked.
//#include "common/index.wgsl"
//#include "reduce/functions.wgsl"

alias T = vec4f;
alias Bits = vec4u;
const WIDTH: u32 = 64u; // @param

struct Params { rows: u32, dim: u32, segments: u32, per_segment: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> sh_part: array<f32, WIDTH>;

fn combine1(a: f32, b: f32) -> f32 {
    return combine(vec4f(a), vec4f(b)).x;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let g = linear_group(group, groups);
    let row = g / p.segments;
    let segment = g % p.segments;
    let live = row < p.rows;
    let first = row * p.dim + segment * p.per_segment;
    let last = row * p.dim + min((segment + 1u) * p.per_segment, p.dim);
    let quads = select(0u, (last + 3u) / 4u - first / 4u, live);
    var start = vec4f(0.0);
    if OP != 0u && live {
        start = vec4f(x[first / 4u][first % 4u]);
    }
    var sum = start;
    for (var k = local; k < quads; k += WIDTH) {
        let quad = first / 4u + k;
        let at = vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u);
        let inside = (at >= vec4u(first)) & (at < vec4u(last));
        sum = combine(sum, select(start, x[quad], inside));
    }
    sh_part[local] = combine1(combine1(sum.x, sum.y), combine1(sum.z, sum.w));
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier(); // the upper half is written
        if local < half {
            sh_part[local] = combine1(sh_part[local], sh_part[local + half]);
        }
    }
    if local == 0u && live {
        y[g] = sh_part[0];
    }
}
