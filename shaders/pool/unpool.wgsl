// pool/unpool - every window of the pooled x[N, P, Q, C] adds its value to all its pixels: the adjoint of pool/pool.
// y[n, h, w, c] = scale sum over p, q with 0 <= h + PAD - p S < K, 0 <= w + PAD - q S < K of x[n, p, q, c]
// work item: one result (T = f32 or vec4f along c). traffic: 4 bytes per element of x and y. K = S repeats pixels.
//#include "common/index.wgsl"

alias T = f32; // @param
const K: u32 = 2u; // @param
const S: u32 = 2u; // @param
const PAD: u32 = 0u; // @param

struct Params { count: u32, h: u32, w: u32, c: u32, out_h: u32, out_w: u32, scale: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>; // @texels
@group(0) @binding(2) var<storage, read_write> y: array<T>;

// The windows that hold coordinate i (counted with the padding), of n: first and one past the last.
fn windows(i: u32, n: u32) -> vec2u {
    return vec2u(select(0u, (i - K) / S + 1u, i >= K), min(i / S + 1u, n));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e >= p.count {
        return;
    }
    let c = e % p.c;
    let pixel = e / p.c;
    let rows = windows(pixel / p.out_w % p.out_h + PAD, p.h);
    let columns = windows(pixel % p.out_w + PAD, p.w);
    let image = pixel / p.out_w / p.out_h * p.h;
    var sum = T(0.0);
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            sum += x[((image + row) * p.w + column) * p.c + c];
        }
    }
    y[e] = sum * p.scale;
}
