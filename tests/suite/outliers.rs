//! `ebm ood`: a trained energy against other data, with what is refused.

use crate::cli;
use ebm::data::Split;
use ebm::diffusion::Schedule;
use ebm::metrics::Mahalanobis;
use ebm::prelude::*;
use ebm::run::{Control, Registry, RunConfig, Session, outliers};
use ebm::train::OutlierScore;
use std::sync::atomic::AtomicBool;

/// A short run on small data; returns its folder.
pub fn trained(name: &str, preset: &str, set: &[&str]) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("ebm-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    let registry = Registry::standard();
    let config = RunConfig::load(&registry, preset, &set).unwrap();
    let mut session = Session::create(&registry, config, &Device::oracle(), Some(&folder)).unwrap();
    session.train(Control { stop: &AtomicBool::new(false), progress: &mut |_| () }).unwrap();
    folder
}

const POINTS: &[&str] = &[
    "data=toy:two-moons:500",
    "trainer.steps=3",
    "trainer.sample_every=0",
    "algorithm.batch=16",
    "algorithm.energy.hidden=[8]",
    "algorithm.langevin.steps=2",
];

#[test]
fn sets_are_made_loaded_or_refused_and_scores_kept_with_their_error() {
    let folder = trained("ood", "cd/eight-gaussians-small", POINTS);
    let session = Session::open_model(&Registry::standard(), &folder, &Device::oracle()).unwrap();
    let names: Vec<String> = ["uniform", "interpolation", "toy:swiss-roll:300"].map(String::from).into();
    let scores = outliers::detect(&session, None, &names, &[], 200).unwrap();
    let words: Vec<&str> = scores.scores.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(words[..2], ["auroc.uniform", "auprc.uniform"]);
    assert_eq!(words[4..], ["auroc.toy:swiss-roll:300", "auprc.toy:swiss-roll:300"]);
    assert!(scores.scores.iter().all(|s| (0.0..=1.0).contains(&s.value) && s.error.unwrap() < 0.2 && s.n == 200));
    let svg = std::fs::read_to_string(session.run.plot("ood.svg")).unwrap();
    assert!(svg.contains("energy") && svg.contains("swiss-roll"));
    assert_eq!(std::fs::read_to_string(folder.join("ood.json")).unwrap(), scores.to_json());

    // Means of two points lie within the hull of the points; uniform ones fill the box.
    let data = session.registry.load("toy:two-moons:500", ebm::data::Split::Test).unwrap();
    let rows = |set: &ebm::data::Dataset| set.rows(&(0..set.len()).collect::<Vec<_>>());
    let extent = |v: &[f32]| v.iter().fold([f32::MAX, f32::MIN], |[lo, hi], v| [lo.min(*v), hi.max(*v)]);
    let of = |spec: &str| extent(&rows(&outliers::set(&session, spec, &data, 400).unwrap()));
    let [lo, hi] = extent(&rows(&data));
    let mixed = of("interpolation");
    assert!(mixed[0] > lo && mixed[1] < hi, "{mixed:?} in {lo} {hi}");
    let uniform = of("uniform");
    assert!((uniform[0] + 1.0).abs() < 0.02 && (uniform[1] - 1.5).abs() < 0.02, "{uniform:?}");

    let dir = folder.to_str().unwrap();
    let refused = |words: &[&str], expected: &str| {
        let line = cli::error(&[&["ood", dir, "--device", "oracle"], words].concat());
        assert!(line.contains(expected), "{line}");
    };
    refused(&["--out", "constant"], "only images");
    refused(&["--out", "uniform-noise:8x8x1:20"], "shape [8, 8, 1], the model of [2]");
    refused(&["--in", "uniform-noise:8x8x1:20", "--out", "uniform"], "the model of [2]");
    refused(&["--out", "nothing"], "unknown data 'nothing'");
    refused(&["--out", "uniform", "--n", "0"], "n = 0: use 1 to");
    refused(&["--out", "uniform", "--score", "levels"], "score levels: this model has no levels");
    refused(&["--out", "uniform", "--score", "surprise"], "score surprise: use energy, gradient, levels");
    refused(&[], "--out <SPEC>");
    std::fs::remove_dir_all(folder).unwrap();
}

/// By noise level: what the energy, or its slope, makes of noised samples; the sum is that of its terms.
#[test]
fn scores_by_level_are_those_of_noised_samples() {
    let set = [
        "data=toy:eight-gaussians:500",
        "trainer.steps=2",
        "trainer.sample_every=0",
        "algorithm.batch=16",
        "algorithm.langevin_steps=2",
        "algorithm.energy.widths=[8]",
        "algorithm.energy.embedding=8",
        "algorithm.initializer.width=8",
    ];
    let folder = trained("ood-levels", "cdrl/eight-gaussians", &set);
    let session = Session::open_model(&Registry::standard(), &folder, &Device::oracle()).unwrap();
    let model = session.algorithm();
    let x = Tensor::normal(&Device::oracle(), [40, 2], &Key::new(2)).mul_scalar(3.0);
    let of = |by: &str| {
        let score = model.outlier_score(by.parse().unwrap(), &Key::new(3)).unwrap();
        score.energy(&x).to_f64().unwrap()
    };
    let (levels, schedule) = (model.levels(), Schedule::cdrl(6));
    let ((third, unit), (signal, noise)) = (&levels[2], (schedule.alpha_bar(2).sqrt(), schedule.sigma(2)));
    let (mut energy, mut missed) = (vec![0.0; 40], vec![0.0; 40]);
    for draw in 0..8 {
        let eps = Tensor::normal(&Device::oracle(), [40, 2], &Key::new(3).index(draw).index(3));
        let noised = x.mul_scalar(signal) + eps.mul_scalar(noise);
        let own = third.energy(&noised).mul_scalar(1.0 / unit) - eps.square().sum_axes(&[1]).mul_scalar(0.5);
        let off = (third.gradient(&noised).mul_scalar(noise / unit) - &eps).square().sum_axes(&[1]);
        for (sum, term) in [(&mut energy, own), (&mut missed, off)] {
            sum.iter_mut().zip(term.to_f64().unwrap()).for_each(|(sum, term)| *sum += term / 8.0);
        }
    }
    for (got, want) in [(of("level-3"), energy), (of("denoising-3"), missed)] {
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6 * b.abs().max(1.0)), "{got:?} {want:?}");
    }
    let mut sum = vec![0.0; 40];
    for t in 1..=6 {
        of(&format!("level-{t}")).iter().zip(&mut sum).for_each(|(term, sum)| *sum += term);
    }
    assert!(of("levels").iter().zip(&sum).all(|(a, b)| (a - b).abs() < 1e-6 * b.abs().max(1.0)));
    // How unusual the errors at all levels are together.
    let sets = [Split::Train, Split::Test].map(|split| session.registry.load(&session.config.data, split).unwrap());
    let vectors = sets.each_ref().map(|set| {
        let rows = Tensor::new(&Device::oracle(), [30, 2], &set.rows(&(0..30).collect::<Vec<_>>()));
        let errors = |t: usize| {
            let score = model.outlier_score(OutlierScore::Denoising(t), &Key::new(3)).unwrap();
            score.energy(&rows).to_f64().unwrap()
        };
        let levels: Vec<Vec<f64>> = (1..=6).map(errors).collect();
        (0..30).map(|i| levels.iter().map(|level| level[i].ln()).collect()).collect::<Vec<Vec<f64>>>()
    });
    let training = Mahalanobis::of(&vectors[0]);
    let found = outliers::numbers(&session, OutlierScore::Typicality, &[&sets[1]], 30, &Key::new(3)).unwrap();
    for (found, vector) in found[0].iter().zip(&vectors[1]) {
        let want = training.square(vector);
        assert!((f64::from(*found) - want).abs() < 1e-3 * want, "{found} {want}");
    }
    // |dE/dx| by differences along both axes.
    let (slope, h) = (of("gradient"), 1e-4);
    let shifted = |d: usize, by: f64| {
        let step: Vec<f64> = (0..80).map(|i| if i % 2 == d { by } else { 0.0 }).collect();
        let score = model.outlier_score("energy".parse().unwrap(), &Key::new(3)).unwrap();
        score.energy(&(&x + Tensor::from_f64(&Device::oracle(), [40, 2], step))).to_f64().unwrap()
    };
    let differences = [0, 1].map(|d| (shifted(d, h), shifted(d, -h)));
    for i in 0..40 {
        let want = differences.iter().map(|(a, b)| ((a[i] - b[i]) / (2.0 * h)).powi(2)).sum::<f64>().sqrt();
        assert!((slope[i] - want).abs() < 1e-4 * want.max(1.0), "{} {want}", slope[i]);
    }
    // The same figures where no history is recorded, as scores of many samples are computed.
    let unrecorded = no_grad(|| of("gradient"));
    assert_eq!(unrecorded, slope);
    let dir = folder.to_str().unwrap();
    let refused = |score: &str| cli::error(&["ood", dir, "--device", "oracle", "--out", "uniform", "--score", score]);
    assert!(refused("level-7").contains("this model has levels 1 to 6"));
    assert!(refused("denoising-0").contains("this model has levels 1 to 6"));
    assert!(refused("classes").contains("was not told classes"));
    let few = ["ood", dir, "--device", "oracle", "--out", "uniform", "--score", "typicality", "--n", "19"];
    assert!(cli::error(&few).contains("n = 19: score typicality compares with as many training samples; use 20"));
    std::fs::remove_dir_all(folder).unwrap();
}

/// Of an image each channel has one value, other ones in other images.
#[test]
fn constant_images_have_one_colour_and_pasted_noise_is_drawn() {
    let set = [
        "data=uniform-noise:8x8x3:64",
        "trainer.steps=1",
        "trainer.sample_every=0",
        "algorithm.batch=4",
        "algorithm.replay.size=8",
        "algorithm.energy.widths=[4]",
        "algorithm.langevin.steps=1",
    ];
    let folder = trained("ood-constant", "cd/cifar10", &set);
    let session = Session::open_model(&Registry::standard(), &folder, &Device::oracle()).unwrap();
    let data = session.registry.load("uniform-noise:8x8x3:64", ebm::data::Split::Test).unwrap();
    let images = outliers::set(&session, "constant", &data, 20).unwrap();
    let rows = images.rows(&(0..20).collect::<Vec<_>>());
    let images: Vec<&[f32]> = rows.chunks_exact(8 * 8 * 3).collect();
    assert!(images.iter().all(|image| image.chunks_exact(3).all(|pixel| pixel == &image[..3])));
    assert!(
        images[0][0] != images[1][0] && images[0][0] != images[0][1] && rows.iter().all(|v| (0.0..1.0).contains(v))
    );

    // Noise pasted into images of noise is found by chance alone; and drawn are three sets of ten, each with its slopes.
    let scores = outliers::detect(&session, None, &["constant".to_string()], &[], 64).unwrap();
    let found = scores.scores.iter().find(|score| score.name == "pixel_auroc.noise").unwrap();
    let error = found.error.unwrap();
    assert!(found.n == data.len().min(200) && error > 0.0 && (found.value - 0.5).abs() < 4.0 * error, "{found:?}");
    let picture = std::fs::read(session.run.plot("ood-slopes.png")).unwrap();
    let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert!(side(16) > 10 * 8 && side(20) > 6 * 8, "{} x {}", side(16), side(20));
    std::fs::remove_dir_all(folder).unwrap();
}
