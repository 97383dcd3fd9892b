//! # A kernel, from the definition to the roof
//!
//! A GPU program is a function that runs once for every result. The product of two matrices,
//!
//! `c[m, n] = sum_k a[m, k] b[k, n]`
//!
//! is the one that nets spend their time in, and its kernel can be read off the definition: work item (m, n) adds up k products
//! (`shaders/matmul/v1_naive.wgsl`). The f64 device of this crate computes the same definition with plain loops, and so every
//! kernel can be judged:
//!
//! ```
//! use ebm::ops::ladder::Rung;
//! use ebm::prelude::*;
//!
//! let product = |device: &Device| {
//!     let a = Tensor::uniform(device, [33, 20], &Key::new(1));
//!     let b = Tensor::uniform(device, [20, 17], &Key::new(2));
//!     Rung::Tile.matmul(&a, &b).to_f64()
//! };
//! let truth = product(&Device::oracle())?;
//! // Where there is an adapter, its kernel gives the same numbers but for the rounding of 20 products.
//! if let Ok(gpu) = Device::open() {
//!     let error = product(&gpu)?.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
//!     assert!(error < 1e-5, "{error}");
//! }
//! # Ok::<(), Error>(())
//! ```
//!
//! ## How fast could it be?
//!
//! A kernel does two things, arithmetic and traffic, and a device bounds both. The **roofs** are measured: multiply-adds on
//! registers alone (GFLOP/s), and a plain copy (GB/s). A product of n x n x n needs `2 n^3` operations and, if every number were moved
//! once, `12 n^2` bytes: `n / 6` operations a byte, far more than any device needs to be busy with arithmetic. So the roof is the
//! multiply-add roof, and whatever is missing is lost on the way to the registers.
//!
//! ## The ladder
//!
//! | rung | idea | loads for a multiply-add |
//! |---|---|---|
//! | v1_naive | the definition | 2 |
//! | v2_tile | a workgroup loads a 16 x 16 tile of a and b once, behind a barrier | 2, from workgroup memory |
//! | v3_register | a work item keeps 4 x 4 results in registers: 8 loads serve 16 products | 1/2 |
//! | v4_subgroup | the lanes of a subgroup read each other's registers; no barrier is left | 1/4 or less |
//!
//! Each rung is a file of about 60 lines beside the one before it, whose header says what changed and what it gained. Which rung wins
//! depends on the device: where workgroup memory is a memory of its own (graphics cards) v2 gains several times; where it is
//! ordinary memory (software Vulkan) it gains nothing, and only registers help. That is why this lesson measures, and why a table of
//! figures without an adapter's name says little.
//!
//! `Tensor::matmul` runs the kernels of `shaders/gemm`: the last rung with edges, transposes, batches, and a tile chosen by shape.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::bench::{Roofs, ladder};
use crate::error::Result;
use crate::gpu::Workgroups;
use crate::plot::Curves;
use crate::tensor::{Device, Key};
use crate::uniforms;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 1,
    name: "kernel",
    source: include_str!("l01_kernel.rs"),
    needs_gpu: true,
    run,
    exercises: &[
        Exercise {
            file: "1.1-product.wgsl",
            task: "write the loop of the naive product",
            stub: include_str!("exercises/1.1-product.wgsl"),
            check: product,
        },
        Exercise {
            file: "1.2-quad.wgsl",
            task: "let a work item compute four neighbours of a row, so that each a[m, k] it reads serves four products",
            stub: include_str!("exercises/1.2-quad.wgsl"),
            check: quad,
        },
    ],
};

/// Times the ladder and draws it below the roof.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let roofs = Roofs::measure(device)?;
    let (n, steps) = ladder(device)?;
    let percent = |gflops: f64| 100.0 * gflops / roofs.gflops;
    page.say(&format!(
        "A product of {n} x {n} x {n} on {device}; every rung was checked against the f64 device first."
    ))?;
    page.say(&format!("Roofs: {:.1} GFLOP/s of multiply-adds, {:.1} GB/s of copying.", roofs.gflops, roofs.gbps))?;
    let row = |s: &crate::bench::Step| {
        let gain = s.gain.map_or(String::new(), |g| format!("{g:.2}"));
        let [ms, gflops, percent] = [s.ms, s.gflops, percent(s.gflops)].map(|x| format!("{x:.1}"));
        vec![s.name.to_string(), ms, gflops, percent, gain]
    };
    page.table(
        &["rung", "ms", "GFLOP/s", "% of roof", "times as fast as the rung above"],
        &steps.iter().map(row).collect::<Vec<_>>(),
    )?;
    let rungs: Vec<f64> = (1..=steps.len()).map(|i| i as f64).collect();
    let heights: Vec<f64> = steps.iter().map(|s| percent(s.gflops)).collect();
    let roof = vec![100.0; rungs.len()];
    let chart = Curves::new("percent of the multiply-add roof").along("rung");
    page.svg(&chart.series("roof", &rungs, &roof).series("rung", &rungs, &heights).svg(), "The ladder below its roof.");
    Ok(())
}

/// Matrices `a [M, K]` and `b [K, N]` whose three sides differ.
struct Matrices {
    size: [usize; 3],
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Matrices {
    fn new([m, n, k]: [usize; 3]) -> Matrices {
        let draw = |count: usize, name| (0..count as u64).map(|i| Key::new(0).named(name).uniform(i) as f32).collect();
        Matrices { size: [m, n, k], a: draw(m * k, "a"), b: draw(k * n, "b") }
    }

    /// c[m, n] = the sum over the k in `range` of a[i] b[j], `[i, j] = term(m, n, k)`; NaN where one lies beyond the end.
    fn sum(&self, range: std::ops::Range<usize>, term: impl Fn(usize, usize, usize) -> [usize; 2]) -> Vec<f32> {
        let [m, n, _] = self.size;
        let at = |x: &[f32], i: usize| x.get(i).copied().unwrap_or(f32::NAN);
        let element = |e: usize| {
            let terms = range.clone().map(|k| term(e / n, e % n, k));
            terms.map(|[i, j]| at(&self.a, i) * at(&self.b, j)).sum()
        };
        (0..m * n).map(element).collect()
    }
}

fn product(attempt: &Attempt) -> Checked {
    [[5, 3, 7], [3, 9, 20]].into_iter().try_for_each(|size| product_of(attempt, &Matrices::new(size)))
}

fn product_of(attempt: &Attempt, x: &Matrices) -> Checked {
    let [m, n, k] = x.size;
    let stub = LESSON.exercises[0].stub;
    let got = attempt.kernel(stub, uniforms![m, n, k], &[&x.a, &x.b], m * n, Workgroups::Elements(m * n))?.rows("c", n);
    let right = |i: usize, j: usize, l: usize| [i * k + l, l * n + j];
    judge(
        &got,
        &x.sum(0..k, right),
        &[
            (vec![0.0; m * n], "every c[m, n] is 0: add a[m, k] b[k, n] to sum for every k below p.k"),
            (
                x.sum(0..n, right),
                "yours has n terms and should have k: the inner dimension, the columns of a and the rows of b",
            ),
            (x.sum(k - 1..k, right), "only the last product is left: add to sum with +="),
            (x.sum(1..k, right), "the first product is missing: k begins at 0"),
            (x.sum(0..k, |i, j, l| [i * k + l, j * k + l]), "b is read transposed: its row k begins at k * p.n"),
            (x.sum(0..k, |i, j, l| [l * m + i, l * n + j]), "a is read transposed: its row m begins at m * p.k"),
        ],
    )
}

fn quad(attempt: &Attempt) -> Checked {
    [[5, 12, 7], [3, 8, 20]].into_iter().try_for_each(|size| quad_of(attempt, &Matrices::new(size)))
}

fn quad_of(attempt: &Attempt, x: &Matrices) -> Checked {
    let [m, n, k] = x.size;
    let (stub, groups) = (LESSON.exercises[1].stub, Workgroups::Elements(m * n / 4));
    let got = attempt.kernel(stub, uniforms![m, n, k], &[&x.a, &x.b], m * n, groups)?.rows("c", n);
    let right = x.sum(0..k, |i, j, l| [i * k + l, l * n + j]);
    let keep = |f: fn(usize) -> bool| (0..m * n).map(|e| if f(e) { right[e] } else { 0.0 }).collect();
    judge(
        &got,
        &right,
        &[
            (
                keep(|e| e % 4 == 0),
                "only the first of the four columns is computed: n, n + 1, n + 2 and n + 3 want a sum each",
            ),
            (keep(|_| false), "every c[m, n] is 0: add a[m, k] times four numbers of b's row k to sum"),
            (
                x.sum(0..k, |i, j, l| [i * k + l, l * n + j / 4 * 4]),
                "all four columns read the same b: column n + q of row k is b[k * p.n + n + q]",
            ),
            (x.sum(k - 1..k, |i, j, l| [i * k + l, l * n + j]), "only the last product is left: add to sum with +="),
            (
                x.sum(0..k, |i, j, l| [i * k + l, l * n + j / 4 * 4 + 3 - j % 4]),
                "the four columns are in reverse order",
            ),
            (x.sum(0..k, |i, j, l| [i * k + l, j * k + l]), "b is read transposed: its row k begins at k * p.n"),
            (x.sum(0..k, |i, j, l| [l * m + i, l * n + j]), "a is read transposed: its row m begins at m * p.k"),
        ],
    )
}
