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
use crate::train::{SampleRequest, Training};
use std::collections::BTreeMap;
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
/// Samples of a score and in a picture, and those that dispatches are counted of.
const SAMPLES: usize = 5000;

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
    /// Of seed 0 alone.
    shown: Option<Shown>,
}

struct Shown {
    /// Dispatches of an iteration, and of [`SAMPLES`] samples; nothing on the oracle.
    dispatches: Option<[u64; 2]>,
    /// Energy, density, samples.
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
        let mut timed = Vec::new();
        for data in study.data.clone() {
            for entry in &ENTRIES {
                let config = study.settings(entry, &data, 0, registry)?;
                let first = config.init.as_ref().map(|init| RunConfig::load(registry, &init.from, &[])).transpose()?;
                let first = first.map(|first| (format!("{}, start", entry.name), with_data(first, &data)));
                // What comes first takes a third of the time.
                let shares = if first.is_some() { [2.0 / 3.0, 1.0 / 3.0] } else { [1.0, 0.0] };
                for ((name, config), share) in [(entry.name.into(), config)].into_iter().chain(first).zip(shares) {
                    let key = format!("{data}, {name}");
                    if !study.budget.contains_key(&key) {
                        timed.push((key, share, Timed::new(build(registry, &config, device)?, device)?));
                    }
                }
            }
        }
        // In turn: a computer that is slow for a while is slow for all.
        for _ in 0..ROUNDS {
            timed.iter_mut().try_for_each(|(_, _, timed)| timed.some(device))?;
        }
        for (key, share, Timed { best, .. }) in timed {
            study.budget.insert(key, ((seconds * share / best) as u64).max(10));
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
    if data == "checkerboard" { "checkerboard-a" } else { data }
}

/// How often iterations are timed, and how many.
const ROUNDS: usize = 4;
const ITERATIONS: usize = 6;

/// A training whose iterations are timed.
struct Timed {
    training: Training,
    /// Seconds of an iteration in the quickest round.
    best: f64,
}

impl Timed {
    /// The first iterations compile, and are not counted.
    fn new(training: Training, device: &Device) -> Result<Timed> {
        let mut timed = Timed { training, best: f64::INFINITY };
        timed.some(device)?;
        timed.best = f64::INFINITY;
        Ok(timed)
    }

    fn some(&mut self, device: &Device) -> Result<()> {
        let start = Instant::now();
        (0..ITERATIONS).for_each(|_| drop(pollster::block_on(self.training.advance())));
        device.wait()?;
        self.best = self.best.min(start.elapsed().as_secs_f64() / ITERATIONS as f64);
        Ok(())
    }
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
        let Ok(session) = session else { return Ok(Row { variant, done: None }) };
        let scores = evaluation::evaluate(&session, &Effort { points: SAMPLES, ..Effort::default() })?;
        let shown = (variant.seed == 0).then(|| shown(variant.entry.name, &session)).transpose()?;
        Ok(Row { variant, done: Some(Done { scores, shown }) })
    }

    fn line(&self, row: &Row) -> String {
        let of = |name| row.done.as_ref().and_then(|d| d.scores.get(name)).map_or("-".into(), |v| format!("{v:.3}"));
        let Variant { entry, data, seed } = &row.variant;
        format!("{data:16} {:14} seed {seed}  SW2 {}  AUC {}", entry.name, of("sw2"), of("auc"))
    }

    /// `study.md`, `study.svg`, and for each density `DATA.png`, a row an algorithm: energy, density, samples of seed 0.
    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut table = Table::new(
            "data | algorithm | iterations | SW2 | floor | AUC | ceiling | grid KL | dispatches an iteration | dispatches for 5000 samples",
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
                let shown = first.shown.as_ref();
                let counts = shown.and_then(|shown| shown.dispatches);
                let counts = counts.map_or(["-".into(), "-".into()], |counts| counts.map(|count| count.to_string()));
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
                all_pictures.extend(shown.map(|shown| shown.picture.clone()));
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

/// Counts the dispatches of an iteration and of samples, and draws those.
fn shown(name: &str, session: &Session) -> Result<Shown> {
    let mut training = build(&session.registry, &session.config, &session.device)?;
    drop(pollster::block_on(training.advance()));
    let (_, iteration) = counted(&session.device, || Ok(pollster::block_on(training.advance())))?;
    let (model, bounds) = (session.algorithm(), session.bounds());
    let request = SampleRequest::new(SAMPLES);
    let (drawn, sampling) = counted(&session.device, || model.sample(&request, &Key::new(0).named("pictures")))?;
    let picture = match model.energy() {
        Ok(energy) => {
            let title = format!("{name}: energy");
            pictures::points_of(&title, &*energy, model.temperature(), &bounds, &drawn.x)?
        }
        Err(_) => pictures::cloud(&format!("{name}: samples"), &bounds, &drawn.x.to_vec()?),
    };
    Ok(Shown { dispatches: iteration.zip(sampling).map(|(iteration, sampling)| [iteration, sampling]), picture })
}

/// Work, and its dispatches.
fn counted<T>(device: &Device, work: impl FnOnce() -> Result<T>) -> Result<(T, Option<u64>)> {
    let Device::Gpu(gpu) = device else { return Ok((work()?, None)) };
    gpu.profile_start();
    let done = work();
    let count = gpu.profile_stop().dispatches;
    Ok((done?, Some(count)))
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
