// sort/exchange - one bitonic step whose partners are further apart than a block.
// Exchanges pairs i and i + gap where they are out of order; a run of `stage` pairs ascends if its number is even.
// work item: one exchange. traffic: 32 bytes per exchange.
//#include "common/index.wgsl"
//#include "sort/pairs.wgsl"

struct Params { count: u32, padded: u32, stage: u32, gap: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> pairs: array<vec2u>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let e = linear_group(group, groups) * 256u + local;
    if e < p.count {
        let low = lower(e, p.gap);
        let ascends = ((low % p.padded) & p.stage) == 0u;
        let a = pairs[low];
        let b = pairs[low + p.gap];
        if after(a, b) == ascends {
            pairs[low] = b;
            pairs[low + p.gap] = a;
        }
    }
}
