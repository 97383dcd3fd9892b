//! # Contrastive divergence: learning as the difference of two means
//!
//! A model `p(x) = exp(-E(x)) / Z` is fitted by raising the log-likelihood of data. log Z is an integral over everything, but its
//! derivative is a mean, `d log Z / dtheta = 1/Z int -dE/dtheta exp(-E) dx = -E_p[dE/dtheta]`, and so
//!
//! `-d/dtheta E_data[log p] = E_data[dE/dtheta] - E_p[dE/dtheta]`
//!
//! Push the energy down where the data are and up where the model's own samples are; where the two agree, nothing moves.
//! The loss is `L = mean E(x_pos) - mean E(x_neg)`, with x_pos from the data and x_neg from p, held constant:
//!
//! ```
//! # use ebm::prelude::*;
//! // E = theta x^2 / 2 is the normal law of variance 1 / theta; the data have variance 1/4, so theta should rise from 1 to 4.
//! let device = Device::oracle();
//! let theta = Tensor::scalar(&device, 1.0).tracked();
//! let x_pos = Tensor::normal(&device, [20_000], &Key::new(1)) * 0.5;
//! let x_neg = Tensor::normal(&device, [20_000], &Key::new(2));
//! let loss = (&theta * x_pos.square()).mean() * 0.5 - (&theta * x_neg.square()).mean() * 0.5;
//! assert!((grad(&loss, &[&theta])[0].item()? - (0.25 - 1.0) / 2.0).abs() < 0.01); // by hand
//! # Ok::<(), Error>(())
//! ```
//!
//! ## Chains lag
//!
//! x_neg comes from K Langevin steps of size eta, whose noise alone carries a chain about `sqrt(2 eta K)` far; to cross the plane takes
//! many more than the 5 to 50 that are affordable. What a short chain gives depends on where it starts:
//!
//! - at the data (Hinton 2002): x_neg stays near the data, and a valley that the energy has elsewhere is never seen;
//! - at noise (Nijkamp et al. 2019): the energy learns to carry noise to the data within K steps. The chains' ends may be good
//!   samples, and `exp(-E)` is not their law;
//! - where the last one ended (Tieleman 2008; Du & Mordatch 2019): a **replay memory**. theta moves little in an iteration, so
//!   chains of many iterations are nearly long chains of p. A few restarts from noise search for forgotten valleys.
//!
//! ## What the curves say
//!
//! | curve | healthy | otherwise |
//! |---|---|---|
//! | `energy_gap`, mean E(x_pos) - mean E(x_neg) | near 0 | far below: no chain can follow the data down; far above: chains sit in a valley without data |
//! | `energy_pos`, `energy_neg` | bounded | L knows differences only, so their level drifts; `gamma mean E^2` holds it |
//! | `gradient_norm` | falls, then noise | grows with the energies when they run away |
//! | `chain_displacement` | at least the noise of a step | below: chains are frozen; many times the data's width: thrown out |
//!
//! It fails in two ways. It **runs away**: steps too large, or learning faster than chains move; gap and gradients grow, chains leave
//! the data's box. Or it fails **in silence**: with too little noise chains descend where they should sample, gap and gradients are
//! small, and `exp(-E)` is not the chains' law. Measures show that, here KL of the true density to `exp(-E)`, by sums over a grid.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::data::{Dataset, Toy, Values};
use crate::energy::{Energy, EnergyConfig, MlpConfig};
use crate::error::Result;
use crate::metrics::Grid;
use crate::optim::{AdamConfig, RateConfig};
use crate::plot::{Bounds, Curves, Panel, panels, quantiles};
use crate::sample::Langevin;
use crate::tensor::{Device, Key, Tensor};
use crate::train::contrastive_divergence::Config;
use crate::train::{ContrastiveDivergence, Model, ReplayConfig, Report, Training};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 7,
    name: "contrastive",
    source: include_str!("l07_contrastive.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "7.1-gradient.wgsl",
            task: "write the gradient of the loss with its regulariser for E = theta x^2 / 2",
            stub: include_str!("exercises/7.1-gradient.wgsl"),
            check: gradient,
        },
        Exercise {
            file: "7.2-settings.toml",
            task: "repair the four settings that keep a training from learning the eight Gaussians",
            stub: include_str!("exercises/7.2-settings.toml"),
            check: settings,
        },
    ],
};

const TOY: Toy = Toy::EightGaussians;
const GRID: Grid = Grid { bounds: [-4.0, 4.0], n: 64 };

/// A small energy under training, with these chains, of which so many begin anew.
fn config(langevin: Langevin, restart: f64) -> Config {
    let energy = MlpConfig { hidden: vec![32, 32], gain: Some(4.0), ..MlpConfig::default() };
    let rate = RateConfig { lr: 0.02, decay_from: 100, decay_until: 200, ..RateConfig::default() };
    Config {
        batch: 128,
        energy_l2: 0.001,
        max_energy: 100.0,
        ema: 0.95,
        energy: EnergyConfig::Mlp(energy),
        langevin: langevin.into(),
        replay: ReplayConfig { size: 1000, restart, start: Some((-4.0, 4.0)) },
        optimizer: (&AdamConfig { rate, ..AdamConfig::default() }).into(),
        ..Config::default()
    }
}

/// A training that is over, or was stopped.
struct Trained {
    reports: Vec<Report>,
    /// On the grid.
    energies: Vec<f32>,
    chains: Vec<[f32; 2]>,
}

fn train(config: &Config, device: &Device) -> Result<Trained> {
    let data = Dataset::new(TOY.name(), vec![2], Values::F32(TOY.sample(5000, &Key::new(0))));
    let algorithm = ContrastiveDivergence::new(config, data, device, &Key::new(1))?;
    let mut training = Training::new(Box::new(algorithm), device, &Key::new(2), true);
    let mut reports: Vec<Report> = Vec::new();
    while reports.len() < 200 && reports.last().is_none_or(|report| report.check().is_ok()) {
        reports.push(pollster::block_on(async { training.advance().await.read().values().await })?);
    }
    let model = training.algorithm();
    let points = Tensor::new(device, [GRID.n * GRID.n, 2], &GRID.points());
    let energies = model.energy()?.energy(&points).to_vec()?;
    let chains = model.preview(400, &Key::new(3))?.x.to_vec()?.chunks(2).map(|x| [x[0], x[1]]).collect();
    Ok(Trained { reports, energies, chains })
}

/// Trains the same energy with four kinds of chains.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let healthy = Langevin { steps: 10, step_size: 0.02, ..Langevin::default() };
    let runs = [
        ("memory", config(healthy.clone(), 0.05)),
        ("noise, 5 steps", config(Langevin { steps: 5, ..healthy.clone() }, 1.0)),
        ("no noise", config(Langevin { step_size: 0.1, noise_scale: Some(0.01), ..healthy.clone() }, 0.05)),
        ("large steps", config(Langevin { step_size: 0.3, ..healthy }, 0.05)),
    ];
    let columns = ["energy_gap", "energy_pos", "gradient_norm", "chain_displacement"];
    let (mut rows, mut trained) = (Vec::new(), Vec::new());
    let mut chart = Curves::new("size of the energy gap").along("iteration").log_y().smooth(0.8);
    for (name, config) in &runs {
        let t = train(config, device)?;
        let kl = GRID.kl(&t.energies, |x| TOY.log_density(x).unwrap_or(f64::NAN));
        let last = |column| t.reports.last().and_then(|r| r.get(column)).unwrap_or(f64::NAN);
        let numbers = columns.map(last).into_iter().chain([kl]).map(|v| format!("{v:.3}"));
        rows.push([name.to_string(), t.reports.len().to_string()].into_iter().chain(numbers).collect::<Vec<_>>());
        let gaps: Vec<f64> = t.reports.iter().filter_map(|r| r.get("energy_gap")).map(f64::abs).collect();
        let steps: Vec<f64> = (0..gaps.len()).map(|i| i as f64).collect();
        chart = chart.series(name, &steps, &gaps);
        if t.reports.last().is_some_and(|report| report.check().is_err()) {
            page.say(&format!("{name}: stopped after {} iterations, a metric passed its limit.", t.reports.len()))?;
        }
        trained.push(t);
    }
    page.table(&[&["run", "iterations"], &columns[..], &["KL"]].concat(), &rows)?;
    let panels_of = trained.iter().zip(&runs).map(|(t, (name, _))| {
        let map = Panel::map(name, Bounds::square(4.0), &t.energies, GRID.n, GRID.n);
        map.range(quantiles(&t.energies, 0.0, 0.7)).points(&t.chains)
    });
    page.picture(&panels(&panels_of.collect::<Vec<_>>()), "E(x), dark where it is low, and 400 chains.");
    page.svg(&chart.svg(), "A gap that runs away is an alarm; a small one proves nothing.");
    Ok(())
}

fn gradient(attempt: &Attempt) -> Checked {
    let ramps = [[0.5, 0.05], [0.5, -0.01], [-2.0, 0.13], [1.5, -0.07]];
    let [theta, gamma, pos, neg] = ramps.map(|[lo, step]| (0..32).map(|i| lo + step * i as f32).collect::<Vec<f32>>());
    let got = attempt.map("contrastive_gradient(x0[i], x1[i], x2[i], x3[i])", &[&theta, &gamma, &pos, &neg])?;
    // Of the derivatives of E(x_pos), E(x_neg) and of gamma times their squares.
    let each = |f: fn([f32; 2], [f32; 2]) -> f32| -> Vec<f32> {
        let halves = |i: usize| [pos[i] * pos[i] / 2.0, neg[i] * neg[i] / 2.0];
        (0..32).map(|i| f(halves(i), halves(i).map(|half| 2.0 * gamma[i] * theta[i] * half * half))).collect()
    };
    judge(
        &got,
        &each(|e, l2| e[0] - e[1] + l2[0] + l2[1]),
        &[
            (each(|_, _| 0.0), "this is 0 everywhere: E(x_pos) and E(x_neg) both depend on theta"),
            (each(|e, l2| e[1] - e[0] + l2[0] + l2[1]), "a sign: descending L must lower E at the data"),
            (each(|e, _| e[0] - e[1]), "the regulariser gamma (E(x_pos)^2 + E(x_neg)^2) has a derivative, too"),
            (each(|e, l2| e[0] - e[1] + l2[0] - l2[1]), "gamma holds both: the squares are added, not subtracted"),
            (each(|e, l2| e[0] - e[1] + (l2[0] + l2[1]) / 2.0), "d(E^2)/dtheta = 2 E dE/dtheta: a factor of 2"),
        ],
    )
}

fn settings(attempt: &Attempt) -> Checked {
    let Config { energy_l2: gamma, langevin, replay, .. } = attempt.settings()?;
    let (eta, restart) = (langevin.step_size, replay.restart);
    // In modes of variance 1/8 a step multiplies x by 1 - 8 eta, and the chain's variance is 1/8 / (1 - 4 eta).
    let [wider, noise] = [1.0 / (1.0 - 4.0 * eta), (2.0 * eta).sqrt()];
    let (far, most) = (noise * (langevin.steps as f64).sqrt(), 0.5 / gamma);
    let wrongs = [
        (eta >= 0.25, "step_size: in modes of variance 1/8 a step multiplies x by 1 - 8 eta, below -1".into()),
        (wider > 1.25, format!("step_size: chains have {wider:.2} times the variance of a mode, 1.25 is enough")),
        (langevin.noise() < 0.95 * noise, format!("noise: with less than sqrt(2 eta) = {noise:.2} chains descend")),
        (restart > 0.2 && far < 4.0, format!("restart: most chains begin anew and get only {far:.2} far in this box")),
        (restart <= 0.0, "restart: without fresh chains a valley that no chain sits in is never found".into()),
        (gamma <= 0.0, "energy_l2: with 0 nothing holds the level of E, which the gap does not see".into()),
        // At rest q/p = (1 + 2 gamma E) / (1 - 2 gamma E).
        (gamma > 0.1, format!("energy_l2: |E| stays below 1 / (2 gamma) = {most:.1}, the data need a range of 10")),
    ];
    wrongs.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(why))
}
