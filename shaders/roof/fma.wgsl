// roof/fma - what arithmetic can do at best: independent chains of multiply-adds that never leave the registers.
// x_0 = c + local / 256;  x_{n+1} = a x_n + b;  y = the sum over the chains c of x_{ROUNDS UNROLL}
// work item: one vec4 of y. flops: 8 CHAINS ROUNDS UNROLL per work item; traffic: 16 bytes.
//#include "common/index.wgsl"

const CHAINS: u32 = 2u; // @param
const ROUNDS: u32 = 256u; // @param
const UNROLL: u32 = 16u; // @param

struct Params { invocations: u32, a: f32, b: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    var x: array<vec4f, CHAINS>;
    for (var c = 0u; c < CHAINS; c++) {
        x[c] = vec4f(f32(c) + f32(local) / 256.0);
    }
    for (var n = 0u; n < ROUNDS; n++) {
        for (var u = 0u; u < UNROLL; u++) {
            for (var c = 0u; c < CHAINS; c++) {
                x[c] = fma(x[c], vec4f(p.a), vec4f(p.b));
            }
        }
    }
    var sum = vec4f(0.0);
    for (var c = 0u; c < CHAINS; c++) {
        sum += x[c];
    }
    let i = linear_group(group, groups) * 256u + local;
    if i < p.invocations {
        y[i] = sum;
    }
}
