//! Whole training steps: contrastive divergence in the plane at two batch sizes, and steps of presets on made data.

use super::Bench;
use crate::data::{Dataset, Toy, Values};
use crate::energy::{EnergyConfig, MlpConfig};
use crate::error::{Error, Result};
use crate::gpu::Work;
use crate::run::{self, Registry, RunConfig};
use crate::sample::Langevin;
use crate::tensor::{Device, Key};
use crate::train::Training;
use crate::train::contrastive_divergence::{Config, ContrastiveDivergence};

/// One contrastive-divergence iteration on eight Gaussians: an MLP energy, K = 20 Langevin steps, one Adam step; and one of
/// cooperative recovery likelihood in the plane, of contrastive divergence on images, and of a U-Net that learns to denoise.
pub fn training_steps() -> Vec<Bench> {
    vec![
        contrastive_divergence("cd_2d_256", 256),
        contrastive_divergence("cd_2d_4096", 4096),
        checked("cdrl_2d_256", "cdrl/checkerboard-small", &[], &["batch=16", "langevin_steps=2"]),
        checked(
            "cd_images_28",
            "cd/fashion-mnist",
            &["data=uniform-noise:28x28x1"],
            &["batch=2", "langevin.steps=1", "replay.size=64"],
        ),
        checked("ddpm_unet_14", "ddpm/mnist", &["data=uniform-noise:14x14x1"], &["batch=2"]),
    ]
}

/// An iteration of a preset under other settings; `small` are those of the algorithm for the check.
fn checked(name: &'static str, preset: &'static str, set: &[&'static str], small: &[&'static str]) -> Bench {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    let small: Vec<String> = set.iter().cloned().chain(small.iter().map(|s| format!("algorithm.{s}"))).collect();
    let check = move |device: &Device| agrees(name, device, &|device| build(preset, &small, device));
    Bench { check: Box::new(check), ..self::preset(name, preset, set) }
}

/// An iteration of a preset under other settings. Its kernels count the work; its check is that it can be built.
pub(super) fn preset(name: &'static str, preset: &'static str, set: Vec<String>) -> Bench {
    let again = set.clone();
    Bench {
        name,
        work: Work::default(),
        check: Box::new(move |device| build(preset, &again, device).map(drop)),
        setup: Box::new(move |device| {
            let mut training = build(preset, &set, device).unwrap_or_else(|e| panic!("{name}: {e}"));
            Box::new(move || drop(pollster::block_on(training.advance())))
        }),
    }
}

fn build(preset: &str, set: &[String], device: &Device) -> Result<Training> {
    let registry = Registry::standard();
    run::build(&registry, &RunConfig::load(&registry, preset, set)?, device)
}

const HIDDEN: usize = 128;
const CHAIN: usize = 20;

fn contrastive_divergence(name: &'static str, batch: usize) -> Bench {
    Bench {
        name,
        work: work(batch),
        check: Box::new(move |device| agrees(name, device, &|device| training(device, 16))),
        setup: Box::new(move |device| {
            let mut training = training(device, batch).unwrap_or_else(|e| panic!("{name}: {e}"));
            Box::new(move || drop(pollster::block_on(training.advance())))
        }),
    }
}

fn training(device: &Device, batch: usize) -> Result<Training> {
    let key = Key::new(1);
    let points = Toy::EightGaussians.sample(4096, &key.named("data"));
    let config = Config {
        batch,
        energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![HIDDEN; 2], ..MlpConfig::default() }),
        langevin: Langevin { steps: CHAIN, ..Langevin::default() }.into(),
        ..Config::default()
    };
    let data = Dataset::new("eight-gaussians", vec![2], Values::F32(points));
    let algorithm = ContrastiveDivergence::new(&config, data, device, &key)?;
    Ok(Training::new(Box::new(algorithm), device, &key, true))
}

/// Multiply-adds of the layers, twice: each chain step needs the energy and its gradient in x (2 passes), the Adam step
/// the energy of data and chains and its gradient in the parameters (2 times 3 passes). Memory is not counted.
fn work(batch: usize) -> Work {
    let pass = 2 * (2 * HIDDEN + HIDDEN * HIDDEN + HIDDEN);
    Work { bytes: 0, flops: (batch * pass * (2 * CHAIN + 6)) as u64 }
}

/// The figures (loss, energies, gradient norm, ...) after three steps of a small batch against the oracle's.
///
/// Adam divides each gradient by its own size, so rounding errors of f32 can move a weight by a good part of the
/// learning rate; in the figures that stays below one part in a hundred.
fn agrees(name: &str, device: &Device, training: &dyn Fn(&Device) -> Result<Training>) -> Result<()> {
    let figures = |device: &Device| -> Result<Vec<f64>> {
        let mut training = training(device)?;
        (0..2).for_each(|_| drop(pollster::block_on(training.advance())));
        let report = pollster::block_on(async { training.advance().await.read().values().await })?;
        Ok(report.values.iter().map(|(_, value)| *value).collect())
    };
    let (want, got) = (figures(&Device::Oracle)?, figures(device)?);
    let size = want.iter().fold(0.0f64, |size, w| size.max(w.abs()));
    match want.iter().zip(&got).all(|(w, g)| (w - g).abs() <= 0.01 * size) {
        true => Ok(()),
        false => Err(Error::Device(format!("{name} is wrong: figures {got:?}, the oracle says {want:?}"))),
    }
}
