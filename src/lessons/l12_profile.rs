//! # Read a step's profile and make it faster
//!
//! `ebm train PRESET --profile` says where an iteration's time goes. This lesson reads two profiles of the same step.
//!
//! ## What is in a profile
//!
//! A step is a list of commands: **dispatches** of kernels, and copies. Each has a time and a least amount of **work**, the bytes it must
//! move and the operations it must do. The device has two **roofs**: GB/s of a plain copy, GFLOP/s of multiply-adds on registers.
//! A command cannot be faster than its **floor**
//!
//! `max(bytes / copy roof, operations / multiply-add roof)`.
//!
//! So a row is read from its percent of roof. Near 100: only less work helps. Far below: the kernel is bad (lesson 1) or the command too
//! small to fill the device. What is in no row is time between kernels: the device waits for its next command or for the host.
//!
//! ## The floor of a step, by hand
//!
//! N chains take K Langevin steps on an MLP with D inputs and two hidden layers of width H. A step runs the net forwards and back to
//! its input, each way with one multiply-add for every weight:
//!
//! `4 N K (D H + H^2 + H)` operations.
//!
//! The weights and the chains come in once and the chains go out: little more than 100 KB. A chain is bound by arithmetic. Adam's update of
//! n parameters reads p, gradient, m, v and writes p, m, v: `28 n` bytes, bound by memory (exercise 12.2).
//!
//! ## What goes wrong
//!
//! Step by step, every layer of every Langevin step is a kernel or several: product, bias, activation, their derivatives. Each writes
//! `[N, H]` numbers to memory, the next one reads them, and hundreds of small dispatches each pay for being started.
//!
//! The remedy is that of lesson 2, fusing, carried to its end: a chain needs nothing but its own x and the weights, so one workgroup
//! can keep a few chains for all K steps (`shaders/langevin/mlp_chain.wgsl`). Such a kernel exists for one kind of net, and its result
//! differs by rounding, so the energy is asked (`Energy::chain`); `algorithm.langevin.fused = false` goes step by step.
//!
//! ```
//! use ebm::energy::{MlpConfig, MlpEnergy};
//! use ebm::nn::Params;
//! use ebm::prelude::*;
//!
//! let device = Device::oracle();
//! let params = Params::new(&device, Key::new(1));
//! let energy = MlpEnergy::new(&params.root(), 2, &MlpConfig { hidden: vec![16; 2], ..MlpConfig::default() });
//! let x = Tensor::normal(&device, [8, 2], &Key::new(2));
//! let end = |fused| Langevin { steps: 5, fused, ..Langevin::default() }.run(&energy, &x, &Key::new(3));
//! assert!((end(true) - end(false)).abs().to_f64()?.iter().all(|off| *off < 1e-12));
//! # Ok::<(), Error>(())
//! ```
//!
//! ## After that
//!
//! Take the profile again: the slowest row is another one. The order is always the same: time between kernels (fewer dispatches),
//! bytes (fuse), the percent of roof of the slowest row (a better kernel); and the floor says when to stop.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::bench::Roofs;
use crate::error::Result;
use crate::gpu::{Gpu, ProfileReport, ProfileRow, Workgroups};
use crate::plot::Curves;
use crate::run::{self, Registry, RunConfig};
use crate::tensor::{Device, Key};
use crate::uniforms;
use std::collections::BTreeMap;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 12,
    name: "profile",
    source: include_str!("l12_profile.rs"),
    needs_gpu: true,
    run,
    exercises: &[
        Exercise {
            file: "12.1-bias-silu.wgsl",
            task: "add a bias and apply silu in one kernel",
            stub: include_str!("exercises/12.1-bias-silu.wgsl"),
            check: bias_silu,
        },
        Exercise {
            file: "12.2-floors.toml",
            task: "compute the floors of the parts of a step",
            stub: include_str!("exercises/12.2-floors.toml"),
            check: floors,
        },
    ],
};

/// The preset and its sizes: chains, steps, inputs, width.
const PRESET: &str = "cd/eight-gaussians";
const N: usize = 256;
const K: usize = 20;
const D: usize = 2;
const H: usize = 128;
/// Operations of the chains of an iteration.
const CHAIN_FLOPS: f64 = (4 * N * K * (D * H + H * H + H)) as f64;

/// The profile of three iterations of the preset.
fn profile(device: &Device, gpu: &Gpu, roofs: Roofs, fused: bool) -> Result<ProfileReport> {
    let registry = Registry::standard();
    let config = RunConfig::load(&registry, PRESET, &[format!("algorithm.langevin.fused={fused}")])?;
    let mut training = run::build(&registry, &config, device)?;
    gpu.profile_steps(3, Some(roofs), || {
        drop(pollster::block_on(training.advance()));
        Ok(())
    })
}

/// Profiles the step with its chains step by step and in one kernel, and draws where the time goes.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let Some(gpu) = device.gpu() else { return Ok(()) };
    let roofs = Roofs::measure(device)?;
    let floor = CHAIN_FLOPS / roofs.gflops / 1e6;
    let [gbps, gflops, mflop] = [roofs.gbps, roofs.gflops, CHAIN_FLOPS / 1e6].map(|x| format!("{x:.1}"));
    page.say(&format!("On {device}: {gbps} GB/s of copying, {gflops} GFLOP/s of multiply-adds."))?;
    page.say(&format!("{PRESET}: the chains of a step are {mflop} MFLOP, so their floor is {floor:.3} ms."))?;
    let (mut sums, mut times) = (Vec::new(), Vec::new());
    let mut chart = Curves::new("ms of a step in its slowest rows, added up").along("rows");
    for (name, fused) in [("step by step", false), ("in one kernel", true)] {
        let report = profile(device, gpu, roofs, fused)?;
        let steps = report.steps as f64;
        let chain: Vec<&ProfileRow> = report.rows.iter().filter(|row| row.phase == "chain").collect();
        let sum = |f: &dyn Fn(&ProfileRow) -> f64| chain.iter().map(|row| f(row)).sum::<f64>() / steps;
        let per_run = |row: &ProfileRow| (row.bytes as f64 / roofs.gbps).max(row.flops as f64 / roofs.gflops) / 1e6;
        let (runs, ms) = (sum(&|row| row.count as f64), sum(&|row| row.total_ms));
        let [mb, least] =
            [sum(&|row| (row.bytes * row.count) as f64 / 1e6), sum(&|row| per_run(row) * row.count as f64)];
        let whole = report.step_ms.unwrap_or_else(|| report.whole_ms());
        let numbers = [mb, least, ms, 100.0 * floor / ms, whole].map(|x| format!("{x:.2}"));
        sums.push([&[name.to_string(), format!("{runs:.0}")][..], &numbers].concat());
        times.push(whole);
        let row = |row: &ProfileRow| {
            let (kernel, _) = row.name.split_once('[').unwrap_or((&row.name, ""));
            let ms = row.total_ms / steps;
            let numbers = [ms, 100.0 * ms / whole, row.percent_of_roof.unwrap_or(0.0)];
            let runs = (row.count / report.steps).to_string();
            [&[row.phase.to_string(), kernel.into(), runs][..], &numbers.map(|x| format!("{x:.1}"))].concat()
        };
        page.say(&format!("The slowest rows, chains {name}:"))?;
        let slowest: Vec<_> = report.rows.iter().take(5).map(row).collect();
        page.table(&["phase", "command", "runs a step", "ms a step", "% of step", "% of roof"], &slowest)?;
        let at: Vec<f64> = (0..=report.rows.len().min(20)).map(|i| i as f64).collect();
        let height = at.iter().map(|i| report.rows[..*i as usize].iter().map(|row| row.total_ms / steps).sum());
        chart = chart.series(name, &at, &height.collect::<Vec<f64>>());
    }
    let headings = ["chains", "commands", "MB", "floor of these, ms", "ms", "floor by hand, % of ms", "ms of a step"];
    page.table(&headings, &sums)?;
    page.say(&format!("The step with its chains in one kernel is {:.1} times as fast.", times[0] / times[1]))?;
    page.svg(&chart.svg(), "Both profiles, from the slowest row on.");
    Ok(())
}

fn bias_silu(attempt: &Attempt) -> Checked {
    let (rows, columns) = (7, 5);
    let count = rows * columns;
    let draw = |n: usize, key: Key| -> Vec<f32> { (0..n as u64).map(|i| 4.0 * key.uniform(i) as f32 - 2.0).collect() };
    let (x, bias) = (draw(count, Key::new(1)), draw(columns, Key::new(2)));
    let stub = LESSON.exercises[0].stub;
    let got = attempt.kernel(stub, uniforms![count, columns], &[&x, &bias], count, Workgroups::Elements(count))?;
    let silu = |v: f32| v / (1.0 + (-v).exp());
    let each = |f: &dyn Fn(f32, usize) -> f32| (0..count).map(|i| f(x[i], i)).collect::<Vec<f32>>();
    let by_row = |i: usize| bias.get(i / columns).copied().unwrap_or(f32::NAN);
    judge(
        &got,
        &each(&|x, i| silu(x + bias[i % columns])),
        &[
            (vec![0.0; count], "every y is 0: y[i] = silu(x[i] + bias of its column)"),
            (each(&|x, i| silu(x) + bias[i % columns]), "the bias comes before the activation: silu(x + bias)"),
            (each(&|x, i| x / (1.0 + (-x - bias[i % columns]).exp())), "the whole argument v is on top, not x"),
            (each(&|x, i| -silu(-x - bias[i % columns])), "a sign: silu(v) = v / (1 + exp(-v))"),
            (each(&|x, i| silu(x + by_row(i))), "the bias belongs to a column, i % p.columns; this is the row"),
        ],
    )
}

/// Keys, wrong answers and what to say to them.
const MISTAKES: [(&str, f64, &str); 10] = [
    ("adam_bytes", 7e6, "these are numbers; each has 4 bytes"),
    ("adam_bytes", 16e6, "p, m and v are written, too"),
    ("chain_flops", 171_704_320.0, "half: a net runs forwards and back, and a multiply-add is two operations"),
    ("chain_flops", 17_170_432.0, "this is one Langevin step; there are 20"),
    ("chain_flops", 1_341_440.0, "this is one chain; there are 256"),
    ("saved_bytes", 4e6, "what lies between two kernels is written and read again"),
    ("saved_bytes", 16e6, "this is what two kernels move; one moves half of it"),
    ("floor_ms", 4.5, "bytes move while operations are done: the larger time counts, not the sum"),
    ("floor_ms", 2.0, "this is the smaller of the two times; the larger is the floor"),
    ("floor_ms", 0.0025, "this is in seconds"),
];

fn floors(attempt: &Attempt) -> Checked {
    let told: BTreeMap<String, f64> = attempt.settings()?;
    for (key, want) in [("adam_bytes", 28e6), ("chain_flops", CHAIN_FLOPS), ("saved_bytes", 8e6), ("floor_ms", 2.5)] {
        let Some(got) = told.get(key) else { return Err(format!("{key} is missing")) };
        let is = |value: f64| (got - value).abs() <= 1e-3 * value;
        match MISTAKES.iter().find(|(which, wrong, _)| *which == key && is(*wrong)) {
            _ if is(want) => (),
            Some((.., hint)) => return Err(format!("{key}: {hint}")),
            None => return Err(format!("{key} is {:.3} times what it should be", got / want)),
        }
    }
    Ok(())
}
