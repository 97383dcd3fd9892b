// sort/block - bitonic stages whose partners lie within one block of BLOCK pairs, in workgroup memory.
// For stage = first_stage, 2 first_stage, .. last_stage: for gap = min(stage, BLOCK) / 2, .. 1: exchange i and i + gap
// where they are out of order; a run of `stage` pairs ascends if its number is even.
// work item: pairs of pairs, WIDTH apart; workgroup: one block. traffic: 16 bytes per pair.
//#include "common/index.wgsl"
//#include "sort/pairs.wgsl"

const BLOCK: u32 = 512u; // @param
const WIDTH: u32 = 256u; // @param

struct Params { blocks: u32, padded: u32, first_stage: u32, last_stage: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> pairs: array<vec2u>;

var<workgroup> sh_pair: array<vec2u, BLOCK>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
    let g = linear_group(group, groups);
    if g >= p.blocks {
        return;
    }
    let base = g * BLOCK;
    for (var i = local; i < BLOCK; i += WIDTH) {
        sh_pair[i] = pairs[base + i];
    }
    workgroupBarrier(); // the block is loaded
    for (var stage = p.first_stage; stage <= p.last_stage; stage *= 2u) {
        for (var gap = min(stage, BLOCK) / 2u; gap > 0u; gap /= 2u) {
            for (var i = local; i < BLOCK / 2u; i += WIDTH) {
                let low = lower(i, gap);
                let ascends = (((base + low) % p.padded) & stage) == 0u;
                let a = sh_pair[low];
                let b = sh_pair[low + gap];
                if after(a, b) == ascends {
                    sh_pair[low] = b;
                    sh_pair[low + gap] = a;
                }
            }
            workgroupBarrier(); // this gap is exchanged
        }
    }
    for (var i = local; i < BLOCK; i += WIDTH) {
        pairs[base + i] = sh_pair[i];
    }
}
