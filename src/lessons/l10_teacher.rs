//! # A VAE as teacher and pupil of the chain
//!
//! Chains from noise need many steps, and a replay memory is a list of points, not a sampler. Variational MCMC teaching (Xie, Zheng &
//! Li 2021, arXiv 2012.14936) lets chains start from a net that learns to draw: the decoder of a variational autoencoder,
//!
//! `z ~ N(0, I)`, `x_0 = g(z)`, then K Langevin steps of the energy to x_K
//!
//! and both nets learn from the same chains:
//!
//! - the energy does contrastive divergence, `mean E(x_data) - mean E(x_K)`: lesson 7 with another place to start;
//! - the VAE is fitted to the **refined** samples x_K, never to the data. It chases the energy, which chases the data.
//!
//! So the decoder is the chain's teacher, who says where to start, and its pupil: what K steps corrected in this iteration, the
//! decoder does by itself in the next one. At rest refinement changes nothing in law: the chain's kernel leaves the decoder's draws
//! as they are, which only p does. Where all is normal this can be followed by hand:
//!
//! ```
//! // E = x^2 / 2, a decoder of variance v, K = 5 steps of size h: x' = (1 - h) x + sqrt(2h) n. Then the VAE takes over the variance.
//! let (h, mut v) = (0.05f64, 9.0f64);
//! let refine = |v: f64| (0..5).fold(v, |v, _| (1.0 - h).powi(2) * v + 2.0 * h);
//! let first = refine(v);
//! for _ in 0..20 {
//!     v = refine(v);
//! }
//! // Five steps alone do not get far; twenty rounds of them reach the chain's own law, of variance 1 / (1 - h/2).
//! assert!(first > 5.0 && (v - 1.0 / (1.0 - h / 2.0)).abs() < 1e-3);
//! ```
//!
//! A replay memory does the same with points; a net also fills the space between them, and gives fresh draws at the price of one
//! forward pass.
//!
//! ## Fitting the VAE
//!
//! To fit a decoder to x one needs the z that x was made of. But x_K was moved since, so its z is inferred anew by an encoder
//! `pi(z | x) = N(m(x), diag e^{2l(x)})`. (CoopNets, the method before, kept the old z.) Decoder and encoder minimise
//!
//! `mean |x - g(z)|^2 + w KL(pi(z | x) || N(0, I))`, `z = m(x) + e^{l(x)} eps`
//!
//! `KL = -1/2 sum_k (1 + 2 l_k - m_k^2 - e^{2 l_k})`
//!
//! Writing z as a function of m, l and of noise that does not depend on them (the **reparametrisation**) is what lets the gradient of the
//! first term reach the encoder. The weight w sets how sharply the decoder draws: it is that of a decoder with variance `w / 2`, so w
//! must be small against the squared width of a mode.
//!
//! ## What to watch
//!
//! The distance of refined draws to the data falls first, that of the decoder follows. Where the decoder puts nothing, chains of K
//! steps do not come either: a mode that is lost is not missed by the VAE. Only the energy, which sees the data, can call it back, and
//! only as far as K steps reach.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::data::{Dataset, Toy, Values};
use crate::energy::{EnergyConfig, MlpConfig};
use crate::error::Result;
use crate::metrics::sliced_wasserstein;
use crate::nn::{Activation, AutoencoderConfig, MlpCoderConfig};
use crate::optim::{AdamConfig, RateConfig};
use crate::plot::{Bounds, Curves, Panel, panels};
use crate::sample::Langevin;
use crate::tensor::{Device, Key};
use crate::train::mcmc_teaching::Config;
use crate::train::{McmcTeaching, Model, Training, VaeConfig};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 10,
    name: "teacher",
    source: include_str!("l10_teacher.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "10.1-kl.wgsl",
            task: "write the divergence of the encoder's law from the prior",
            stub: include_str!("exercises/10.1-kl.wgsl"),
            check: kl,
        },
        Exercise {
            file: "10.2-reparametrised.wgsl",
            task: "write the gradient that reaches the encoder's log deviation",
            stub: include_str!("exercises/10.2-reparametrised.wgsl"),
            check: reparametrised,
        },
    ],
};

const TOY: Toy = Toy::EightGaussians;
const ITERATIONS: u64 = 240;
/// Points that are compared.
const N: usize = 2000;

fn config() -> Config {
    let adam = |lr| {
        let rate = RateConfig { lr, decay_from: 120, decay_until: ITERATIONS, ..RateConfig::default() };
        AdamConfig { beta1: 0.5, rate, ..AdamConfig::default() }
    };
    let coder = MlpCoderConfig { hidden: vec![32, 32], activation: Activation::LeakyRelu };
    Config {
        batch: 128,
        energy_l2: 0.02,
        ema: 0.95,
        energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![32, 32], gain: Some(2.0), ..MlpConfig::default() }),
        langevin: Langevin { steps: 10, step_size: 0.05, ..Langevin::default() },
        vae: VaeConfig { latent: 2, kl: 0.1, net: AutoencoderConfig::Mlp(coder), ..VaeConfig::default() },
        optimizer: adam(0.01),
        vae_optimizer: adam(0.01),
        ..Config::default()
    }
}

/// Trains energy and VAE together, and compares what the decoder draws, and what chains make of it, with the data.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let data = Dataset::new(TOY.name(), vec![2], Values::F32(TOY.sample(5000, &Key::new(0))));
    let truth = TOY.sample(N, &Key::new(5));
    let distance = |x: &[f32]| sliced_wasserstein(x, &truth, 2, 100, &Key::new(6)).sw2;
    let model = McmcTeaching::new(&config(), data, device, &Key::new(1))?;
    let mut training = Training::new(Box::new(model), device, &Key::new(2), true);
    let (mut rows, mut at, mut decoded, mut refined) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut clouds = [Vec::new(), Vec::new()];
    while training.done() < ITERATIONS {
        let metrics = pollster::block_on(training.advance());
        let report = pollster::block_on(metrics.read().values())?;
        report.check()?;
        if training.done().is_multiple_of(ITERATIONS / 8) {
            let stages = training.algorithm().stages(N, &Key::new(4))?;
            clouds = [stages[0].1.to_vec()?, stages[stages.len() - 1].1.to_vec()?];
            at.push(training.done() as f64);
            decoded.push(distance(&clouds[0]));
            refined.push(distance(&clouds[1]));
            let metric = |name: &str| format!("{:.3}", report.get(name).unwrap_or(f64::NAN));
            let sw2 = [decoded[decoded.len() - 1], refined[refined.len() - 1]].map(|d| format!("{d:.3}"));
            let metrics = ["energy_gap", "vae_reconstruction", "vae_kl"].map(metric);
            rows.push([vec![training.done().to_string()], sw2.to_vec(), metrics.to_vec()].concat());
        }
    }
    let floor = distance(&TOY.sample(N, &Key::new(7)));
    page.say(&format!("SW2 to {N} points of the data; of as many other points of the data it is {floor:.3}."))?;
    let headings = ["iteration", "SW2 decoder", "SW2 refined", "energy_gap", "vae_reconstruction", "vae_kl"];
    page.table(&headings, &rows)?;
    let points = [&clouds[0], &clouds[1], &truth].map(|x| x.chunks(2).map(|x| [x[0], x[1]]).collect::<Vec<_>>());
    let panel = |name: &str, i: usize| Panel::scatter(name, Bounds::square(4.5), &points[i]);
    page.picture(
        &panels(&[panel("decoder g(z)", 0), panel("refined: 10 steps", 1), panel("data", 2)]),
        "What the decoder draws, what the chains make of it, and what both should be.",
    );
    let chart = Curves::new("SW2 to the data").along("iteration");
    page.svg(&chart.series("decoder", &at, &decoded).series("refined", &at, &refined).svg(), "The pupil follows.");
    Ok(())
}

fn ramp(lo: f32, step: f32) -> Vec<f32> {
    (0..32).map(|i| lo + step * i as f32).collect()
}

fn kl(attempt: &Attempt) -> Checked {
    let (m, l) = (ramp(-1.6, 0.11), ramp(1.0, -0.07));
    let got = attempt.map("kl(x0[i], x1[i])", &[&m, &l])?;
    let each = |f: fn(f32, f32) -> f32| m.iter().zip(&l).map(|(&m, &l)| f(m, l)).collect::<Vec<f32>>();
    judge(
        &got,
        &each(|m, l| 0.5 * (m * m + (2.0 * l).exp() - 1.0 - 2.0 * l)),
        &[
            (each(|_, _| 0.0), "this is 0 everywhere, as only N(0, 1) is"),
            (each(|m, l| -0.5 * (m * m + (2.0 * l).exp() - 1.0 - 2.0 * l)), "a divergence is never negative"),
            (each(|m, l| 0.5 * (m * m + (2.0 * l).exp() - 2.0 * l)), "it should be 0 for m = 0 and l = 0"),
            (each(|m, l| 0.5 * (m * m + l.exp() - 1.0 - 2.0 * l)), "l is log s, and the variance is s^2 = exp(2 l)"),
            (each(|m, l| 0.5 * (m * m + l.exp() - 1.0 - l)), "l is taken for log s^2; it is log s"),
            (each(|m, l| 0.5 * (m * m + (2.0 * l).exp() - 1.0 - l)), "the logarithm of the variance is log s^2 = 2 l"),
            (each(|_, l| 0.5 * ((2.0 * l).exp() - 1.0 - 2.0 * l)), "the mean m is not used: it should be 0, too"),
        ],
    )
}

fn reparametrised(attempt: &Attempt) -> Checked {
    let (ct, m, l) = (ramp(1.5, -0.12), ramp(-1.0, 0.05), ramp(0.6, -0.05));
    let (eps, w) = (ramp(-1.7, 0.13), ramp(0.2, 0.02));
    let got = attempt.map("encoder_gradient(x0[i], x1[i], x2[i], x3[i], x4[i])", &[&ct, &m, &l, &eps, &w])?;
    // Of ct, s = exp(l), eps and w: m has no part in it.
    let each =
        |f: fn(f32, f32, f32, f32) -> f32| (0..32).map(|i| f(ct[i], l[i].exp(), eps[i], w[i])).collect::<Vec<f32>>();
    judge(
        &got,
        &each(|ct, s, e, w| ct * s * e + w * (s * s - 1.0)),
        &[
            (each(|_, _, _, _| 0.0), "this is 0 everywhere: z and the KL term both depend on l"),
            (each(|ct, s, e, _| ct * s * e), "the KL term depends on l, too: its derivative is s^2 - 1"),
            (each(|_, s, _, w| w * (s * s - 1.0)), "z depends on l, too: ct dz/dl is missing"),
            (each(|ct, s, e, w| ct * e + w * (s * s - 1.0)), "dz/dl = s eps, since s = exp(l): this is dz/ds"),
            (each(|ct, s, _, w| ct * s + w * (s * s - 1.0)), "eps is missing: dz/dl = s eps"),
            (each(|ct, s, e, w| ct * s * e + w * (s - 1.0 / s)), "the KL term is derived with respect to s here"),
        ],
    )
}
