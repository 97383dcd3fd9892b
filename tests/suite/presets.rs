//! Slow checks: presets trained to their end and held to their scores. Minutes each, so they run by name or all by
//! `cargo test --release --test suite -- --ignored --nocapture presets::`.

use crate::support;
use ebm::run::evaluation::{Effort, evaluate};
use ebm::run::{Control, Registry, RunConfig, Session};
use std::sync::atomic::AtomicBool;

/// Trains a preset and compares scores with their bounds: `(name, at least, at most)`.
fn reaches(preset: &str, bounds: &[(&str, f64, f64)]) {
    let Some(device) = support::gpu(preset, false) else { return };
    let registry = Registry::standard();
    let config = RunConfig::load(&registry, preset, &["trainer.sample_every=0".into()]).unwrap();
    let out = std::env::temp_dir().join(format!("ebm-test-{}-{}", std::process::id(), preset.replace('/', "-")));
    let mut session = Session::create(&registry, config, &device, Some(&out)).unwrap();
    session.train(Control { stop: &AtomicBool::new(false), progress: &mut |_| () }).unwrap();
    let scores = evaluate(&session, &Effort::default()).unwrap();
    for &(name, least, most) in bounds {
        let value = scores.get(name).unwrap();
        println!("{preset}: {name} {value:.4}, from {least} to {most}");
        assert!((least..=most).contains(&value), "{preset}: {name} is {value}, not from {least} to {most}");
    }
    std::fs::remove_dir_all(out).unwrap();
}

#[test]
#[ignore = "minutes"]
fn eight_gaussians() {
    reaches(
        "cd/eight-gaussians",
        &[("modes", 8.0, 8.0), ("sw2", 0.0, 0.12), ("auc", 0.88, 0.91), ("grid_kl", 0.0, 0.12)],
    );
}

#[test]
#[ignore = "minutes"]
fn checkerboard() {
    let bounds = [("auc", 0.72, 0.75), ("inside", 0.9, 1.0), ("mode_mass_deviation", 0.0, 0.03), ("sw2", 0.0, 0.12)];
    reaches("cd/checkerboard", &bounds);
}

#[test]
#[ignore = "minutes"]
fn two_moons() {
    reaches("cd/two-moons", &[("sw2", 0.0, 0.06), ("auc", 0.95, 1.0)]);
}

#[test]
#[ignore = "minutes"]
fn rings() {
    reaches("cd/rings", &[("sw2", 0.0, 0.15), ("auc", 0.8, 0.92)]);
}

#[test]
#[ignore = "minutes"]
fn two_spirals() {
    reaches("cd/two-spirals", &[("sw2", 0.0, 0.1), ("auc", 0.83, 1.0)]);
}

#[test]
#[ignore = "minutes"]
fn swiss_roll() {
    reaches("cd/swiss-roll", &[("sw2", 0.0, 0.04), ("auc", 0.93, 1.0)]);
}

#[test]
#[ignore = "minutes"]
fn eight_gaussians_by_variational_mcmc_teaching() {
    let bounds = [("modes", 8.0, 8.0), ("sw2", 0.0, 0.12), ("sw2.decoder", 0.15, 1.0), ("auc", 0.85, 0.91)];
    reaches("mcmc-teaching/eight-gaussians", &bounds);
}

#[test]
#[ignore = "minutes"]
fn checkerboard_by_variational_mcmc_teaching() {
    let bounds = [("inside", 0.75, 1.0), ("mode_mass_deviation", 0.0, 0.05), ("sw2", 0.0, 0.12)];
    reaches("mcmc-teaching/checkerboard", &bounds);
}
