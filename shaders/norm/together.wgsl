// A workgroup has one block, and its lanes add up their sums in workgroup memory.
const SIZE = WIDTH;

fn block_of(group: u32, invocation: u32) -> u32 {
    return group;
}

var<workgroup> sh_a: array<T, WIDTH>;
var<workgroup> sh_b: array<T, WIDTH>;

// The sums of a and b over the lanes with the same number modulo `lanes`, in a fixed order.
fn total(a: T, b: T, local: u32, lanes: u32) -> Pair {
    sh_a[local] = a;
    sh_b[local] = b;
    for (var half = WIDTH / 2u; half >= lanes; half /= 2u) {
        workgroupBarrier(); // the upper half is written
        if local < half {
            sh_a[local] += sh_a[local + half];
            sh_b[local] += sh_b[local + half];
        }
    }
    workgroupBarrier(); // the sums are written
    let sum = Pair(sh_a[local % lanes], sh_b[local % lanes]);
    workgroupBarrier(); // the sums are read; the memory may be reused
    return sum;
}
