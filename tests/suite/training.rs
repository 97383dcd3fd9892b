//! Training runs: the bytes of an interrupted and resumed run, divergence, checkpoints of other models, and second
//! derivatives of whole energies on the GPU.

use crate::support;
use ebm::data::{Dataset, Split};
use ebm::energy::{ConvConfig, ConvEnergy, Energy, EnergyConfig, MlpConfig, MlpEnergy};
use ebm::io::{Checkpoint, RunDir};
use ebm::nn::Params;
use ebm::prelude::*;
use ebm::sample::{Langevin, ReplayConfig};
use ebm::train::contrastive_divergence::Config;
use ebm::train::{Algorithm, ContrastiveDivergence, Trainer, TrainerConfig, restore};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

fn config() -> Config {
    Config {
        batch: 32,
        energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![16, 16], ..Default::default() }),
        langevin: Langevin { steps: 3, step_size: 0.02, ..Default::default() },
        replay: ReplayConfig { size: 100, ..Default::default() },
        energy_l2: 0.01,
        data_noise: 0.01,
        ..Default::default()
    }
}

fn build(config: &Config, device: &Device) -> ContrastiveDivergence {
    let data = Dataset::load("toy:eight-gaussians:500", Split::Train).unwrap();
    ContrastiveDivergence::new(config, data, device, &Key::new(1)).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ebm-test-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// Trains to iteration 20, raising the stop flag after `interrupt` iterations.
fn train(cd: &mut ContrastiveDivergence, run: &RunDir, from: u64, interrupt: Option<u64>) -> Result<()> {
    let stop = AtomicBool::new(false);
    let mut progress =
        |p: &ebm::train::Progress| stop.store(interrupt.is_some_and(|at| p.done + 1 >= at), Ordering::Relaxed);
    let config = TrainerConfig { steps: 20, log_every: 3, checkpoint_every: 7, sample_every: 20 };
    Trainer { config, run, seed: 1, stop: &stop, progress: &mut progress }.train(cd, from)
}

#[test]
fn an_interrupted_and_resumed_run_leaves_the_bytes_of_an_uninterrupted_one() {
    let mut devices = vec![Device::oracle()];
    devices.extend(support::gpu("an_interrupted_and_resumed_run_leaves_the_bytes_of_an_uninterrupted_one", false));
    for device in devices {
        let whole = RunDir::create(folder("whole"), "").unwrap();
        train(&mut build(&config(), &device), &whole, 0, None).unwrap();

        let parts = RunDir::create(folder("parts"), "").unwrap();
        let stopped = train(&mut build(&config(), &device), &parts, 0, Some(10));
        assert!(matches!(stopped, Err(Error::Interrupted(10))), "{stopped:?}");
        let mut resumed = build(&config(), &device);
        let done = restore(&mut parts.load().unwrap(), &resumed).unwrap();
        assert_eq!(done, 10);
        train(&mut resumed, &parts, done, None).unwrap();

        let read = |run: &RunDir| std::fs::read(run.checkpoint_last()).unwrap();
        assert!(read(&whole) == read(&parts), "{device}: checkpoints differ");
        let eager = RunDir::create(folder("eager"), "").unwrap();
        train(&mut build(&Config { replay_steps: false, ..config() }, &device), &eager, 0, None).unwrap();
        assert!(read(&whole) == read(&eager), "{device}: eager and replayed checkpoints differ");

        let rows = std::fs::read_to_string(parts.metrics()).unwrap();
        let steps: Vec<&str> = rows.lines().skip(1).filter_map(|l| l.split(',').next()).collect();
        assert_eq!(steps, ["0", "3", "6", "9", "12", "15", "18", "19"], "{device}");
        for run in [whole, parts, eager] {
            std::fs::remove_dir_all(run.root()).unwrap();
        }
    }
}

#[test]
fn an_exploding_energy_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let mut bad = config();
    bad.optimizer.rate.lr = 50.0;
    bad.energy_l2 = 0.0;
    let run = RunDir::create(folder("explode"), "").unwrap();
    let mut cd = build(&bad, &Device::oracle());
    let Err(Error::Diverged { step, seed: 1, what, advice }) = train(&mut cd, &run, 0, None) else {
        panic!("the run did not diverge")
    };
    assert!(step > 0 && what.contains("energy") && advice.contains("algorithm.optimizer.rate.lr"), "{what}: {advice}");
    if let Ok(checkpoint) = run.load() {
        assert!(checkpoint.tensors.values().all(|t| t.data.iter().all(|v| v.is_finite())));
    }
    std::fs::remove_dir_all(run.root()).unwrap();
}

#[test]
fn a_checkpoint_of_another_model_is_refused_by_name() {
    let run = RunDir::create(folder("other"), "").unwrap();
    train(&mut build(&config(), &Device::oracle()), &run, 0, None).unwrap();
    let wider =
        Config { energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![32, 16], ..Default::default() }), ..config() };
    let mut checkpoint: Checkpoint = run.load().unwrap();
    let error = restore(&mut checkpoint, &build(&wider, &Device::oracle())).unwrap_err().to_string();
    assert!(error.contains("energy.layer0") && error.contains("[32, 2]"), "{error}");
    std::fs::remove_dir_all(run.root()).unwrap();
}

/// The gradient of |dE/dx|^2 with respect to every parameter.
fn second_order(build: &dyn Fn(&Params) -> Box<dyn Energy>, shape: &[usize], device: &Device) -> Vec<f64> {
    let params = Params::new(device, Key::new(3));
    let energy = build(&params);
    let x = Tensor::uniform(device, shape, &Key::new(4)).tracked();
    let score = grad_graph(&energy.energy(&x), &[&x]).remove(0);
    let leaves = params.tensors();
    let grads = grad(&score.square().sum(), &leaves.iter().collect::<Vec<_>>());
    grads.iter().flat_map(|g| g.to_f64().unwrap()).collect()
}

#[test]
fn parameter_gradients_of_the_squared_score_agree_between_gpu_and_oracle() {
    let Some(gpu) = support::gpu("parameter_gradients_of_the_squared_score_agree_between_gpu_and_oracle", false) else {
        return;
    };
    let mlp = |p: &Params| -> Box<dyn Energy> { Box::new(MlpEnergy::new(&p.root(), 2, &MlpConfig::default())) };
    let conv = |p: &Params| -> Box<dyn Energy> {
        Box::new(ConvEnergy::new(&p.root(), 1, &ConvConfig { widths: vec![4, 6], ..Default::default() }))
    };
    type Build<'a> = &'a dyn Fn(&Params) -> Box<dyn Energy>;
    for (build, shape) in [(&mlp as Build, &[33, 2][..]), (&conv as Build, &[3, 7, 6, 1][..])] {
        let (want, got) = (second_order(build, shape, &Device::oracle()), second_order(build, shape, &gpu));
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let error = norm(&mut want.iter().zip(&got).map(|(a, b)| a - b)) / norm(&mut want.iter().copied());
        println!("relative error of d/dtheta |dE/dx|^2: {error:e}");
        assert!(error < 1e-3, "{error:e}");
    }
}

#[test]
fn a_thousand_training_steps_do_not_grow_device_memory() {
    let Some(device) = support::gpu("a_thousand_training_steps_do_not_grow_device_memory", false) else { return };
    let gpu = device.gpu().unwrap();
    for replay_steps in [true, false] {
        let mut cd = build(&Config { replay_steps, ..config() }, &device);
        let mut run = |steps: std::ops::Range<u64>| {
            steps.for_each(|i| drop(cd.step(i)));
            device.wait().unwrap();
            (gpu.pool_stats().created, gpu.allocator_report())
        };
        let before = run(0..30);
        assert_eq!(before, run(30..1030), "replay {replay_steps}");
    }
}
