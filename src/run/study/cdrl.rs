//! `ebm study cdrl`: what each part of cooperative recovery likelihood contributes.
//!
//! {initializer on, off} x {shared noise on, off} x {CDRL, DRL schedule}, trained alike on the checkerboard, each then
//! sampled with K = 15, 8, 5 and 3 Langevin steps per level.

use super::{Study, Table};
use crate::data::Toy;
use crate::error::Result;
use crate::io::atomic::write_bytes;
use crate::metrics::{floor, sliced_wasserstein, support_score};
use crate::plot::Curves;
use crate::run::{Registry, RunConfig, Session, evaluation};
use crate::tensor::Key;
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

/// The parts of one training.
pub struct Variant {
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
    fn config(&self, study: &CdrlStudy, registry: &Registry) -> Result<RunConfig> {
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

/// Scores of one variant, one for each K.
pub struct Row {
    variant: String,
    scores: Vec<Scored>,
}

struct Scored {
    k: usize,
    inside: f64,
    deviation: f64,
    sw2: f64,
}

impl Study for CdrlStudy {
    type Variant = Variant;
    type Row = Row;

    fn out(&self) -> &Path {
        &self.out
    }

    fn variants(&self) -> Vec<Variant> {
        Variant::all().collect()
    }

    fn name(&self, variant: &Variant) -> String {
        variant.name()
    }

    fn config(&self, variant: &Variant, registry: &Registry) -> Result<RunConfig> {
        variant.config(self, registry)
    }

    fn row(&self, variant: Variant, session: Result<Session>) -> Result<Row> {
        let session = session?;
        let scores = STEPS.into_iter().map(|k| score(&session, k)).collect::<Result<_>>()?;
        Ok(Row { variant: variant.name(), scores })
    }

    fn line(&self, row: &Row) -> String {
        let line: Vec<String> = row.scores.iter().map(|s| format!("K {} SW2 {:.3}", s.k, s.sw2)).collect();
        format!("{:38} {}", row.variant, line.join("  "))
    }

    /// `study.md` and `study.svg`.
    fn write(&self, rows: &[Row]) -> Result<()> {
        let least = floor(|k| toy().sample(N, k), 2, PROJECTIONS, 5, &Key::new(0).named("floor")).sw2[0];
        let mut table = Table::new(&format!("variant | K | inside | max mass deviation | SW2 (floor {least:.3})"));
        let mut curves = Curves::new("SW2 against Langevin steps per level").log_y();
        for Row { variant, scores } in rows {
            for Scored { k, inside, deviation, sw2 } in scores {
                let numbers = [inside, deviation, sw2].map(|x| format!("{x:.3}"));
                table.row([variant.clone(), k.to_string()].into_iter().chain(numbers).collect());
            }
            let column = |of: fn(&Scored) -> f64| scores.iter().map(of).collect::<Vec<_>>();
            curves = curves.series(variant, &column(|s| s.k as f64), &column(|s| s.sw2));
        }
        table.markdown(self.out.join("study.md"))?;
        write_bytes(self.out.join("study.svg"), curves.svg().as_bytes())
    }
}

fn toy() -> Toy {
    Toy::CheckerboardB
}

fn score(session: &Session, k: usize) -> Result<Scored> {
    let key = session.key().named("study");
    let request = SampleRequest { steps: Some(k), ..SampleRequest::new(N) };
    let samples = evaluation::checked(&session.algorithm().sample(&request, &key.named("samples"))?.x)?.to_vec()?;
    let reference = toy().sample(N, &key.named("reference"));
    let distance = sliced_wasserstein(&samples, &reference, 2, PROJECTIONS, &key.named("directions"));
    let squares = toy().squares().expect("a checkerboard has squares");
    let support = support_score(&samples, &squares);
    Ok(Scored { k, inside: support.inside, deviation: support.mass_deviation, sw2: distance.sw2 })
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
            let config = variant.config(&study, &registry).unwrap();
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
