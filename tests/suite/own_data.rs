//! Data of a user's own, points and images, through every step of a run: no known density, no fixed box.

use ebm::io::npy;
use ebm::plot::Picture;
use ebm::prelude::*;
use ebm::run::evaluation::{Effort, Part, evaluate};
use ebm::run::{Control, Progress, Registry, RunConfig, Scores, Session, report};
use ebm::train::{Model, SampleRequest};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ebm-test-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Trains a preset for three iterations with these settings.
fn train(data: &str, preset: &str, settings: &[&str], out: &Path) -> Session {
    let registry = Registry::standard();
    let mut set: Vec<String> = settings.iter().map(|s| s.to_string()).collect();
    set.extend([format!("data=\"{data}\""), "trainer.steps=3".into(), "trainer.sample_every=3".into()]);
    let config = RunConfig::load(&registry, preset, &set).unwrap();
    let mut session = Session::create(&registry, config, &Device::oracle(), Some(out)).unwrap();
    session.train(Control { stop: &AtomicBool::new(false), progress: &mut |_: &Progress| () }).unwrap();
    session
}

#[test]
fn points_in_an_array_are_trained_on_scored_and_drawn_on_their_own_box() {
    let place = folder("own-points");
    // A spiral, and a cluster far to the right of it.
    let key = Key::new(5);
    let point = |i: u64| match i % 4 {
        0 => [8.0 + 0.2 * key.normal(2 * i), -6.0 + 0.2 * key.normal(2 * i + 1)],
        _ => {
            let s = 9.0 * key.uniform(i).sqrt();
            [0.5 * s * s.cos(), 0.5 * s * s.sin()]
        }
    };
    let values: Vec<f32> = (0..600).flat_map(point).map(|v| v as f32).collect();
    let file = place.join("points.npy");
    npy::write(&file, &[600, 2], &values).unwrap();
    for (preset, settings) in [
        ("cd/two-moons", &["algorithm.energy.hidden=[8]", "algorithm.batch=32", "algorithm.replay.size=64"][..]),
        (
            "cdrl/eight-gaussians",
            &[
                "algorithm.energy.widths=[8]",
                "algorithm.batch=16",
                "algorithm.langevin_steps=1",
                "algorithm.initializer.width=4",
            ],
        ),
    ] {
        let out = place.join(preset.replace('/', "-"));
        let session = train(&format!("npy:{}", file.display()), preset, settings, &out);
        let [x, y] = session.bounds()[..] else { panic!("a box of two intervals") };
        assert!(x[0] < -3.0 && x[1] > 8.0 && y[0] < -6.0 && y[1] > 3.0 && x[1] < 12.0 && y[0] > -9.0, "{x:?} {y:?}");
        let effort = Effort { points: 100, steps: Some(2), ..Effort::default() };
        let scores = evaluate(&session, &effort).unwrap();
        let sw2 = scores.scores.iter().find(|s| s.name == "sw2").unwrap();
        let floor = sw2.against.as_ref().unwrap();
        // 60 points are held out, so no more can be compared.
        assert!(sw2.n == 60 && floor.what == "floor" && floor.value > 0.0 && sw2.value.is_finite(), "{sw2:?}");
        assert!(scores.get("auc").is_some() && scores.get("grid_kl").is_none());
        report::write(&session).unwrap();
        let page = std::fs::read_to_string(session.run.report()).unwrap();
        assert!(
            page.contains("The data")
                && page.contains("Energy, normalised density")
                && !page.contains("eight-gaussians:")
        );
    }
    // A trained run needs its data no more.
    std::fs::remove_file(&file).unwrap();
    let model = Session::open_model(&Registry::standard(), &place.join("cd-two-moons"), &Device::oracle()).unwrap();
    let x =
        model.algorithm().sample(&SampleRequest { steps: Some(1), ..SampleRequest::new(7) }, &Key::new(1)).unwrap().x;
    assert_eq!(x.shape().0, [7, 2]);
    assert_eq!(Model::sample_shape(model.algorithm()), [2]);
    // A damaged description is told, not believed.
    let text = r#"{"name": "x", "sample_shape": [4294967296, 4294967296], "classes": 0, "bounds": [[0.0, 1.0]]}"#;
    std::fs::write(place.join("cd-two-moons/data.json"), text).unwrap();
    let error =
        Session::open_model(&Registry::standard(), &place.join("cd-two-moons"), &Device::oracle()).err().unwrap();
    assert!(error.to_string().contains("data.json") && error.to_string().contains("data description"), "{error}");
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_folder_of_pictures_is_trained_on() {
    let place = folder("own-images");
    let pictures = place.join("png");
    std::fs::create_dir(&pictures).unwrap();
    for i in 0..20u8 {
        std::fs::write(pictures.join(format!("{i}.png")), Picture::new(8, 8, [i * 10, 200, 255 - i]).png()).unwrap();
    }
    let settings =
        ["algorithm.energy.widths=[4]", "algorithm.batch=4", "algorithm.replay.size=8", "algorithm.langevin.steps=1"];
    let session = train(&format!("png:{}", pictures.display()), "cd/fashion-mnist", &settings, &place.join("run"));
    assert_eq!((session.data.sample_shape.as_slice(), session.bounds()), (&[8, 8, 3][..], vec![[0.0, 1.0]]));
    let scores = evaluate(&session, &Effort { images: 2, ..Effort::default() }).unwrap();
    // The preset's outliers are of another size, or not here: told by name, and no reason to stop.
    assert!(scores.skipped.len() == 2 && scores.skipped.iter().all(|why| why.starts_with("ood.")), "{scores:?}");
    let kept = || Scores::from_json(&std::fs::read_to_string(session.run.scores()).unwrap()).unwrap();
    assert_eq!(kept(), scores);
    evaluate(&session, &Effort { only: vec![Part::Samples], ..Effort::default() }).unwrap();
    assert!(kept().skipped.is_empty(), "outliers were not asked for");
    report::write(&session).unwrap();
    assert!(std::fs::read_dir(session.run.root().join("samples")).unwrap().count() == 1);
    std::fs::remove_dir_all(place).unwrap();
}

/// Points scaled to their box and steps in its units: in other units the same samples come out, in other units.
#[test]
fn relative_settings_do_not_depend_on_the_units_of_the_data() {
    use ebm::data::{Dataset, Values};
    use ebm::energy::{EnergyConfig, MlpConfig};
    use ebm::sample::{Langevin, SamplerConfig};
    use ebm::train::contrastive_divergence::Config;
    use ebm::train::{ContrastiveDivergence, ReplayConfig, Training};
    let samples = |unit: f64, origin: f64| {
        let key = Key::new(3);
        let values = (0..200).map(|i| (unit * key.normal(i) + origin) as f32).collect();
        let data = Dataset::new("points", vec![2], Values::F32(values));
        let langevin = Langevin { steps: 3, step_size: 1e-3, ..Default::default() };
        let config = Config {
            batch: 16,
            energy: EnergyConfig::Mlp(MlpConfig { hidden: vec![8], gain: Some(4.0), ..Default::default() }),
            langevin: SamplerConfig { relative: true, ..langevin.into() },
            replay: ReplayConfig { size: 32, ..Default::default() },
            ..Default::default()
        };
        let device = Device::oracle();
        let cd = ContrastiveDivergence::new(&config, data, &device, &key).unwrap();
        let mut training = Training::new(Box::new(cd), &device, &key, false);
        (0..4).for_each(|_| drop(pollster::block_on(training.advance())));
        let x = training.algorithm().preview(32, &key).unwrap().x.to_f64().unwrap();
        x.into_iter().map(|x| (x - origin) / unit).collect::<Vec<f64>>()
    };
    let (plain, other) = (samples(1.0, 0.0), samples(250.0, 1000.0));
    let off = plain.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // The points themselves are f32.
    assert!(off < 1e-3 && plain.iter().any(|x| x.abs() > 1.0), "{off}");
}
