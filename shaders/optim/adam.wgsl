// optim/adam - one step of Adam or AdamW over the flat parameter buffer.
// g = grad min(1, clip / |grad|);  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
// p' = p - lr (m c1 / (sqrt(v c2) + eps) + decay p),  c1 = 1 / (1 - b1^t), c2 = 1 / (1 - b2^t) from the host in f64
// work item: one vec4. traffic: 28 bytes per parameter (p, grad, m, v read; m, v, p' written).
//#include "common/index.wgsl"

// gain1 = 1 - beta1 and gain2 = 1 - beta2 come from the host: 1 - 0.999 in f32 is wrong in the fifth digit.
struct Params { quads: u32, beta1: f32, beta2: f32, gain1: f32, gain2: f32, eps: f32, decay: f32, clip: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> p: array<vec4f>; // @texels
@group(0) @binding(2) var<storage, read> grad: array<vec4f>; // @texels
@group(0) @binding(3) var<storage, read> norm: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>; // lr, c1, c2
@group(0) @binding(5) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> next: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_group(group, groups) * 256u + local;
    if i >= params.quads {
        return;
    }
    var scale = 1.0;
    if params.clip > 0.0 {
        scale = min(1.0, params.clip / (norm[0] + 1e-6));
    }
    let g = grad[i] * scale;
    let mi = params.beta1 * m[i] + params.gain1 * g;
    let vi = params.beta2 * v[i] + params.gain2 * g * g;
    m[i] = mi;
    v[i] = vi;
    let step = mi * hyper[1] / (sqrt(vi * hyper[2]) + params.eps) + params.decay * p[i];
    next[i] = p[i] - hyper[0] * step;
}
