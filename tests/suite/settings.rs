//! Wrong settings: each is refused with one line that names key and value, before anything large is made.

use crate::cli;
use ebm::data::{Dataset, Split, Values};
use ebm::prelude::*;
use ebm::run::{Control, Registry, RunConfig, Session, build};
use std::sync::atomic::AtomicBool;

/// Points, with contrastive divergence.
const CD: (&str, &[&str]) = ("cd/eight-gaussians-small", &["data=toy:two-moons:500"]);
/// Images likewise.
const CD_IMAGES: (&str, &[&str]) = ("cd/mnist", &["data=uniform-noise:8x8x1:64", "algorithm.replay.size=64"]);
/// Points, with recovery likelihood.
const CDRL: (&str, &[&str]) = ("cdrl/eight-gaussians", &["data=toy:two-moons:500"]);
/// Images likewise.
const CDRL_IMAGES: (&str, &[&str]) = (
    "cdrl/mnist",
    &[
        "data=uniform-noise:8x8x1:64",
        "algorithm.conditional=false",
        "algorithm.fold=1",
        "algorithm.initializer.attention=[4]",
    ],
);
/// Images, with an energy that is a denoiser's.
const SCORES: (&str, &[&str]) = (
    "cdrl/mnist-scores",
    &[
        "data=uniform-noise:8x8x1:64",
        "algorithm.conditional=false",
        "algorithm.fold=1",
        "algorithm.energy.attention=[4]",
        "algorithm.initializer.attention=[4]",
    ],
);

const WRONG_SCORES: &[&str] = &[
    "algorithm.energy.dropout=0.1",
    "algorithm.energy.width=3",
    "algorithm.energy.width=7",
    "algorithm.energy.multipliers=[]",
    "algorithm.energy.blocks=0",
    "algorithm.last_noise=2",
];

/// Points, with improved contrastive divergence.
const ICD: (&str, &[&str]) =
    ("improved-cd/eight-gaussians", &["data=toy:two-moons:500", "algorithm.memory.size=300", "algorithm.batch=128"]);
/// Images likewise.
const ICD_IMAGES: (&str, &[&str]) =
    ("improved-cd/mnist", &["data=uniform-noise:8x8x1:64", "algorithm.memory.size=64", "algorithm.batch=32"]);

/// Points, with denoising diffusion and generalized contrastive divergence.
const DDPM: (&str, &[&str]) = ("ddpm/eight-gaussians", &["data=toy:two-moons:500"]);
const GCD: (&str, &[&str]) = ("gcd/eight-gaussians", &["data=toy:two-moons:500", "init.from=none"]);

const WRONG_DDPM: &[&str] = &[
    "algorithm.batch=0",
    "algorithm.sampler.steps=0",
    "algorithm.sampler.steps=1001",
    "algorithm.sampler.schedule=steep",
    "algorithm.sampler.net.hidden=[]",
    "algorithm.sampler.net.kind=unet",
    "algorithm.eta=1.5",
    "algorithm.ema=1.0",
    "algorithm.optimizer.rate.lr=0.0",
];

const WRONG_GCD: &[&str] = &[
    "algorithm.batch=501",
    "algorithm.sampler.steps=0",
    "algorithm.tau1=-0.1",
    "algorithm.tau2=nan",
    "algorithm.energy_l2=-1.0",
    "algorithm.velocity_decay=1.0",
    "algorithm.sampler_updates=0",
    "algorithm.free_steps=6",
    "algorithm.last_sigma=0.0",
    "algorithm.time_cost=cubic",
    "algorithm.update=ppo",
    "algorithm.max_energy=0.0",
    "algorithm.value.kind=conv",
    "algorithm.value.value.hidden=[0]",
    "algorithm.value.value.gain=-1.0",
    "algorithm.value.energy.hidden=[0]",
    "algorithm.noise_optimizer.rate.lr=-1.0",
    "init.steps=0",
];

/// Points, with variational MCMC teaching.
const TEACHING: (&str, &[&str]) = ("mcmc-teaching/eight-gaussians", &["data=toy:two-moons:500"]);
/// Images likewise.
const TEACHING_IMAGES: (&str, &[&str]) =
    ("mcmc-teaching/fashion-mnist-small", &["data=uniform-noise:8x8x1:64", "algorithm.batch=32"]);

const WRONG_TEACHING: &[&str] = &[
    "algorithm.batch=0",
    "algorithm.chains=0",
    "algorithm.chains=16777217",
    "algorithm.teaching=everybody",
    "algorithm.reference=0.0",
    "algorithm.reference=nan",
    "algorithm.energy_l2=-1.0",
    "algorithm.max_energy=0.0",
    "algorithm.ema=1.0",
    "algorithm.langevin.steps=0",
    "algorithm.vae.latent=0",
    "algorithm.vae.latent=1000000000",
    "algorithm.vae.kl=0.0",
    "algorithm.vae.kl=-2.0",
    "algorithm.vae.inpainting.step_size=0.0",
    "algorithm.vae.inpainting.steps=1000000000",
    "algorithm.vae.net.hidden=[0]",
    "algorithm.vae_optimizer.beta1=1.0",
];

const WRONG_TEACHING_IMAGES: &[&str] = &[
    "algorithm.energy.layers=[]",
    "algorithm.energy.layers=[[3, 4, 8]]",
    "algorithm.energy.layers=[[3, 1, 0]]",
    "algorithm.energy.outputs=0",
    "algorithm.energy.init=0.0",
    "algorithm.vae.net.encoder=[[0, 1, 8]]",
    "algorithm.vae.net.decoder=[[17, 2, 8]]",
    "algorithm.vae.net.dropout=1.0",
    "algorithm.vae.net.start=0",
    "algorithm.vae.net.normed=4",
    "algorithm.vae.net.init=-1.0",
];

const WRONG_ICD: &[&str] = &[
    "algorithm.batch=0",
    "algorithm.energy_l2=-1.0",
    "algorithm.max_energy=0.0",
    "algorithm.ema=1.0",
    "algorithm.kl.energy=-1.0",
    "algorithm.kl.energy=nan",
    "algorithm.kl.entropy=-0.3",
    "algorithm.kl.neighbours=0",
    "algorithm.kl.steps=0",
    "algorithm.kl.steps=51",
    "algorithm.memory.size=0",
    "algorithm.memory.size=127",
    "algorithm.memory.size=16777217",
    "algorithm.memory.restart=1.1",
    "algorithm.memory.start=[1.0, 1.0]",
    "algorithm.memory.bytes=true",
    "algorithm.memory.moves.rotate=1.5",
    "algorithm.memory.moves.jump=nan",
    "algorithm.memory.moves.jump_std=-1.0",
    "algorithm.sampling.rounds=0",
    "algorithm.sampling.plain=51",
    "algorithm.sampling.steps=0",
    "algorithm.sampling.step_size=0.0",
];

const WRONG_ICD_IMAGES: &[&str] = &[
    "algorithm.energy.scales=[]",
    "algorithm.energy.scales=[[]]",
    "algorithm.energy.scales=[[8, 0]]",
    "algorithm.energy.width=0",
    "algorithm.energy.blocks=1000000000",
    "algorithm.energy.attention=3",
    "algorithm.energy.weights=heavy",
    "algorithm.langevin.noise_first=1",
];

const WRONG_CD: &[&str] = &[
    "seed=-1",
    "seed=18446744073709551615",
    "trainer.steps=0",
    "trainer.steps=-5",
    "trainer.steps=16777217",
    "trainer.steps=18446744073709551615",
    "trainer.log_every=0",
    "trainer.log_every=1000000000000",
    "trainer.checkpoint_every=0",
    "trainer.sample_every=9223372036854775807",
    "trainer.capture=1",
    "algorithm.batch=0",
    "algorithm.batch=-1",
    "algorithm.batch=1.5",
    "algorithm.batch=501",
    "algorithm.batch=4611686018427387904",
    "algorithm.data_noise=-1.0",
    "algorithm.data_noise=nan",
    "algorithm.energy_l2=-0.5",
    "algorithm.energy_l2=inf",
    "algorithm.max_energy=0.0",
    "algorithm.max_energy=nan",
    "algorithm.max_energy=inf",
    "algorithm.ema=1.0",
    "algorithm.ema=-0.1",
    "algorithm.ema=nan",
    "algorithm.energy.hidden=[]",
    "algorithm.energy.hidden=[0]",
    "algorithm.energy.hidden=[16, 0]",
    "algorithm.energy.hidden=[30000, 30000]",
    "algorithm.energy.hidden=[100000, 100000]",
    "algorithm.energy.hidden=[4611686018427387904, 4]",
    "algorithm.energy.hidden=[-3]",
    "algorithm.energy.activation=sin",
    "algorithm.langevin.steps=0",
    "algorithm.langevin.steps=1000000000",
    "algorithm.langevin.step_size=0.0",
    "algorithm.langevin.step_size=-1.0",
    "algorithm.langevin.step_size=nan",
    "algorithm.langevin.step_size=1e-300",
    "algorithm.langevin.temperature=-1.0",
    "algorithm.langevin.temperature=inf",
    "algorithm.langevin.noise_scale=-0.1",
    "algorithm.langevin.noise_scale=nan",
    "algorithm.langevin.clip=[1.0, 0.0]",
    "algorithm.langevin.clip=[0.0, nan]",
    "algorithm.langevin.clip=[0.0, inf]",
    "algorithm.langevin.kind=gibbs",
    "algorithm.langevin.leapfrog=4",
    "algorithm.optimizer.kind=lion",
    "algorithm.replay.size=0",
    "algorithm.replay.size=127",
    "algorithm.replay.size=16777217",
    "algorithm.replay.size=4611686018427387904",
    "algorithm.replay.restart=nan",
    "algorithm.replay.restart=1.1",
    "algorithm.replay.start=[4.0, -4.0]",
    "algorithm.replay.start=[-inf, 4.0]",
    "algorithm.optimizer.beta1=2.0",
    "algorithm.optimizer.beta1=0.99999999999",
    "algorithm.optimizer.beta2=-0.1",
    "algorithm.optimizer.eps=-1.0",
    "algorithm.optimizer.eps=1e-60",
    "algorithm.optimizer.weight_decay=-1.0",
    "algorithm.optimizer.clip_norm=nan",
    "algorithm.optimizer.rate.lr=-1.0",
    "algorithm.optimizer.rate.lr=1e300",
    "algorithm.optimizer.rate.warmup=9223372036854775807",
    "algorithm.optimizer.rate.warmup_head=9223372036854775807",
    "algorithm.optimizer.rate.decay_until=5",
    "algorithm.optimizer.rate.decay_to=-1.0",
];

/// The same with Hamiltonian moves and plain descent.
const CD_HMC: (&str, &[&str]) =
    (CD.0, &["data=toy:two-moons:500", "algorithm.langevin.kind=hmc", "algorithm.optimizer.kind=sgd"]);

const WRONG_CD_HMC: &[&str] = &[
    "algorithm.langevin.leapfrog=0",
    "algorithm.langevin.leapfrog=-1",
    "algorithm.langevin.leapfrog=1000000",
    "algorithm.langevin.step_size=0.0",
    "algorithm.langevin.temperature=0.0",
    "algorithm.langevin.noise_scale=0.1",
    "algorithm.optimizer.momentum=1.0",
    "algorithm.optimizer.momentum=-0.1",
    "algorithm.optimizer.clip_norm=-1.0",
    "algorithm.optimizer.rate.lr=0.0",
];

const WRONG_CD_IMAGES: &[&str] = &[
    "algorithm.energy.widths=[]",
    "algorithm.energy.widths=[8, 0]",
    "algorithm.energy.blocks=1000000000",
    "algorithm.replay.size=16777216",
];

const WRONG_CDRL: &[&str] = &[
    "algorithm.batch=0",
    "algorithm.levels=0",
    "algorithm.levels=101",
    "algorithm.langevin_steps=0",
    "algorithm.langevin_steps=9223372036854775807",
    "algorithm.label_drop=nan",
    "algorithm.max_energy=-1.0",
    "algorithm.ema=1.5",
    "algorithm.step_rule.b2=0.0",
    "algorithm.step_rule.kind=shrinking",
    "algorithm.schedule=steep",
    "algorithm.energy.widths=[]",
    "algorithm.energy.widths=[0]",
    "algorithm.energy.embedding=0",
    "algorithm.energy.embedding=4611686018427387904",
    "algorithm.energy_optimizer.beta2=1.0",
    "algorithm.initializer.width=1",
    "algorithm.initializer.width=9223372036854775807",
    "algorithm.initializer_optimizer.rate.lr=0.0",
    "algorithm.initializer_anchor=-1.0",
    "algorithm.denoise_factor=-1.0",
    "algorithm.proposal_variance=none",
    "algorithm.stage=last",
    "algorithm.fold=2",
];

const WRONG_CDRL_IMAGES: &[&str] = &[
    "algorithm.energy.blocks=0",
    "algorithm.energy.blocks=1000000000",
    "algorithm.initializer.width=7",
    "algorithm.initializer.width=2",
    "algorithm.initializer.multipliers=[]",
    "algorithm.initializer.multipliers=[1, 0]",
    "algorithm.initializer.multipliers=[1, 4611686018427387904]",
    "algorithm.initializer.blocks=0",
    "algorithm.initializer.dropout=1.0",
    "algorithm.initializer.dropout=nan",
    "algorithm.fold=0",
    "algorithm.fold=3",
];

/// The error of a run with one setting more, if there is one.
fn refusal((preset, usual): (&str, &[&str]), more: &[&str]) -> Option<String> {
    let registry = Registry::standard();
    let set: Vec<String> = usual.iter().chain(more).map(|s| s.to_string()).collect();
    let config = match RunConfig::load(&registry, preset, &set) {
        Ok(config) => config,
        Err(e) => return Some(e.to_string()),
    };
    build(&registry, &config, &Device::oracle()).err().map(|e| e.to_string())
}

/// One line that holds every one of `words`.
#[track_caller]
fn check_line(text: &str, words: &[&str]) {
    assert!(!text.contains(char::is_control) && text.len() < 400, "{text:?}");
    for word in words {
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "no {word} in: {text}");
    }
}

#[test]
fn every_wrong_setting_is_one_line_with_key_and_value() {
    for (base, wrong) in [
        (CD, WRONG_CD),
        (CD_HMC, WRONG_CD_HMC),
        (CD_IMAGES, WRONG_CD_IMAGES),
        (DDPM, WRONG_DDPM),
        (GCD, WRONG_GCD),
        (ICD, WRONG_ICD),
        (ICD_IMAGES, WRONG_ICD_IMAGES),
        (TEACHING, WRONG_TEACHING),
        (TEACHING_IMAGES, WRONG_TEACHING_IMAGES),
        (CDRL, WRONG_CDRL),
        (CDRL_IMAGES, WRONG_CDRL_IMAGES),
        (SCORES, WRONG_SCORES),
    ] {
        assert_eq!(refusal(base, &[]), None, "{}", base.0);
        for assignment in wrong {
            let text = refusal(base, &[assignment]).unwrap_or_else(|| panic!("{}: {assignment} passes", base.0));
            let said = assignment.replacen('=', " = ", 1);
            let word = if text.contains(assignment) { assignment } else { said.as_str() };
            check_line(&text, &[word]);
        }
    }
}

/// Settings that are right on their own, but not with the others or with the data.
#[test]
fn settings_that_do_not_fit_name_what_they_do_not_fit() {
    let wide = "[16384, 16384, 16384, 16384]";
    let cases: &[((&str, &[&str]), &[&str], &[&str])] = &[
        (
            CD,
            &[&format!("algorithm.energy.hidden={wide}")],
            &["algorithm.energy: bytes of parameters = 3221", "to 2147483648"],
        ),
        (CD, &["algorithm.energy.kind=conv"], &["unknown"]),
        (CD, &["algorithm.optimizer.momentum=0.5"], &["unknown setting algorithm.optimizer.momentum"]),
        (CD_HMC, &["algorithm.optimizer.beta1=0.5"], &["unknown field `beta1`", "momentum"]),
        (CD_IMAGES, &["algorithm.energy.widths=[16384, 16384]"], &["algorithm.energy: bytes", "to 2147483648"]),
        (ICD, &["algorithm.memory.size=127"], &["memory.size = 127", "algorithm.batch = 128"]),
        (ICD, &["algorithm.kl.steps=51"], &["kl.steps = 51", "algorithm.langevin.steps = 50"]),
        (ICD, &["algorithm.memory.moves={kind='images', crop_area=[0.1, 1.0]}"], &["crops images", "data are [2]"]),
        (ICD, &["algorithm.conditional=true"], &["algorithm.conditional = true", "no labels"]),
        (ICD_IMAGES, &["algorithm.memory.moves={kind='plane'}"], &["turns points", "[8, 8, 1]"]),
        (ICD_IMAGES, &["algorithm.memory.moves={kind='images', flip=2.0}"], &["memory.moves", "flip = 2"]),
        (TEACHING, &["algorithm.conditional=true"], &["algorithm.conditional = true", "no labels"]),
        (TEACHING, &["algorithm.condition={kind='grey'}"], &["algorithm.condition", "made of images", "[2]"]),
        (TEACHING_IMAGES, &["algorithm.condition={kind='grey'}"], &["algorithm.condition.kind", "one channel"]),
        (TEACHING_IMAGES, &["algorithm.condition={kind='hole', side=9}"], &["condition.side = 9", "1 to 8"]),
        (TEACHING_IMAGES, &["algorithm.condition={kind='hole', side=0}"], &["condition.side = 0", "1 to 8"]),
        (TEACHING_IMAGES, &["algorithm.condition={kind='upscale', factor=3}"], &["condition.factor = 3", "of 8 and 8"]),
        (TEACHING_IMAGES, &["algorithm.condition={kind='upscale', factor=0}"], &["condition.factor = 0"]),
        (TEACHING_IMAGES, &["algorithm.condition={kind='half'}"], &["condition", "unknown variant `half`"]),
        (
            TEACHING_IMAGES,
            &["algorithm.condition={kind='hole', side=4}", "algorithm.chains=16"],
            &["algorithm.chains = 16", "algorithm.batch = 32"],
        ),
        (TEACHING, &["algorithm.vae.net={kind='conv'}"], &["conv autoencoder takes images", "[2]"]),
        (TEACHING_IMAGES, &["algorithm.vae.net={kind='mlp'}"], &["mlp autoencoder takes points", "[8, 8, 1]"]),
        (TEACHING_IMAGES, &["algorithm.vae.net.last=[3, 4]"], &["vae.net.last", "[3, 4, 1]"]),
        (CDRL, &[&format!("algorithm.energy.widths={wide}")], &["algorithm.energy: bytes", "to 2147483648"]),
        (CDRL, &["algorithm.initializer.width=16384"], &["algorithm.initializer: bytes", "to 2147483648"]),
        (CDRL, &["algorithm.schedule=drl_t6", "algorithm.levels=5"], &["algorithm.levels = 5", "drl_t6"]),
        (CDRL, &["algorithm.label_drop=0.0", "algorithm.conditional=true"], &["algorithm.label_drop = 0.0"]),
        (
            CDRL,
            &["algorithm.initializer_target=data", "algorithm.initializer_anchor=1.0"],
            &["initializer_anchor = 1", "chain"],
        ),
        (
            ("drl/checkerboard-small", &[]),
            &["algorithm.stage=initializer"],
            &["algorithm.stage = ", "[algorithm.initializer]"],
        ),
        (CDRL, &["algorithm.conditional=true"], &["no labels", "algorithm.conditional"]),
        (CDRL, &["algorithm.energy={kind='unet', dropout=0.0}"], &["energy.kind", "takes images"]),
        (CDRL_IMAGES, &["algorithm.energy.widths=[4, 4, 4, 4, 4]"], &["energy.widths = [4, 4, 4, 4, 4]", "8x8"]),
        (CDRL_IMAGES, &["algorithm.initializer.multipliers=[1, 1, 1, 1, 1]"], &["multipliers = [1, 1", "at most 4"]),
        (CDRL_IMAGES, &["algorithm.initializer.attention=[5]"], &["attention = [5]", "[8, 4]"]),
    ];
    for (base, set, words) in cases {
        check_line(&refusal(*base, set).unwrap_or_else(|| panic!("{set:?} passes")), words);
    }
}

#[test]
fn wrong_data_are_refused_before_they_are_made() {
    for spec in [
        "toy:two-moons:0",
        "toy:two-moons:-1",
        "toy:two-moons:1000000000000000000",
        "toy:two-moons:18446744073709551616",
        "toy:two-moons:many",
        "toy:three-moons",
        "uniform-noise:0x8x1",
        "uniform-noise:8x8x2",
        "uniform-noise:4294967296x4294967296x1",
        "uniform-noise:28x28x1:1000000000000",
        "half:toy:two-moons",
        "nothing:at-all",
    ] {
        let text = Dataset::load(spec, Split::Train).err().unwrap_or_else(|| panic!("{spec} passes")).to_string();
        check_line(&text, &[spec.rsplit(':').next().unwrap()]);
    }
}

/// Images of as many channels, as a data set of its own kind.
fn images(channels: usize) -> Registry {
    Registry::standard().data("images", move |_, _| {
        let values = (0..64 * 64 * channels).map(|i| (i % 7) as f32 / 7.0).collect();
        Ok(Dataset::new("images", vec![8, 8, channels], Values::F32(values)))
    })
}

/// Trains two iterations of a small net, with a picture.
fn short_run(registry: &Registry, preset: &str, name: &str, set: &[&str]) -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("ebm-settings-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let set: Vec<String> =
        ["trainer.steps=2", "trainer.sample_every=2"].iter().chain(set).map(|s| s.to_string()).collect();
    let config = RunConfig::load(registry, preset, &set)?;
    let mut session = Session::create(registry, config, &Device::oracle(), Some(&folder))?;
    session.train(Control { stop: &AtomicBool::new(false), progress: &mut |_| () })?;
    Ok(folder)
}

#[test]
fn images_of_one_to_four_channels_are_drawn_and_others_refused_before_training() {
    let set = ["data=images:8", "algorithm.batch=8", "algorithm.energy.widths=[4]", "algorithm.replay.size=64"];
    for channels in [2, 4] {
        let folder = short_run(&images(channels), CD_IMAGES.0, &format!("{channels}-channels"), &set).unwrap();
        assert!(folder.join("samples/samples-0000002.png").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
    let text = short_run(&images(5), CD_IMAGES.0, "5-channels", &set).unwrap_err().to_string();
    check_line(&text, &["channels", " = 5", "1 to 4"]);
}

#[test]
fn the_program_ends_with_one_line() {
    let registry = Registry::standard();
    let set = ["data=toy:two-moons:500", "algorithm.batch=8", "algorithm.energy.hidden=[4]"];
    let run = short_run(&registry, CD.0, "program", &set).unwrap();
    let dir = run.to_str().unwrap();
    let refused = |words: &[&str], expected: &[&str]| {
        check_line(&cli::error(&[words, &["--device", "oracle"]].concat()), expected);
    };
    let most = u64::MAX.to_string();
    for (option, value, expected) in [
        ("--n", "0", "n = 0:"),
        ("--n", &most, "n = 18446744073709551615:"),
        ("--n", "1000000000000", "n = 1000000000000:"),
        ("--n", "-1", "'-1'"),
        ("--langevin-steps", &most, "steps = 18446744073709551615:"),
        ("--step-scale", "nan", "step_scale = NaN:"),
        ("--guidance", "inf", "guidance = inf:"),
    ] {
        let n: &[&str] = if option == "--n" { &[] } else { &["--n", "4"] };
        let given = format!("{option}={value}");
        refused(&[&["sample", dir, &given], n].concat(), &[expected]);
    }
    refused(&["sample", dir, "--class=each", "--n", &most], &["n = 18446744073709551615:"]);
    refused(&["eval", dir, "--guidance=inf"], &["guidance = inf:"]);
    refused(&["eval", dir, "--guidance=1"], &["guidance", "recovery_likelihood", "generalized_cd"]);
    std::fs::remove_dir_all(&run).unwrap();

    // Nothing is left of a run that does not start.
    let train = |words: &[&str], expected: &[&str]| {
        refused(&[&["train", CD.0, "--out", dir], words].concat(), expected);
        assert!(!run.exists(), "{words:?} left a folder");
    };
    train(&["--steps", &most], &["trainer.steps", &most]);
    train(&["--steps", "0"], &["trainer.steps = 0:"]);
    train(&["--seed", &most], &["seed", &most]);
    train(&["--data", "toy:two-moons:1000000000000000000"], &["two-moons:1000000000000000000"]);
    train(&["--set", "algorithm.energy.hidden=[0]"], &["algorithm.energy.hidden = [0]:"]);
    train(&["--set", "algorithm.replay.size=4611686018427387904"], &["algorithm.replay.size = 4611686018427387904:"]);
}
