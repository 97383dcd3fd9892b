//! # Memory: elementwise, reductions, barriers
//!
//! Most kernels of a training step compute next to nothing: `y = a + b` does one addition for 12 bytes moved. Their time is bytes
//! moved divided by bandwidth, and the bandwidth that counts is the one a plain copy reaches on the same device, the copy roof. A good
//! elementwise kernel or reduction stands close to it; what can be gained beyond that is bytes that are not moved at all.
//!
//! ## Fusing
//!
//! `silu(x) = x / (1 + exp(-x))` as five operations, `x * recip(1 + exp(-x))`, writes four intermediate arrays and reads them again.
//! Four kernels move 8 bytes a number and the product 12: 44 bytes. One kernel reads x and writes y: 8 bytes. The traffic predicts
//! 5.5 times the speed. If less is measured, arithmetic has a share in the fused kernel's time, as exp has on software Vulkan.
//!
//! ```
//! use ebm::prelude::*;
//!
//! // Fused or not, it is one function.
//! for device in [Ok(Device::oracle()), Device::open()].into_iter().flatten() {
//!     let x = Tensor::uniform(&device, [1000], &Key::new(1)).affine(16.0, -8.0);
//!     let parts = &x * &x.mul_scalar(-1.0).exp().add_scalar(1.0).recip();
//!     let off = (x.silu() - parts).abs().max_axes(&[0]).item()?;
//!     assert!(off < 1e-5, "{off}");
//! }
//! # Ok::<(), Error>(())
//! ```
//!
//! ## Reductions
//!
//! A sum has one result and many workers. Each work item first adds up its own share, a plain loop; then the 64 sums of a workgroup
//! meet in workgroup memory and are folded as a **tree**: half of the work items add the sums of the other half to their own, then a
//! quarter, and so on, 6 rounds in place of 63 additions one after the other (`shaders/reduce/rows.wgsl`, exercise 2.1). The order
//! of additions is fixed, so two runs give the same bits.
//!
//! Softmax along rows needs two reductions, the row's maximum and the sum of `exp(x - max)`, and then the row once more: it is near the
//! roof if the row comes from memory only once.
//!
//! ## Barriers
//!
//! Between two rounds of the tree stands `workgroupBarrier()`: no work item passes before all of its workgroup have arrived and
//! their writes to workgroup memory are visible. Without it a work item may read a sum that is not there yet, in some runs and on
//! some devices. What it costs is measured with a loop of B rounds of one multiply-add on workgroup memory (`l02_rounds.wgsl`), with
//! a barrier in each round or without: time against B is a line whose slope is the cost of a round.
//!
//! A graphics card hides the wait when another workgroup has work. Software Vulkan runs the work items of a workgroup on one thread, a
//! few at a time, and at a barrier has to put one set aside and take up the next: the cost grows with the workgroup. Where there are
//! subgroup operations the last rounds need no barrier: the lanes of a subgroup read each other's registers.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::bench::{self, Bench};
use crate::error::Result;
use crate::gpu::{Kernel, Source, Work, Workgroups};
use crate::plot::Curves;
use crate::tensor::{Device, Key, Tensor};
use crate::uniforms;
use std::time::Instant;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 2,
    name: "memory",
    source: include_str!("l02_memory.rs"),
    needs_gpu: true,
    run,
    exercises: &[
        Exercise {
            file: "2.1-tree.wgsl",
            task: "fold the sums of a workgroup as a tree",
            stub: include_str!("exercises/2.1-tree.wgsl"),
            check: tree,
        },
        Exercise {
            file: "2.2-softmax.wgsl",
            task: "repair a softmax that overflows",
            stub: include_str!("exercises/2.2-softmax.wgsl"),
            check: softmax,
        },
    ],
};

/// Rounds of a multiply-add on workgroup memory by one workgroup.
const ROUNDS: Source = Source { path: "lessons/l02_rounds.wgsl", text: include_str!("l02_rounds.wgsl") };

/// Milliseconds of an iteration in the fastest of three batches of at least 5 ms each.
fn ms(device: &Device, mut iteration: impl FnMut()) -> Result<f64> {
    let mut time = |runs: u32| -> Result<f64> {
        let start = Instant::now();
        (0..runs).for_each(|_| iteration());
        device.wait()?;
        Ok(start.elapsed().as_secs_f64() * 1e3 / f64::from(runs))
    };
    let mut runs = 1;
    while time(runs)? * f64::from(runs) < 5.0 && runs < 1 << 14 {
        runs *= 2;
    }
    (0..3).try_fold(f64::INFINITY, |fastest, _| Ok(fastest.min(time(runs)?)))
}

/// Puts kernels below the copy roof, and draws the time of barriers.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let Some(gpu) = device.gpu() else { return Ok(()) };
    page.say(&format!("On {device}:"))?;
    let n = 1 << 24;
    let in_parts = move |device: &Device| -> Box<dyn FnMut()> {
        let x = Tensor::uniform(device, [n], &Key::new(2)).affine(16.0, -8.0);
        Box::new(move || drop(&x * &x.mul_scalar(-1.0).exp().add_scalar(1.0).recip()))
    };
    let [copy, _] = bench::roofs(gpu.profile());
    let others = bench::select(bench::kernels(), "add_16Mi sum_16Mi softmax_4096x1024 silu_16Mi")?;
    let (name, work) = ("silu in 5 kernels", Work::bytes(44 * n as u64));
    let unfused = Bench { name, work, check: Box::new(|_| Ok(())), setup: Box::new(in_parts) };
    let (mut rows, mut silu, mut roof) = (Vec::new(), Vec::new(), 0.0);
    for bench in [copy].into_iter().chain(others).chain([unfused]) {
        let (ms, gb) = (ms(device, (bench.setup)(device))?, bench.work.bytes as f64 / 1e9);
        let gbps = gb / ms * 1e3;
        roof = if rows.is_empty() { gbps } else { roof };
        silu.extend(bench.name.starts_with("silu").then_some(ms));
        let [ms, gbps, percent] = [ms, gbps, 100.0 * gbps / roof].map(|x| format!("{x:.1}"));
        rows.push(vec![bench.name.to_string(), format!("{gb:.3}"), ms, gbps, percent]);
    }
    page.table(&["kernel", "GB moved", "ms", "GB/s", "% of the copy roof"], &rows)?;
    page.say(&format!("One kernel in place of five is {:.1} times as fast; traffic predicts 5.5.", silu[1] / silu[0]))?;
    let mut chart = Curves::new("microseconds of one workgroup").along("rounds");
    let rounds = [0, 4096, 8192, 12_288, 16_384];
    let (mut rows, mut each) = (Vec::new(), Vec::new());
    for (size, barrier) in [(32, true), (64, true), (128, true), (256, true), (256, false)] {
        let y = Tensor::zeros(device, [size]);
        let kernel = Kernel::new(ROUNDS).with("SIZE", size).with("BARRIER", barrier);
        let one = Workgroups::Count(1);
        let dispatch = |rounds: u32| gpu.dispatch(&kernel, uniforms![rounds], &[y.slice()], one, Work::default());
        let us = rounds.map(|rounds| ms(device, || dispatch(rounds)).map(|ms| 1e3 * ms));
        let us = us.into_iter().collect::<Result<Vec<f64>>>()?;
        let name = format!("{size} work items, {}", ["no barrier", "barriers"][usize::from(barrier)]);
        let round = (us[4] - us[0]) / f64::from(rounds[4]) * 1e3;
        each.push(round);
        rows.push(vec![name.clone(), format!("{round:.1}"), format!("{:.2}", round * roof / 1e3)]);
        chart = chart.series(&name, &rounds.map(f64::from), &us);
    }
    page.table(&["one workgroup", "ns a round", "KB that a copy moves meanwhile"], &rows)?;
    page.say(&format!("The barrier of 256 work items costs {:.0} ns, the last two rows tell.", each[3] - each[4]))?;
    page.svg(&chart.svg(), "The slope of a line is the cost of a round.");
    Ok(())
}

fn tree(attempt: &Attempt) -> Checked {
    if !attempt.text.contains("workgroupBarrier();") {
        return Err("there is no workgroupBarrier(): nothing waits until part[local + half] is written".into());
    }
    let (rows, columns) = (3, 150);
    let x: Vec<f32> = (0..rows * columns).map(|i| Key::new(2).uniform(i as u64) as f32).collect();
    let got = attempt.kernel(LESSON.exercises[0].stub, uniforms![columns], &[&x], rows, Workgroups::Count(rows))?;
    // The sum of what the work items `of` have added up.
    let sum = |of: fn(usize) -> bool| -> Vec<f32> {
        let row = |row: &[f32]| row.iter().enumerate().filter(|(k, _)| of(k % 64)).map(|(_, x)| x).sum();
        x.chunks(columns).map(row).collect()
    };
    judge(
        &got,
        &sum(|_| true),
        &[
            (sum(|k| k == 0), "only work item 0's own sum is there: fold the others into part[0]"),
            (sum(|k| k % 2 == 0), "the last round is missing: with half = 1 part[0] gets part[1]"),
            (sum(|k| k < 32), "the upper half is never added: the first round has half = 32"),
            (sum(|k| k == 63), "a round replaces part[local]: add part[local + half] to it"),
        ],
    )
}

fn softmax(attempt: &Attempt) -> Checked {
    let (rows, columns) = (5, 9);
    // An ordinary row, then 200 above, 200 below, the last numbers far above the others, far below.
    let level = |r: usize, c: usize| [0.0, 200.0, -200.0, [0.0, 150.0][c / 5 % 2], [0.0, -150.0][c / 5 % 2]][r];
    let count = rows * columns;
    let x: Vec<f32> = (0..count).map(|i| level(i / columns, i % columns) + (i * 5 % 7) as f32 / 4.0).collect();
    let (stub, uniforms) = (LESSON.exercises[1].stub, uniforms![rows, columns]);
    let got = attempt.kernel(stub, uniforms, &[&x], count, Workgroups::Elements(rows))?;
    // exp(x - shift), divided by the sum over the row, in f32 as the kernel; NaN stands for whatever overflow leaves.
    let each = |shift: fn(&[f32]) -> f32, divide: bool| -> Vec<f32> {
        let row = |row: &[f32]| {
            let e: Vec<f32> = row.iter().map(|x| (x - shift(row)).exp()).collect();
            let sum: f32 = if divide { e.iter().sum() } else { 1.0 };
            let fits = sum.is_finite() && sum > 0.0;
            e.into_iter().map(|e| if fits { e / sum } else { f32::NAN }).collect::<Vec<f32>>()
        };
        x.chunks(columns).flat_map(row).collect()
    };
    fn top(row: &[f32]) -> f32 {
        row.iter().fold(f32::MIN, |a, b| a.max(*b))
    }
    let lowest: fn(&[f32]) -> f32 = |row| row.iter().fold(f32::MAX, |a, b| a.min(*b));
    judge(
        &got,
        &each(top, true),
        &[
            (each(top, false), "the row does not add up to 1: divide by the sum"),
            (each(|row| top(row).max(0.0), true), "the largest of the row and 0: a row far below 0 vanishes"),
            (each(|row| row[0], true), "the first number of the row is subtracted, not the largest: exp can overflow"),
            (each(lowest, true), "the smallest number is subtracted: exp can still overflow"),
            (each(|_| 0.0, true), "exp(x) overflows or vanishes: subtract the row's largest number from each x first"),
        ],
    )
}
