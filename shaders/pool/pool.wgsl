// pool/pool - the scaled sum over square windows of x[N, H, W, C]; outside counts as 0.
// y[n, p, q, c] = scale sum_{i, j < K} x[n, p S - PAD + i, q S - PAD + j, c]
// work item: one result (T = f32 or vec4f along c). traffic: 4 bytes per element of x and y where windows do not overlap.
//#include "common/index.wgsl"

alias T = f32; // @param
const K: u32 = 2u; // @param
const S: u32 = 2u; // @param
const PAD: u32 = 0u; // @param

struct Params { count: u32, h: u32, w: u32, c: u32, out_h: u32, out_w: u32, scale: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e >= p.count {
        return;
    }
    let c = e % p.c;
    let pixel = e / p.c;
    let top = pixel / p.out_w % p.out_h * S;
    let left = pixel % p.out_w * S;
    let image = pixel / p.out_w / p.out_h * p.h;
    var sum = T(0.0);
    for (var i = 0u; i < K; i++) {
        for (var j = 0u; j < K; j++) {
            // Below PAD the subtraction wraps far beyond the image, so one comparison covers both sides.
            let row = top + i - PAD;
            let column = left + j - PAD;
            if row < p.h && column < p.w {
                sum += x[((image + row) * p.w + column) * p.c + c];
            }
        }
    }
    y[e] = sum * p.scale;
}
