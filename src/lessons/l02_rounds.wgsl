// l02_rounds - what a barrier costs: rounds of one multiply-add on workgroup memory, with a barrier each or without.

const SIZE: u32 = 64u; // @param
const BARRIER: bool = true; // @param

struct Params { rounds: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> part: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
    part[local] = f32(local);
    for (var i = 0u; i < p.rounds; i++) {
        part[local] = 0.5 * part[local] + 1.0;
        if BARRIER {
            workgroupBarrier();
        }
    }
    y[local] = part[local];
}
