//! Training runs: the bytes of an interrupted and resumed run, divergence, checkpoints of other models, and second
//! derivatives of whole energies on the GPU.

use crate::support;
use ebm::autodiff::grad_graph;
use ebm::data::{Augment, Dataset, Split, Values};
use ebm::diffusion::{InitializerConfig, MlpInitializerConfig, StepRule};
use ebm::energy::{
    ConvConfig, ConvEnergy, Energy, EnergyConfig, EnergyLevel, LevelEnergy, LevelEnergyConfig, MlpConfig, MlpEnergy,
    MultiScaleConfig, Sum, Weights,
};
use ebm::io::{Checkpoint, RunDir};
use ebm::nn::{Params, UNetConfig};
use ebm::optim::{Adam, AdamConfig, Ema, OptimizerConfig, RateConfig, SgdConfig};
use ebm::prelude::*;
use ebm::run::{Control, Registry, RunConfig, Trainer, TrainerConfig, restore};
use ebm::sample::{Langevin, SamplerConfig, SamplerKind};
use ebm::train::contrastive_divergence::Config;
use ebm::train::{
    Algorithm, ContrastiveDivergence, ImprovedCd, Known, Model, Moves, PlaneMoves, RecoveryLikelihood, ReplayConfig,
    ReservoirConfig, SampleRequest, Training, improved_cd, recovery_likelihood,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

fn config() -> Config {
    Config {
        batch: 32,
        energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![32, 32], ..Default::default() }),
        langevin: Langevin { steps: 3, step_size: 0.02, ..Default::default() }.into(),
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

/// An algorithm with its iterations captured or run as Rust.
fn start(algorithm: Box<dyn Algorithm>, device: &Device, capture: bool) -> Training {
    Training::new(algorithm, device, &Key::new(1), capture)
}

/// Trains to iteration 20, raising the stop flag after `interrupt` iterations.
fn train(training: &mut Training, run: &RunDir, interrupt: Option<u64>) -> Result<()> {
    let stop = AtomicBool::new(false);
    let mut progress =
        |p: &ebm::run::Progress| stop.store(interrupt.is_some_and(|at| p.done + 1 >= at), Ordering::Relaxed);
    let config = TrainerConfig { steps: 20, log_every: 3, checkpoint_every: 7, sample_every: 20, capture: true };
    let bounds = [[-4.0, 4.0]; 2];
    let trainer = Trainer { config: &config, run, bounds: &bounds, toy: None, seed: 1, origin: "" };
    trainer.train(training, Control { stop: &stop, progress: &mut progress })
}

/// 20 iterations leave the bytes of 10 + 10, captured or eager, on every device.
pub fn resumes_exactly(name: &str, build: &dyn Fn(&Device) -> Box<dyn Algorithm>) {
    let mut devices = vec![Device::oracle()];
    devices.extend(support::gpu(name, false));
    for device in devices {
        let fresh = |part: &str| RunDir::create(folder(&format!("{name}-{part}")), "").unwrap();
        let (whole, parts, eager) = (fresh("whole"), fresh("parts"), fresh("eager"));
        train(&mut start(build(&device), &device, true), &whole, None).unwrap();

        let stopped = train(&mut start(build(&device), &device, true), &parts, Some(10));
        assert!(matches!(stopped, Err(Error::Interrupted(10))), "{stopped:?}");
        let mut resumed = start(build(&device), &device, true);
        let done = restore(&mut parts.load().unwrap(), resumed.algorithm()).unwrap();
        assert_eq!(done, 10);
        resumed.resume_after(done);
        train(&mut resumed, &parts, None).unwrap();

        let read = |run: &RunDir| std::fs::read(run.checkpoint_last()).unwrap();
        assert!(read(&whole) == read(&parts), "{device}: checkpoints differ");
        train(&mut start(build(&device), &device, false), &eager, None).unwrap();
        assert!(read(&whole) == read(&eager), "{device}: eager and captured checkpoints differ");

        let rows = std::fs::read_to_string(parts.metrics()).unwrap();
        let column = |i: usize| rows.lines().skip(1).filter_map(move |l| l.split(',').nth(i)).collect::<Vec<_>>();
        assert_eq!(column(0), ["0", "3", "6", "9", "12", "15", "18", "19"], "{device}");
        let wall: Vec<f64> = column(1).iter().map(|v| v.parse().unwrap()).collect();
        assert!(wall.is_sorted(), "{device}: the clock of a resumed run goes on: {wall:?}");
        for run in [whole, parts, eager] {
            std::fs::remove_dir_all(run.root()).unwrap();
        }
    }
}

#[test]
fn an_interrupted_and_resumed_run_leaves_the_bytes_of_an_uninterrupted_one() {
    resumes_exactly("contrastive", &|device| Box::new(build(&config(), device)));
}

/// Ten iterations from the average of the parameters: a chain on the model's energy uses the average in either form.
#[test]
fn the_chain_kernel_samples_with_averaged_weights() {
    let name = "the_chain_kernel_samples_with_averaged_weights";
    for device in [Some(Device::oracle()), support::gpu(name, false)].into_iter().flatten() {
        let cd = build(&Config { ema: 0.5, ..config() }, &device);
        let mut training = start(Box::new(cd), &device, false);
        for _ in 0..10 {
            drop(pollster::block_on(training.advance()));
        }
        let model = training.algorithm();
        let x_0 = Tensor::normal(&device, [64, 2], &Key::new(4));
        let run = |fused| {
            let langevin = Langevin { steps: 10, step_size: 0.5, fused, ..Default::default() };
            langevin.run(&*model.energy().unwrap(), &x_0, &Key::new(5)).to_f64().unwrap()
        };
        let pairs = run(true).into_iter().zip(run(false));
        let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-5, "{device}: {off:e}");
    }
}

/// Other moves and another optimiser; refused moves are seen.
#[test]
fn runs_with_tested_moves_and_plain_descent_resume_exactly() {
    for (name, kind, leapfrog, step_size) in
        [("mala", SamplerKind::Mala, None, 0.02), ("hmc", SamplerKind::Hmc, Some(2), 0.2)]
    {
        let rate = RateConfig { lr: 0.01, decay_from: 5, decay_until: 15, ..Default::default() };
        let config = Config {
            langevin: SamplerConfig { kind, leapfrog, step_size, ..config().langevin },
            optimizer: OptimizerConfig::Sgd(SgdConfig { clip_norm: 0.5, rate, ..Default::default() }),
            ..config()
        };
        resumes_exactly(name, &|device| Box::new(build(&config, device)));
        let mut training = start(Box::new(build(&config, &Device::Oracle)), &Device::Oracle, true);
        let report = pollster::block_on(async { training.advance().await.read().values().await }).unwrap();
        let rate = report.get("acceptance").unwrap();
        assert!((0.5..=1.0).contains(&rate), "{name}: {rate}");
    }
}

fn recovery_config() -> recovery_likelihood::Config {
    let mlp = MlpInitializerConfig { width: 16 };
    recovery_likelihood::Config {
        batch: 16,
        levels: 3,
        langevin_steps: 2,
        step_rule: StepRule::Level { b2: 2e-3 },
        energy: LevelEnergyConfig::mlp([8, 12], 16),
        initializer: Some(InitializerConfig::Mlp(mlp)),
        ..Default::default()
    }
}

#[test]
fn recovery_likelihood_resumes_exactly() {
    resumes_exactly("recovery", &|device| {
        let data = Dataset::load("toy:checkerboard-b:500", Split::Train).unwrap();
        Box::new(RecoveryLikelihood::new(&recovery_config(), data, device, &Key::new(1)).unwrap())
    });
}

/// Nets whose chains are one kernel on software Vulkan too.
#[test]
fn recovery_likelihood_in_one_kernel_resumes_exactly() {
    resumes_exactly("recovery in one kernel", &|device| {
        let data = Dataset::load("toy:checkerboard-b:500", Split::Train).unwrap();
        let energy = LevelEnergyConfig::mlp([32, 64], 16);
        let config = recovery_likelihood::Config { energy, ..recovery_config() };
        Box::new(RecoveryLikelihood::new(&config, data, device, &Key::new(1)).unwrap())
    });
}

#[test]
fn conditional_image_training_resumes_exactly() {
    resumes_exactly("images", &|device| {
        Box::new(RecoveryLikelihood::new(&image_config(), labelled_images(), device, &Key::new(1)).unwrap())
    });
}

#[test]
fn improved_contrastive_divergence_resumes_exactly() {
    let langevin = Langevin { steps: 3, step_size: 0.02, ..Default::default() };
    let moves = Moves::Plane(PlaneMoves { rotate: 0.3, reflect: 0.3, jump: 0.3, jump_std: 0.5 });
    let memory = ReservoirConfig { size: 100, moves, ..Default::default() };
    let energy = EnergyConfig::Mlp(MlpConfig { hidden: vec![16, 16], ..Default::default() });
    let kl = improved_cd::KlConfig { from: 50, neighbours: 20, steps: 2, ..Default::default() };
    let config = improved_cd::Config { batch: 32, langevin, memory, energy, kl, ..Default::default() };
    resumes_exactly("improved", &|device| {
        let data = Dataset::load("toy:eight-gaussians:500", Split::Train).unwrap();
        Box::new(ImprovedCd::new(&config, data, device, &Key::new(1)).unwrap())
    });
}

/// Classes, scales, attention, a memory in bytes, every image move.
#[test]
fn improved_contrastive_divergence_of_images_resumes_exactly() {
    let langevin = Langevin {
        steps: 2,
        noise_scale: Some(0.001),
        noise_first: true,
        clip: Some((0.0, 1.0)),
        ..Default::default()
    };
    let moves = Moves::Images(Augment { blur: 0.5, blur_kernel: 3, ..Augment::cifar() });
    let memory = ReservoirConfig { size: 40, bytes: true, moves, ..Default::default() };
    let net = MultiScaleConfig { scales: vec![vec![8], vec![4]], width: 4, attention: 1, ..Default::default() };
    let sampling = improved_cd::SamplingConfig { rounds: 3, plain: 1, steps: 2, step_size: Some(0.1) };
    let config = improved_cd::Config {
        batch: 8,
        conditional: true,
        energy: EnergyConfig::MultiScale(net),
        langevin,
        memory,
        sampling,
        ..Default::default()
    };
    let build = |device: &Device| ImprovedCd::new(&config, labelled_images(), device, &Key::new(1)).unwrap();
    resumes_exactly("improved images", &|device| Box::new(build(device)));

    let device = Device::open().unwrap_or(Device::Oracle);
    let model = build(&device);
    let class = |c| SampleRequest { conditions: vec![vec![c]], ..SampleRequest::new(3) };
    let x = model.sample(&class(1), &Key::new(2)).unwrap().x.to_vec().unwrap();
    assert!(x.len() == 48 && x.iter().all(|v| (0.0..=1.0).contains(v)));
    assert!(model.sample(&class(2), &Key::new(2)).err().unwrap().to_string().contains("classes 0 to 1"));
    assert!(model.sample(&SampleRequest::new(3), &Key::new(2)).err().unwrap().to_string().contains("ask for classes"));
    // Without a label: E(x) = -log sum_y exp(-E(x, y)).
    let (energy, x) = (model.energy().unwrap(), Tensor::uniform(&device, [2, 4, 4, 1], &Key::new(3)));
    let of = |class: f64| energy.labelled(&Tensor::full(&device, [2], class)).unwrap().energy(&x).to_f64().unwrap();
    let (of_0, of_1, whole) = (of(0.0), of(1.0), energy.energy(&x).to_f64().unwrap());
    for i in 0..2 {
        let want = -((-of_0[i]).exp() + (-of_1[i]).exp()).ln();
        assert!((whole[i] - want).abs() < 1e-5, "{} against {want}", whole[i]);
    }
    let one = |c| model.class_energy(c);
    assert_eq!(one(1).unwrap().energy(&x).to_f64().unwrap(), of_1);
    assert!(one(2).err().unwrap().to_string().contains("classes 0 to 1"));
    // A class and itself, with half the steps, moves as the class does, up to rounding.
    let twice = Sum(vec![one(1).unwrap(), one(1).unwrap()]);
    let [both, alone] =
        [model.sample_composed(&twice, 2, 3, &Key::new(4)), model.sample(&class(1), &Key::new(4))].map(Result::unwrap);
    let apart = (both.x - alone.x).square().sum().item().unwrap();
    assert!(apart < 1e-9, "{apart}");
    let plain = improved_cd::Config { conditional: false, ..config.clone() };
    let plain = ImprovedCd::new(&plain, labelled_images(), &device, &Key::new(1)).unwrap();
    assert!(plain.sample(&class(0), &Key::new(2)).err().unwrap().to_string().contains("is told none"));
}

/// Two scales, norms, spectral normalisation: the parts of a loss are means over both scales.
#[test]
fn an_energy_over_scales_trains_with_plain_contrastive_divergence() {
    let (scales, weights) = (vec![vec![6, 8], vec![4]], Weights::Spectral);
    let net = MultiScaleConfig { scales, width: 4, weights, ..Default::default() };
    let config = Config { batch: 8, energy: EnergyConfig::MultiScale(net), ..config() };
    let device = Device::open().unwrap_or(Device::Oracle);
    let algorithm = ContrastiveDivergence::new(&config, labelled_images(), &device, &Key::new(1)).unwrap();
    let energy = algorithm.energy().unwrap();
    let x = Tensor::uniform(&device, [3, 4, 4, 1], &Key::new(2));
    let (parts, sums) = (energy.parts(&x).to_f64().unwrap(), energy.energy(&x).to_f64().unwrap());
    assert!(parts.len() == 6 && (0..3).all(|i| (parts[2 * i] + parts[2 * i + 1] - sums[i]).abs() < 1e-6));
    drop(energy);
    let mut training = Training::new(Box::new(algorithm), &device, &Key::new(1), true);
    for _ in 0..3 {
        let report = pollster::block_on(async { training.advance().await.read().values().await }).unwrap();
        report.check().unwrap();
        assert!(report.get("gradient_norm").unwrap() > 0.0);
    }
}

/// Two classes of tiny images.
pub fn labelled_images() -> Dataset {
    let pixels = (0..32 * 16).map(|i| if i % 7 < 3 { 255 } else { (i * 13 % 256) as u8 }).collect();
    Dataset::new("tiny", vec![4, 4, 1], Values::U8(pixels)).with_labels((0..32).map(|i| i % 2).collect(), Vec::new())
}

/// Every part that a step can have: convolutions, attention, classes, mirroring, dropout.
fn image_config() -> recovery_likelihood::Config {
    recovery_likelihood::Config {
        conditional: true,
        energy: LevelEnergyConfig::conv([4, 6], 1, 16),
        initializer: Some(InitializerConfig::Unet(UNetConfig {
            width: 4,
            multipliers: vec![1, 2],
            blocks: 1,
            attention: vec![2],
            dropout: 0.1,
        })),
        flip: true,
        ..recovery_config()
    }
}

#[test]
fn samples_keep_what_is_known_and_refuse_what_the_model_cannot_do() {
    let config = image_config();
    let device = Device::open().unwrap_or(Device::Oracle);
    let new = |config: &recovery_likelihood::Config, data| RecoveryLikelihood::new(config, data, &device, &Key::new(1));
    let model = new(&config, labelled_images()).unwrap();
    let mut training = Training::new(Box::new(model), &device, &Key::new(1), true);
    (0..3).for_each(|_| drop(pollster::block_on(training.advance())));
    let model = training.algorithm();

    let values = Tensor::uniform(&device, [5, 4, 4, 1], &Key::new(2));
    let mask = Tensor::new(&device, [5, 4, 4, 1], &(0..80).map(|i| (i % 4 / 2) as f32).collect::<Vec<_>>());
    let known = Some(Known { values: values.clone(), mask: mask.clone() });
    let request = SampleRequest {
        known,
        conditions: vec![vec![0], vec![1, 0, 1, 0, 1]],
        guidance: 0.5,
        trajectory: true,
        ..SampleRequest::new(5)
    };
    let samples = model.sample(&request, &Key::new(3)).unwrap();
    assert_eq!(samples.trajectory.len(), 4, "one state for each of the levels 3 to 0");
    let (x, want, mask) = (samples.x.to_vec().unwrap(), values.to_vec().unwrap(), mask.to_vec().unwrap());
    for (i, v) in x.iter().enumerate() {
        let kept = (v - want[i]).abs() < 1e-6;
        assert!((0.0..=1.0).contains(v) && (mask[i] == 0.0 || kept), "element {i}: {v}, known {}", want[i]);
    }
    let same = model.sample(&request, &Key::new(3)).unwrap().x.to_vec().unwrap();
    assert!(x == same, "the same key gives other samples");

    let error = |request: SampleRequest, model: &RecoveryLikelihood| {
        model.sample(&request, &Key::new(3)).err().unwrap().to_string()
    };
    let class = |c| SampleRequest { conditions: vec![vec![c]], ..SampleRequest::new(1) };
    assert!(error(class(2), model).contains("classes 0 to 1"));
    assert!(error(SampleRequest { guidance: 1.0, ..SampleRequest::new(1) }, model).contains("guidance"));
    assert!(
        error(SampleRequest { conditions: vec![vec![0, 1]], ..SampleRequest::new(3) }, model).contains("per concept")
    );
    assert!(error(SampleRequest { step_scale: 0.0, ..SampleRequest::new(1) }, model).contains("step_scale"));
    let plain = new(&recovery_likelihood::Config { conditional: false, ..config.clone() }, labelled_images()).unwrap();
    assert!(error(class(0), &plain).contains("conditional"));
    let unlabelled = Dataset::new("tiny", vec![4, 4, 1], Values::U8(vec![0; 32 * 16]));
    assert!(new(&config, unlabelled).err().unwrap().to_string().contains("no labels"));
}

/// Section 5 of the specification; parameters are laid out at first use, so nothing large is allocated here.
#[test]
fn the_published_presets_have_the_published_sizes() {
    for (preset, item, energy, initializer) in
        [("cdrl/cifar10", &[32, 32, 3][..], 34_833_152, 3_769_795), ("cdrl/checkerboard", &[2], 1_217_920, 58_432)]
    {
        let config = RunConfig::load(&Registry::standard(), preset, &[]).unwrap();
        let config: recovery_likelihood::Config = config.algorithm.settings().unwrap();
        let log_snr = vec![0.0; config.levels];
        let params = || Params::new(&Device::oracle(), Key::new(0));
        let (e, g) = (params(), params());
        let levels = vec![EnergyLevel { log_snr: 0.0, a: 1.0, s: 1.0 }; config.levels];
        LevelEnergy::new(&e.root(), item, &config.energy, &levels, 0).unwrap();
        config.initializer.unwrap().build(&g.root(), item, &log_snr, 0).unwrap();
        assert_eq!((e.numel(), g.numel()), (energy, initializer), "{preset}");
    }
}

#[test]
fn an_exploding_energy_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let mut bad = config();
    let rate = RateConfig { lr: 50.0, ..Default::default() };
    bad.optimizer = OptimizerConfig::Adam(AdamConfig { rate, ..Default::default() });
    bad.energy_l2 = 0.0;
    let run = RunDir::create(folder("explode"), "").unwrap();
    let mut cd = start(Box::new(build(&bad, &Device::oracle())), &Device::oracle(), true);
    let Err(Error::Diverged { step, seed: 1, what, advice }) = train(&mut cd, &run, None) else {
        panic!("the run did not diverge")
    };
    assert!(step > 0 && what.contains("energy") && advice.contains("algorithm.optimizer.rate.lr"), "{what}: {advice}");
    let checkpoint = run.load().unwrap();
    assert!(checkpoint.tensors.values().all(|t| t.data.iter().all(|v| v.is_finite())));
    std::fs::remove_dir_all(run.root()).unwrap();
}

#[test]
fn a_checkpoint_of_another_model_is_refused_by_name() {
    let run = RunDir::create(folder("other"), "").unwrap();
    train(&mut start(Box::new(build(&config(), &Device::oracle())), &Device::oracle(), true), &run, None).unwrap();
    let wider =
        Config { energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![48, 32], ..Default::default() }), ..config() };
    let mut checkpoint: Checkpoint = run.load().unwrap();
    let error = restore(&mut checkpoint, &build(&wider, &Device::oracle())).unwrap_err().to_string();
    assert!(error.contains("energy.layer0") && error.contains("[48, 2]"), "{error}");
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

/// More parameters than the adapter binds at once are updated part by part, with the same result.
#[test]
fn an_optimiser_step_in_parts_gives_the_bits_of_one() {
    let name = "an_optimiser_step_in_parts_gives_the_bits_of_one";
    let (Some(whole), Some(parts)) = (support::gpu(name, false), support::gpu_as(name, |p| p.max_binding_bytes = 1024))
    else {
        return;
    };
    let run = |device: &Device| {
        let draw = |name: &str| Tensor::uniform(&Device::oracle(), [1000], &Key::new(1).named(name)).to_vec().unwrap();
        let p = Var::new(&Tensor::new(device, [1000], &draw("p")));
        let adam = Adam::new(&p, AdamConfig { clip_norm: 0.0, ..Default::default() });
        let ema = Ema::new(&p, 0.5);
        let numbers = Tensor::new(device, [4], &adam.next_numbers());
        let norm = adam.step(&Tensor::new(device, [1000], &draw("g")), &numbers);
        ema.update(&Tensor::new(device, [1], &ema.next_gain()));
        (p.get().to_vec().unwrap(), ema.value().to_vec().unwrap(), norm.item().unwrap())
    };
    let (one, many) = (run(&whole), run(&parts));
    assert!(one.0 == many.0 && one.1 == many.1, "parameters differ");
    assert!((one.2 / many.2 - 1.0).abs() < 1e-6, "norms {} {}", one.2, many.2);
}

#[test]
fn a_thousand_training_steps_do_not_grow_device_memory() {
    let Some(device) = support::gpu("a_thousand_training_steps_do_not_grow_device_memory", false) else { return };
    let gpu = device.gpu().unwrap();
    for capture in [true, false] {
        let mut cd = start(Box::new(build(&config(), &device)), &device, capture);
        let mut run = |steps: std::ops::Range<u64>| {
            steps.for_each(|_| drop(pollster::block_on(cd.advance())));
            device.wait().unwrap();
            (gpu.pool_stats().created, gpu.allocator_report())
        };
        let before = run(0..30);
        assert_eq!(before, run(30..1030), "capture {capture}");
    }
}
