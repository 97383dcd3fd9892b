//! `ebm study cdrl`: what each part of cooperative recovery likelihood contributes.
//!
//! {initializer on, off} x {shared noise on, off} x {CDRL, DRL schedule}, trained alike on the checkerboard, each then
//! sampled with K = 15, 8, 5 and 3 Langevin steps per level.

use super::{Registry, RunConfig, Session, evaluation};
use crate::data::Toy;
use crate::error::{Error, Result};
use crate::io::atomic::write_bytes;
use crate::metrics::{floor, sliced_wasserstein, support_score};
use crate::tensor::{Device, Key};
use crate::train::SampleRequest;
use std::path::{Path, PathBuf};

/// What the study is told.
#[derive(Clone, Debug)]
pub struct CdrlStudy {
    /// Iterations of each of the eight trainings.
    pub steps: u64,
    /// Settings that are changed in all trainings, `key=value`.
    pub overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    pub out: PathBuf,
}

/// Langevin steps per level at sampling.
const STEPS: [usize; 4] = [15, 8, 5, 3];
/// Samples per score, projections per distance.
const N: usize = 5000;
const PROJECTIONS: usize = 500;

struct Variant {
    initializer: bool,
    shared: bool,
    schedule: &'static str,
}

impl Variant {
    fn all() -> impl Iterator<Item = Variant> {
        (0..8).map(|i| Variant {
            initializer: i & 4 == 0,
            shared: i & 2 == 0,
            schedule: if i & 1 == 0 { "cdrl" } else { "drl_t6" },
        })
    }

    fn name(&self) -> String {
        let start = if self.initializer { "initializer" } else { "plain" };
        let noise = if self.shared { "shared" } else { "independent" };
        format!("{start}-{noise}-{}", self.schedule)
    }

    /// The reduced recipe of the checkerboard with narrower nets, and this variant's switches.
    fn config(&self, registry: &Registry, study: &CdrlStudy) -> Result<RunConfig> {
        let preset = if self.initializer { "cdrl/checkerboard-small" } else { "drl/checkerboard-small" };
        let mut set = vec![
            format!("trainer.steps={}", study.steps),
            format!("trainer.sample_every={}", study.steps),
            "algorithm.energy.widths=[64, 64, 64]".to_string(),
            "algorithm.ema=0.99".to_string(),
            // The same constants for all: what differs is what is studied.
            "algorithm.langevin_steps=15".to_string(),
            "algorithm.step_rule.b2=0.002".to_string(),
            "algorithm.energy_optimizer.clip_norm=1.0".to_string(),
            "algorithm.energy_optimizer.rate.lr=2e-3".to_string(),
            "trainer.checkpoint_every=100".to_string(),
            format!("algorithm.shared_noise={}", self.shared),
            format!("algorithm.schedule={}", self.schedule),
        ];
        let nets: &[&str] = if self.initializer { &["energy", "initializer"] } else { &["energy"] };
        for net in nets {
            set.push(format!("algorithm.{net}_optimizer.rate.decay_from={}", study.steps / 3));
            set.push(format!("algorithm.{net}_optimizer.rate.decay_until={}", study.steps));
        }
        set.extend(study.overrides.iter().cloned());
        RunConfig::load(registry, preset, &set)
    }
}

/// Scores of one variant at one K.
struct Row {
    variant: String,
    k: usize,
    inside: f64,
    deviation: f64,
    sw2: f64,
}

impl CdrlStudy {
    /// Trains and scores the eight variants; `say` is told a line for each, `control` makes what each training is told.
    pub fn run(
        &self,
        registry: &Registry,
        device: &Device,
        say: &mut dyn FnMut(String) -> Result<()>,
        train: &mut dyn FnMut(&mut Session) -> Result<()>,
    ) -> Result<()> {
        std::fs::create_dir_all(&self.out).map_err(|e| Error::file(&self.out, e))?;
        let mut rows = Vec::new();
        for variant in Variant::all() {
            let session = trained(&variant, self, registry, device, train)?;
            for k in STEPS {
                rows.push(score(&session, variant.name(), k)?);
            }
            let newest = &rows[rows.len() - STEPS.len()..];
            let line: Vec<String> = newest.iter().map(|r| format!("K {} SW2 {:.3}", r.k, r.sw2)).collect();
            say(format!("{:38} {}", variant.name(), line.join("  ")))?;
            write(&rows, &self.out)?;
        }
        let least = floor(|k| toy().sample(N, k), 2, PROJECTIONS, 5, &Key::new(0).named("floor"));
        let out = self.out.display();
        say(format!("SW2 of two true samples of {N}: {:.3}; table and plot in {out}", least.sw2[0]))
    }
}

fn toy() -> Toy {
    Toy::CheckerboardB
}

/// Trains a variant, or goes on where an earlier study stopped.
fn trained(
    variant: &Variant,
    study: &CdrlStudy,
    registry: &Registry,
    device: &Device,
    train: &mut dyn FnMut(&mut Session) -> Result<()>,
) -> Result<Session> {
    let folder = study.out.join(variant.name());
    let config = variant.config(registry, study)?;
    let mut session = if folder.exists() {
        let session = Session::open(registry, &folder, device)?;
        if session.config != config {
            return Err(Error::setting(format!(
                "{} was trained with other settings; choose another --out",
                folder.display()
            )));
        }
        session
    } else {
        Session::create(registry, config, device, Some(&folder))?
    };
    if session.training.done() < study.steps {
        train(&mut session)?;
    }
    Ok(session)
}

fn score(session: &Session, variant: String, k: usize) -> Result<Row> {
    let key = session.key().named("study");
    let request = SampleRequest { steps: Some(k), ..SampleRequest::new(N) };
    let samples = evaluation::checked(&session.algorithm().sample(&request, &key.named("samples"))?.x)?.to_vec()?;
    let reference = toy().sample(N, &key.named("reference"));
    let distance = sliced_wasserstein(&samples, &reference, 2, PROJECTIONS, &key.named("directions"));
    let squares = toy().squares().expect("a checkerboard has squares");
    let support = support_score(&samples, &squares);
    Ok(Row { variant, k, inside: support.inside, deviation: support.mass_deviation, sw2: distance.sw2 })
}

/// `study.md`, and `study.svg` where curves are drawn.
fn write(rows: &[Row], out: &Path) -> Result<()> {
    let mut table = String::from("| variant | K | inside | max mass deviation | SW2 |\n|---|---|---|---|---|\n");
    for Row { variant, k, inside, deviation, sw2 } in rows {
        table += &format!("| {variant} | {k} | {inside:.3} | {deviation:.3} | {sw2:.3} |\n");
    }
    write_bytes(out.join("study.md"), table.as_bytes())?;
    draw(rows, out)
}

#[cfg(not(feature = "plots"))]
fn draw(_: &[Row], _: &Path) -> Result<()> {
    Ok(())
}

#[cfg(feature = "plots")]
fn draw(rows: &[Row], out: &Path) -> Result<()> {
    let mut curves = crate::plot::Curves::new("SW2 against Langevin steps per level").log_y();
    for part in rows.chunks(STEPS.len()) {
        let k: Vec<f64> = part.iter().map(|r| r.k as f64).collect();
        curves = curves.series(&part[0].variant, &k, &part.iter().map(|r| r.sw2).collect::<Vec<_>>());
    }
    write_bytes(out.join("study.svg"), curves.svg().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::recovery_likelihood;

    #[test]
    fn the_variants_differ_in_what_is_studied_and_in_nothing_else() {
        let study = CdrlStudy { steps: 600, overrides: Vec::new(), out: "x".into() };
        let registry = Registry::standard();
        let (mut texts, mut rest) = (Vec::new(), None);
        for variant in Variant::all() {
            let config = variant.config(&registry, &study).unwrap();
            texts.push(config.to_toml());
            let mut settings: recovery_likelihood::Config = config.algorithm.settings().unwrap();
            let schedule = serde_json::to_value(settings.schedule).unwrap();
            assert_eq!(settings.initializer.take().is_some(), variant.initializer);
            assert_eq!((settings.shared_noise, schedule.as_str()), (variant.shared, Some(variant.schedule)));
            let plain = recovery_likelihood::Config::default();
            (settings.shared_noise, settings.schedule) = (plain.shared_noise, plain.schedule);
            settings.initializer_optimizer = plain.initializer_optimizer;
            let same = (config.trainer, config.data, settings);
            assert_eq!(same, *rest.get_or_insert_with(|| same.clone()), "{}", variant.name());
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 8);
    }
}
