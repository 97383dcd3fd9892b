// movement/scatter_add - adds what has the same index: the adjoint of movement/gather.
// y[o, r, i] = sum over k < n with index[k] = r of x[o, k, i], or index[o, k] where every row has a list of its own
// work item: one result (T = f32 or vec4f), which looks at all n indices: no atomics, one fixed order.
// traffic: 4 bytes per element of x and y; n indices per result, from the cache.
//#include "common/index.wgsl"

alias T = f32; // @param

// list: n where every row has a list of its own, else 0.
struct Params { count: u32, dim: u32, n: u32, inner: u32, list: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> index: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e >= p.count {
        return;
    }
    let i = e % p.inner;
    let r = f32(e / p.inner % p.dim);
    let o = e / p.inner / p.dim;
    var sum = T(0.0);
    var k = 0u;
    loop {
        // Searching is a loop of its own: software Vulkan runs both sides of every branch, but does leave loops.
        while k < p.n && index[o * p.list + k] != r {
            k++;
        }
        if k >= p.n {
            break;
        }
        sum += x[(o * p.n + k) * p.inner + i];
        k++;
    }
    y[e] = sum;
}
