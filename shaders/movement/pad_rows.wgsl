// movement/pad_rows - rows of any length to rows of a multiple of four: b[r, c] = a[r, c], zeros behind.
// work item: four elements of b. traffic: 8 bytes an element. Software Vulkan: 1 ms for a million elements, from texels.
//#include "common/index.wgsl"

struct Params { quads: u32, row_in: u32, row_out: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read_write> b: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_group(group, groups) * 64u + local;
    if i >= p.quads {
        return;
    }
    let c = i * 4u % p.row_out;
    let at = i * 4u / p.row_out * p.row_in + c;
    // The four elements straddle two vec4f: pick them from number `at % 4` of eight on.
    let first = a[at / 4u];
    let second = a[min(at / 4u + 1u, arrayLength(&a) - 1u)];
    let two = (at & 2u) != 0u;
    let even = select(first, vec4f(first.zw, second.xy), two);
    let four = select(even, vec4f(even.yzw, select(second.x, second.z, two)), (at & 1u) != 0u);
    b[i] = select(vec4f(0.0), four, c + vec4u(0u, 1u, 2u, 3u) < vec4u(p.row_in));
}
