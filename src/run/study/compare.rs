//! `ebm study compare`: every algorithm on the same densities, for the same time, by the same measures.
//!
//! First an iteration of each is timed, which gives its number of iterations for the budget; the numbers are kept in
//! `budget.toml`, so that a study that was stopped goes on with them. Falls of learning rates are moved with the end.

use super::generalized_cd::mean_and_error;
use super::{Study, Table};
use crate::error::{Error, Result};
use crate::io::{atomic::write_bytes, read_text};
use crate::plot::{self, Curves, Picture};
use crate::run::evaluation::{self, Effort};
use crate::run::{Registry, RunConfig, Scores, Session, build, pictures};
use crate::tensor::{Device, Key};
use crate::train::SampleRequest;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::path::{Path, PathBuf};
use std::time::Instant;
use toml::{Table as Toml, Value};

/// What the study is told.
pub struct CompareStudy {
    /// Seconds of each training.
    pub seconds: f64,
    /// Seeds of each row.
    pub seeds: u64,
    /// The densities, all of [`DATA`] if none is named.
    pub data: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    pub out: PathBuf,
    /// Iterations of each preset on each density.
    budget: BTreeMap<String, u64>,
}

/// The densities.
pub const DATA: [&str; 3] = ["eight-gaussians", "checkerboard", "two-spirals"];
/// Points of each of them.
const POINTS: usize = 50_000;

/// An algorithm, and the presets that it is made of: for each density its own, or the first one on other data.
struct Entry {
    name: &'static str,
    presets: &'static [&'static str],
}

const ENTRIES: [Entry; 7] = [
    Entry { name: "DDPM, T = 5", presets: &["ddpm/eight-gaussians"] },
    Entry { name: "CD", presets: &["cd/eight-gaussians", "cd/checkerboard", "cd/two-spirals"] },
    Entry { name: "improved CD", presets: &["improved-cd/eight-gaussians"] },
    Entry { name: "DRL", presets: &["drl/checkerboard-small"] },
    Entry { name: "CDRL", presets: &["cdrl/checkerboard-small"] },
    Entry { name: "MCMC teaching", presets: &["mcmc-teaching/eight-gaussians", "mcmc-teaching/checkerboard"] },
    Entry { name: "GCD, T = 5", presets: &["gcd/eight-gaussians"] },
];

impl Entry {
    fn preset(&self, data: &str) -> &'static str {
        let own = self.presets.iter().find(|preset| preset.ends_with(&format!("/{data}")));
        own.unwrap_or(&self.presets[0])
    }
}

/// One training.
pub struct Variant {
    entry: &'static Entry,
    data: String,
    seed: u64,
}

/// What came of it.
pub struct Row {
    variant: Variant,
    /// Nothing where the training was stopped as unhealthy.
    done: Option<Done>,
}

struct Done {
    scores: Scores,
    /// Dispatches of an iteration, and of 1000 samples; nothing on the oracle.
    dispatches: Option<[f64; 2]>,
    picture: Picture,
}

impl CompareStudy {
    /// Times an iteration of each algorithm on each density, or reads what an earlier study found.
    pub fn new(
        (seconds, seeds, data, out): (f64, u64, Vec<String>, PathBuf),
        registry: &Registry,
        device: &Device,
    ) -> Result<CompareStudy> {
        let data = if data.is_empty() { DATA.map(String::from).to_vec() } else { data };
        let mut study = CompareStudy { seconds, seeds, data, out, budget: BTreeMap::new() };
        let file = study.out.join("budget.toml");
        if file.exists() {
            let text = read_text(&file)?;
            study.budget = toml::from_str(&text).map_err(|e| Error::format(&file, "budget", e.to_string()))?;
        }
        for data in study.data.clone() {
            for entry in &ENTRIES {
                let config = study.settings(entry, &data, 0, registry)?;
                let mut stages = vec![(entry.name.to_string(), config.clone())];
                if let Some(init) = &config.init {
                    let first = with_data(RunConfig::load(registry, &init.from, &[])?, &data);
                    stages.push((format!("{}, start", entry.name), first));
                }
                // What comes first takes a third of the time.
                let shares = if stages.len() == 2 { vec![2.0 / 3.0, 1.0 / 3.0] } else { vec![1.0] };
                for ((name, config), share) in stages.into_iter().zip(shares) {
                    let key = format!("{data}, {name}");
                    if let MapEntry::Vacant(place) = study.budget.entry(key) {
                        let each = seconds_of_an_iteration(registry, &config, device)?;
                        place.insert(((seconds * share / each) as u64).max(10));
                    }
                }
            }
        }
        std::fs::create_dir_all(&study.out).map_err(|e| Error::file(&study.out, e))?;
        let text = toml::to_string(&study.budget).map_err(Error::setting)?;
        write_bytes(file, text.as_bytes())?;
        Ok(study)
    }

    fn settings(&self, entry: &Entry, data: &str, seed: u64, registry: &Registry) -> Result<RunConfig> {
        let set = [format!("seed={seed}"), "trainer.sample_every=0".into()];
        Ok(with_data(RunConfig::load(registry, entry.preset(data), &set)?, data))
    }
}

fn with_data(config: RunConfig, data: &str) -> RunConfig {
    RunConfig { data: format!("toy:{}:{POINTS}", toy(data)), ..config }
}

/// The density that a name of [`DATA`] stands for.
fn toy(data: &str) -> &str {
    if data == "checkerboard" { "checkerboard-b" } else { data }
}

/// The mean over some iterations after the first ones.
fn seconds_of_an_iteration(registry: &Registry, config: &RunConfig, device: &Device) -> Result<f64> {
    let mut training = build(registry, config, device)?;
    let mut some = |n: usize| {
        let start = Instant::now();
        (0..n).for_each(|_| drop(pollster::block_on(training.advance())));
        device.wait().map(|()| start.elapsed().as_secs_f64() / n as f64)
    };
    some(3)?;
    some(20)
}

/// Multiplies every setting called `decay_from` or `decay_until`.
fn stretch(settings: &mut Toml, factor: f64) {
    for (key, value) in settings.iter_mut() {
        match value {
            Value::Table(inner) => stretch(inner, factor),
            Value::Integer(count) if key == "decay_from" || key == "decay_until" => {
                *count = (*count as f64 * factor).round() as i64;
            }
            _ => {}
        }
    }
}

impl Study for CompareStudy {
    type Variant = Variant;
    type Row = Row;

    fn out(&self) -> &Path {
        &self.out
    }

    fn variants(&self) -> Vec<Variant> {
        let of = |seed: u64, data: &String| {
            let data = data.clone();
            ENTRIES.iter().map(move |entry| Variant { entry, data: data.clone(), seed })
        };
        (0..self.seeds).flat_map(|seed| self.data.iter().flat_map(move |data| of(seed, data))).collect()
    }

    fn name(&self, Variant { entry, data, seed }: &Variant) -> String {
        let words = entry.name.to_lowercase().replace(',', "").replace(" = ", "").replace(' ', "-");
        format!("{data}-{words}-seed-{seed}")
    }

    fn config(&self, Variant { entry, data, seed }: &Variant, registry: &Registry) -> Result<RunConfig> {
        let mut config = self.settings(entry, data, *seed, registry)?;
        let budget = |name: &str| self.budget.get(&format!("{data}, {name}")).copied();
        let steps = budget(entry.name).unwrap_or(config.trainer.steps);
        stretch(&mut config.algorithm.settings, steps as f64 / config.trainer.steps as f64);
        config.trainer.steps = steps;
        if let Some(init) = &mut config.init {
            init.steps = budget(&format!("{}, start", entry.name));
        }
        Ok(config)
    }

    fn row(&self, variant: Variant, session: Result<Session>) -> Result<Row> {
        let Ok(mut session) = session else { return Ok(Row { variant, done: None }) };
        let scores = evaluation::evaluate(&session, &Effort::default())?;
        let model = session.algorithm();
        let samples = model.sample(&SampleRequest::new(5000), &Key::new(0).named("pictures"))?.x;
        let (name, bounds) = (variant.entry.name, session.bounds());
        let picture = match model.energy() {
            Ok(energy) => {
                let title = format!("{name}: energy");
                pictures::points_of(&title, &*energy, model.temperature(), &bounds, &samples)?
            }
            Err(_) => pictures::cloud(&format!("{name}: samples"), &bounds, &samples.to_vec()?),
        };
        let dispatches = dispatches(&mut session)?;
        Ok(Row { variant, done: Some(Done { scores, dispatches, picture }) })
    }

    fn line(&self, row: &Row) -> String {
        let of = |name| row.done.as_ref().and_then(|d| d.scores.get(name)).map_or("-".into(), |v| format!("{v:.3}"));
        let Variant { entry, data, seed } = &row.variant;
        format!("{data:16} {:14} seed {seed}  SW2 {}  AUC {}", entry.name, of("sw2"), of("auc"))
    }

    /// `study.md`, `study.svg`, and for each density `DATA.png`, a row an algorithm: energy, density, samples of seed 0.
    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut table = Table::new(
            "data | algorithm | iterations | SW2 | floor | AUC | ceiling | grid KL | dispatches an iteration | dispatches for 10 000 samples",
        );
        let mut curves = Curves::new("SW2 by density (1: eight Gaussians, 2: checkerboard, 3: two spirals)").log_y();
        let mut lines: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
        for (place, data) in self.data.iter().enumerate() {
            let mut all_pictures = Vec::new();
            for entry in &ENTRIES {
                let of = |row: &&Row| row.variant.data == *data && row.variant.entry.name == entry.name;
                let done: Vec<&Done> = rows.iter().filter(of).filter_map(|row| row.done.as_ref()).collect();
                let Some(first) = done.first() else { continue };
                let column = |name: &str| done.iter().filter_map(|d| d.scores.get(name)).collect::<Vec<f64>>();
                let against = |name: &str| {
                    let score = first.scores.scores.iter().find(|s| s.name == name);
                    score.and_then(|s| s.against.as_ref()).map_or("-".into(), |a| format!("{:.3}", a.value))
                };
                let counts = first.dispatches.map_or(["-".into(), "-".into()], |d| d.map(|d| format!("{d:.0}")));
                let [iteration, samples] = counts;
                let cells = [
                    data.clone(),
                    entry.name.into(),
                    first.scores.step.to_string(),
                    mean_and_error(&column("sw2")),
                    against("sw2"),
                    mean_and_error(&column("auc")),
                    against("auc"),
                    mean_and_error(&column("grid_kl")),
                    iteration,
                    samples,
                ];
                table.row(cells.to_vec());
                all_pictures.push(first.picture.clone());
                let sw2 = column("sw2");
                let line = lines.entry(entry.name).or_default();
                line[0].push((place + 1) as f64);
                line[1].push(sw2.iter().sum::<f64>() / sw2.len() as f64);
            }
            if !all_pictures.is_empty() {
                write_bytes(self.out.join(format!("{data}.png")), &plot::stack(&all_pictures).png())?;
            }
        }
        for (name, [x, y]) in &lines {
            curves = curves.series(name, x, y);
        }
        table.markdown(self.out.join("study.md"))?;
        write_bytes(self.out.join("study.svg"), curves.along("density").svg().as_bytes())
    }
}

/// Dispatches of an iteration, and of 10 000 samples.
fn dispatches(session: &mut Session) -> Result<Option<[f64; 2]>> {
    let Device::Gpu(gpu) = session.device.clone() else { return Ok(None) };
    let mut training = build(&session.registry, &session.config, &session.device)?;
    drop(pollster::block_on(training.advance()));
    gpu.profile_start();
    drop(pollster::block_on(training.advance()));
    gpu.wait()?;
    let iteration = gpu.profile_stop().dispatches;
    gpu.profile_start();
    let samples = session.algorithm().sample(&SampleRequest::new(10_000), &Key::new(0))?;
    drop(samples.x.to_vec()?);
    Ok(Some([iteration, gpu.profile_stop().dispatches].map(|count| count as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_of_rates_move_with_the_end_and_nothing_else_does() {
        let mut settings: Toml =
            "steps = 8\n[a.rate]\ndecay_from = 10\ndecay_until = 0\n[b]\ndecay_until = 5".parse().unwrap();
        stretch(&mut settings, 0.5);
        let want: Toml = "steps = 8\n[a.rate]\ndecay_from = 5\ndecay_until = 0\n[b]\ndecay_until = 3".parse().unwrap();
        assert_eq!(settings, want);
    }

    #[test]
    fn every_algorithm_has_settings_for_every_density_and_folders_of_its_own() {
        let budget = BTreeMap::from([("two-spirals, CD".to_string(), 40)]);
        let data = DATA.map(String::from).to_vec();
        let study = CompareStudy { seconds: 1.0, seeds: 2, data, out: "x".into(), budget };
        let variants = study.variants();
        assert_eq!(variants.len(), 2 * DATA.len() * ENTRIES.len());
        let mut names: Vec<String> = variants.iter().map(|v| study.name(v)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), variants.len());
        let registry = Registry::standard();
        for variant in &variants {
            let config = study.config(variant, &registry).unwrap();
            registry.load(&config.data, crate::data::Split::Train).unwrap();
            if study.name(variant) == "two-spirals-cd-seed-1" {
                assert_eq!((config.seed, config.trainer.steps), (1, 40));
            }
        }
    }
}
