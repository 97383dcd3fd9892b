//! Runs that start from the nets of another run.

use ebm::prelude::*;
use ebm::run::{Control, Progress, Registry, RunConfig, Session};
use ebm::train::State;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

const SMALL: &[&str] = &[
    "data=toy:eight-gaussians:500",
    "algorithm.batch=32",
    "algorithm.sampler.net.hidden=[8, 8]",
    "trainer.log_every=1",
    "trainer.sample_every=0",
];

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ebm-init-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn session(preset: &str, more: &[&str], at: &Path) -> Result<Session> {
    let set: Vec<String> = SMALL.iter().chain(more).map(|s| s.to_string()).collect();
    let registry = Registry::standard();
    Session::create(&registry, RunConfig::load(&registry, preset, &set)?, &Device::oracle(), Some(at))
}

fn train(session: &mut Session) -> Result<()> {
    let (stop, quiet) = (AtomicBool::new(false), &mut |_: &Progress| ());
    session.train(Control { stop: &stop, progress: quiet })
}

/// The values of the net or average called `name`.
fn net(session: &Session, name: &str) -> Vec<f32> {
    let state = session.algorithm().state();
    match &state.iter().find(|(key, _)| key == name).unwrap().1 {
        State::Flat(_, var) => var.get().to_vec().unwrap(),
        _ => panic!("{name} is no net"),
    }
}

/// What a run of `gcd` is told besides.
const GCD: &[&str] =
    &["algorithm.value.value.hidden=[8]", "algorithm.value.energy.hidden=[8]", "trainer.steps=1", "init.steps=3"];

#[test]
fn a_sampler_starts_as_the_average_of_the_run_it_names_trained_first_where_it_is_a_preset() {
    let (first, second) = (folder("ddpm"), folder("gcd"));
    // With the batch of the preset, which a run that trains it first leaves as it is.
    let mut source = session("ddpm/eight-gaussians", &["trainer.steps=3", "algorithm.batch=256"], &first).unwrap();
    train(&mut source).unwrap();
    // With a rate of nearly zero the first iteration leaves the nets where they start.
    let still: Vec<&str> = [GCD, &["algorithm.sampler_optimizer.rate.lr=1e-30"]].concat();
    let from = format!("init.from={}", first.display());
    let mut from_folder = session("gcd/eight-gaussians", &[&still[..], &[&from]].concat(), &second).unwrap();
    train(&mut from_folder).unwrap();
    let want = net(&source, "sampler.ema");
    assert!(want != net(&source, "sampler"), "the average lags");
    assert_eq!((&net(&from_folder, "sampler"), &net(&from_folder, "sampler.ema")), (&want, &want));

    // The preset, trained on the same data with the same seed and settings of the sampler, leaves the same nets.
    let third = folder("both");
    let mut from_preset = session("gcd/eight-gaussians", &still, &third).unwrap();
    train(&mut from_preset).unwrap();
    assert_eq!(net(&from_preset, "sampler"), want);
    assert!(third.join("init/checkpoints").exists());
    // What was started resumes without its source.
    std::fs::remove_dir_all(third.join("init")).unwrap();
    let again = Session::open(&Registry::standard(), &third, &Device::oracle()).unwrap();
    assert_eq!(net(&again, "sampler"), want);
    for folder in [first, second, third] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Two stages of cooperative recovery likelihood: the initializer and its learnt variances come from the first.
#[test]
fn the_second_stage_starts_from_the_initializer_of_the_first() {
    let (first, second) = (folder("stage-1"), folder("stage-2"));
    let small = |at: &Path, more: &[&str]| {
        let set = ["data=toy:eight-gaussians:500", "algorithm.batch=32", "algorithm.energy.widths=[8]"];
        let rest =
            ["algorithm.energy.embedding=8", "algorithm.initializer.width=8", "algorithm.proposal_variance=learnt"];
        let last = ["algorithm.langevin_steps=2", "trainer.log_every=1", "trainer.sample_every=0"];
        let set: Vec<String> = set.iter().chain(&rest).chain(&last).chain(more).map(|s| s.to_string()).collect();
        let registry = Registry::standard();
        let config = RunConfig::load(&registry, "cdrl/eight-gaussians", &set)?;
        let mut session = Session::create(&registry, config, &Device::oracle(), Some(at))?;
        train(&mut session).map(|()| session)
    };
    let variances = |session: &Session| match &session
        .algorithm()
        .state()
        .into_iter()
        .find(|(key, _)| key == "initializer.variances")
    {
        Some((_, State::Value(var))) => var.get().to_vec().unwrap(),
        _ => panic!("no variances"),
    };
    let source =
        small(&first, &["algorithm.stage=initializer", "algorithm.initializer_target=data", "trainer.steps=4"])
            .unwrap();
    assert!(source.algorithm().energy().is_err(), "the first stage has no energy");
    assert_eq!(
        source.algorithm().sample(&ebm::train::SampleRequest::new(5), &Key::new(1)).unwrap().x.shape()[..],
        [5, 2]
    );
    let from = format!("init.from={}", first.display());
    let still = "algorithm.initializer_optimizer.rate.lr=1e-30";
    let both = small(&second, &[&from, still, "trainer.steps=1"]).unwrap();
    assert_eq!(net(&both, "initializer"), net(&source, "initializer.ema"));
    // One iteration moves them by two parts in a hundred of what it found.
    let moved = variances(&both).iter().zip(variances(&source)).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f32::max);
    assert!(moved > 0.0 && moved < 0.5, "{moved}");
    let _ = std::fs::remove_dir_all(&second);
    let text = small(&second, &[&from, "algorithm.schedule=drl_t6"]).err().unwrap().to_string();
    assert!(text.contains("algorithm.schedule is \"cdrl\" there and \"drl_t6\" here"), "{text}");
    for folder in [first, second] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn what_does_not_fit_is_refused_with_one_line() {
    let first = folder("source");
    train(&mut session("ddpm/eight-gaussians", &["trainer.steps=1"], &first).unwrap()).unwrap();
    let from = format!("init.from={}", first.display());
    let refused = |preset: &str, more: &[&str], want: &str| {
        let at = folder("refused");
        let text = session(preset, more, &at).and_then(|mut s| train(&mut s)).unwrap_err().to_string();
        assert!(text.contains(want) && !text.contains('\n'), "{text}");
        let _ = std::fs::remove_dir_all(at);
    };
    let with = |more: &[&'static str]| [GCD, &[from.as_str()], more].concat();
    refused("gcd/eight-gaussians", &with(&["data=toy:two-moons:500"]), "trained on toy:eight-gaussians:500");
    refused(
        "gcd/eight-gaussians",
        &with(&["algorithm.sampler.steps=4"]),
        "algorithm.sampler.steps is 5 there and 4 here",
    );
    refused("gcd/eight-gaussians", &with(&["algorithm.sampler.net.hidden=[9]"]), "algorithm.sampler.net is");
    refused(
        "gcd/eight-gaussians",
        &[GCD, &["init.from=runs/nowhere"]].concat(),
        "init.from: no run lies in the folder",
    );
    std::fs::remove_dir_all(first).unwrap();
}
