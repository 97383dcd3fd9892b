//! Energies put together: exact ones through the whole of `ebm compose`, and what is refused.

use crate::cli;
use crate::outliers::trained;
use crate::support;
use ebm::data::{Dataset, Toy};
use ebm::energy::GaussianMixture;
use ebm::prelude::*;
use ebm::run::ais::Ais;
use ebm::run::compose::{Composition, Operator, Term, resampled};
use ebm::run::{Control, Registry, RunConfig, Session};
use ebm::sample::{SamplerConfig, SamplerKind};
use ebm::train::{Algorithm, Iteration, Model, SampleRequest, Samples, State};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// A "run" whose energy is exactly -ln p of a mixture, up to an offset.
struct Exact(GaussianMixture, f64);

#[derive(Default, Serialize, Deserialize)]
struct Config {
    toy: String,
    offset: f64,
}

impl Energy for &Exact {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.energy(x) + self.1
    }
}

impl Model for Exact {
    fn sample_shape(&self) -> &[usize] {
        &[2]
    }
    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        Ok(Box::new(self))
    }
    fn sample(&self, request: &SampleRequest, _: &Key) -> Result<Samples> {
        Ok(Tensor::zeros(self.0.centres.device(), [request.n, 2]).into())
    }
}

impl Algorithm for Exact {
    fn iteration(&self, it: &mut Iteration) {
        it.metric("offset", &Tensor::scalar(it.device(), self.1));
    }
    fn state(&self) -> Vec<(String, State)> {
        Vec::new()
    }
    fn sizes(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
}

fn registry() -> Registry {
    Registry::standard().algorithm("exact", |config: &Config, _: Dataset, device: &Device, _: &Key| {
        let modes = Toy::by_name(&config.toy)?.modes().unwrap();
        let centres: Vec<f32> = modes.centres.iter().flatten().map(|&v| v as f32).collect();
        let centres = Tensor::new(device, [modes.centres.len(), 2], &centres);
        Ok(Exact(GaussianMixture { centres, std: modes.std }, config.offset))
    })
}

/// A folder with such a run.
fn exact(toy: &str, offset: f64, device: &Device) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("ebm-exact-{}-{toy}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let text = format!(
        "data = 'toy:{toy}:100'\nseed = 0\n[trainer]\nsteps = 1\nsample_every = 0\n\
         [algorithm]\nkind = 'exact'\ntoy = '{toy}'\noffset = {offset:?}"
    );
    let config = RunConfig::parse(&registry(), toy, &text, &[]).unwrap();
    let mut session = Session::create(&registry(), config, device, Some(&folder)).unwrap();
    session.train(Control { stop: &AtomicBool::new(false), progress: &mut |_| () }).unwrap();
    folder
}

/// Overlapping mixtures with offsets 9 apart: product, mixture and quotient are what they should be, and the samples of the
/// mixture come from both halves alike, whether the moves are tested or not.
#[test]
fn exact_energies_give_the_exact_compositions() {
    let device = support::gpu("exact_energies_give_the_exact_compositions", false).unwrap_or(Device::Oracle);
    let folders = [exact("eight-gaussians", 5.0, &device), exact("25-gaussians", -4.0, &device)];
    let terms: Vec<Term> =
        folders.iter().map(|f| Term::open(&registry(), f.to_str().unwrap(), &device).unwrap()).collect();
    let ais = Ais { chains: 200, temperatures: 25, ..Ais::default() };
    let (and, or, not) = (Operator::And, Operator::Or { sharpness: 1.0 }, Operator::Not { strength: 0.1 });
    let of = |operator| Composition::new(&terms, operator, &ais, &Key::new(0)).unwrap();
    for (operator, most) in [(and, 1e-4), (not, 1e-4), (or, 0.01)] {
        let kl = of(operator).kl().unwrap().unwrap();
        assert!((-1e-6..most).contains(&kl), "{operator:?}: {kl}");
    }
    let mixture = of(or);
    assert_eq!(mixture.bounds, [[-5.0, 5.0]; 2]);
    for score in &mixture.scores {
        let (error, grid) = (score.error.unwrap(), score.against.as_ref().unwrap().value);
        assert!((score.value - grid).abs() < 4.0 * error && error < 0.3, "{score:?}");
    }
    // One of the centres of both mixtures in the first quadrant is common, so shares are told by the corners beyond 3.
    let modes = Toy::TwentyFiveGaussians.modes().unwrap();
    let outer = |p: &[f64]| p.iter().any(|v| v.abs() > 3.7);
    let share = modes.centres.iter().filter(|c| outer(&c[..])).count() as f64 / 25.0 / 2.0; // 16 of 25 lie at 4
    let n = 600;
    for (kind, step_size) in [(SamplerKind::Langevin, 1e-6), (SamplerKind::Hmc, 0.003)] {
        let sampler = SamplerConfig { kind, step_size, steps: 5, ..Default::default() };
        let (x, accepted) =
            mixture.sample(n, &Ais { chains: 1000, temperatures: 20, ..ais }, &sampler, &Key::new(1)).unwrap();
        assert_eq!(accepted.is_some(), kind != SamplerKind::Langevin);
        assert!(accepted.is_none_or(|rate| rate > 0.7), "{accepted:?}");
        let found = x.to_f64().unwrap().chunks(2).filter(|p| outer(p)).count() as f64 / n as f64;
        assert!((found - share).abs() < 0.1, "{kind:?}: {found} of the samples, {share} of the mass");
    }
    folders.iter().for_each(|f| std::fs::remove_dir_all(f).unwrap());
}

#[test]
fn rows_are_drawn_as_often_as_their_weights_say() {
    let counts = |log_weights: &[f64], n: usize| {
        let rows = resampled(log_weights, n, 0.5);
        (0..log_weights.len()).map(|i| rows.iter().filter(|r| **r == i as f32).count()).collect::<Vec<_>>()
    };
    assert_eq!(counts(&[1000.0 + 2f64.ln(), 1000.0, f64::NEG_INFINITY, 1000.0], 40), [20, 10, 0, 10]);
    assert_eq!(counts(&[0.0; 3], 3), [1, 1, 1]);
}

/// E + E with half the steps moves as E does: the same samples to the bit.
#[test]
fn rounds_of_an_energy_and_itself_are_those_of_the_energy() {
    let small = [
        "data=uniform-noise:8x8x1:20",
        "trainer.steps=1",
        "trainer.sample_every=0",
        "algorithm.batch=4",
        "algorithm.langevin.steps=2",
        "algorithm.memory.size=8",
        "algorithm.sampling={rounds=2,plain=1,steps=3}",
        "algorithm.energy.scales=[[4]]",
        "algorithm.energy.width=4",
    ];
    let folder = trained("compose-rounds", "improved-cd/mnist", &small);
    let open = |_| Term::open(&Registry::standard(), folder.to_str().unwrap(), &Device::oracle()).unwrap();
    let terms = [0, 1].map(open);
    let key = Key::new(3);
    let both = Composition::new(&terms, Operator::And, &Ais::default(), &key).unwrap();
    let own = terms[0].session.algorithm().sample(&SampleRequest::new(5), &key).unwrap().x;
    assert_eq!(both.sample_in_rounds(5, &key).unwrap().to_f64().unwrap(), own.to_f64().unwrap());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn runs_that_do_not_fit_are_refused_with_one_line() {
    let small = ["trainer.steps=1", "trainer.sample_every=0", "algorithm.batch=8", "algorithm.langevin.steps=1"];
    let points =
        [&small[..], &["data=toy:two-moons:100", "algorithm.energy.hidden=[4]", "algorithm.replay.size=8"]].concat();
    let images =
        [&small[..], &["data=uniform-noise:8x8x1:20", "algorithm.energy.widths=[2]", "algorithm.replay.size=8"]]
            .concat();
    let points = trained("compose-points", "cd/eight-gaussians-small", &points);
    let images = trained("compose-images", "cd/mnist", &images);
    let (p, i) = (points.to_str().unwrap(), images.to_str().unwrap());
    let out = points.join("and.npy");
    let usual = ["--device", "oracle", "--ais-chains", "20", "--ais-temperatures", "2", "--n", "10"];
    let refused = |words: &[&str], expected: &str| {
        let line = cli::error(&[&["compose"], words, &usual].concat());
        assert!(line.contains(expected), "{line}");
    };
    refused(&["and", p, i], "shape [2]");
    refused(&["and", p, p, "--sampler", "rounds"], "no rounds");
    refused(&["and", &format!("{p}@0"), p], "class 0 of a model that was not told classes");
    refused(&["and", &format!("{p}@x"), p], "DIR@CLASS");
    refused(&["and", p], "runs to compose = 1");
    refused(&["not", p, p, p], "runs to compose = 3");
    refused(&["not", p, p, "--strength=-1"], "strength = -1.0");
    refused(&["or", p, p, "--sharpness", "0"], "sharpness = 0.0");
    refused(&["and", p, p, "--step-size", "0"], "sampler.step_size = 0.0");
    refused(&["and", p, p, "--out", "x.gif"], ".png or .npy");
    refused(&["xor", p, p], "'xor'");
    assert!(!out.exists());
    cli::succeeds(&[&["compose", "or", p, p, "--out", out.to_str().unwrap()], &usual[..]].concat());
    assert!(out.exists() && points.join("and.density.png").exists());
    for folder in [points, images] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Class energies of a conditional model are composed too.
#[test]
fn classes_of_one_model_are_composed() {
    use ebm::train::{RecoveryLikelihood, recovery_likelihood};
    let points = Toy::EightGaussians.sample(64, &Key::new(0));
    let labels = (0..64).map(|i| i % 3).collect();
    let data = Dataset::new("labelled", vec![2], ebm::data::Values::F32(points)).with_labels(labels, Vec::new());
    let config = recovery_likelihood::Config {
        batch: 8,
        levels: 2,
        conditional: true,
        energy: ebm::energy::LevelEnergyConfig::mlp([6], 8),
        ..Default::default()
    };
    let model = RecoveryLikelihood::new(&config, data, &Device::oracle(), &Key::new(1)).unwrap();
    let x = Tensor::normal(&Device::Oracle, [5, 2], &Key::new(2));
    let of = |energy: Box<dyn Energy + '_>| energy.energy(&x).to_f64().unwrap();
    let classes: Vec<Vec<f64>> = (0..3).map(|c| of(model.class_energy(c).unwrap())).collect();
    assert!(classes[0] != classes[1] && classes[1] != classes[2] && classes[0] != of(model.energy().unwrap()));
    assert!(model.class_energy(3).err().unwrap().to_string().contains("class 3 of a model with 3 classes"));
}
