//! `ebm study gcd`: generalized contrastive divergence on the eight Gaussians, row by row beside the paper's table.
//!
//! DDPM with few and many steps under two schedules; GCD with T = 5 and tau = 0, .01, .1, 1 from the DDPM of five quadratic
//! steps, from scratch, and by policy gradient. SW2 and AUC are means over seeds with standard errors.

use super::{Study, Table};
use crate::error::Result;
use crate::run::evaluation::{self, Effort};
use crate::run::{Registry, RunConfig, Scores, Session};
use std::path::{Path, PathBuf};

/// What the study is told.
#[derive(Clone, Debug)]
pub struct GcdStudy {
    /// Seeds of each row.
    pub seeds: u64,
    /// Iterations of each training, if not the presets' own numbers.
    pub steps: Option<u64>,
    /// The rows, all of them if none is named.
    pub rows: Vec<String>,
    /// Settings that are changed in all trainings of GCD, `key=value`.
    pub overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    pub out: PathBuf,
}

/// A row of the table.
struct Kind {
    name: &'static str,
    preset: &'static str,
    settings: &'static [&'static str],
    /// Whether it starts from the row [`START`].
    pretrained: bool,
    /// SW2 and AUC in table 1 of the paper.
    paper: &'static str,
}

/// The sampler that GCD starts from.
const START: &str = "ddpm-quadratic-5";

const fn ddpm(name: &'static str, settings: &'static [&'static str], paper: &'static str) -> Kind {
    Kind { name, preset: "ddpm/eight-gaussians", settings, pretrained: false, paper }
}

const fn gcd(name: &'static str, settings: &'static [&'static str], pretrained: bool, paper: &'static str) -> Kind {
    Kind { name, preset: "gcd/eight-gaussians", settings, pretrained, paper }
}

const KINDS: [Kind; 14] = [
    ddpm(START, &[], ""),
    ddpm("ddpm-quadratic-10", &["algorithm.sampler.steps=10"], ""),
    ddpm("ddpm-quadratic-100", &["algorithm.sampler.steps=100"], ""),
    ddpm("ddpm-quadratic-1000", &["algorithm.sampler.steps=1000"], ""),
    ddpm("ddpm-sigmoid-5", &["algorithm.sampler.schedule=sigmoid"], ".967, -"),
    ddpm("ddpm-sigmoid-10", &["algorithm.sampler.schedule=sigmoid", "algorithm.sampler.steps=10"], ".824, -"),
    ddpm("ddpm-sigmoid-100", &["algorithm.sampler.schedule=sigmoid", "algorithm.sampler.steps=100"], ".241, -"),
    ddpm("ddpm-sigmoid-1000", &["algorithm.sampler.schedule=sigmoid", "algorithm.sampler.steps=1000"], ".123, -"),
    gcd("gcd-tau-.1", &[], true, ".068, .898"),
    gcd("gcd-tau-0", &["algorithm.tau1=0.0", "algorithm.tau2=0.0"], true, ".074, .707"),
    gcd("gcd-tau-.01", &["algorithm.tau1=0.01", "algorithm.tau2=0.01"], true, ".074, .751"),
    gcd("gcd-tau-1", &["algorithm.tau1=1.0", "algorithm.tau2=1.0"], true, "1.030, .842"),
    gcd("gcd-tau-.1-scratch", &[], false, ".076, .883"),
    gcd("gcd-policy-gradient", &["algorithm.update=policy_gradient"], true, ""),
];

/// One training: a row and a seed.
pub struct Variant {
    kind: &'static Kind,
    seed: u64,
}

/// What came of it.
pub struct Row {
    kind: &'static Kind,
    /// Nothing where the training was stopped as unhealthy.
    scores: Option<Scores>,
}

impl GcdStudy {
    /// The names of all rows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.name)
    }

    fn name_of(&self, kind: &str, seed: u64) -> String {
        format!("{kind}-seed-{seed}")
    }
}

impl Study for GcdStudy {
    type Variant = Variant;
    type Row = Row;

    fn out(&self) -> &Path {
        &self.out
    }

    fn variants(&self) -> Vec<Variant> {
        let wanted =
            |kind: &&Kind| self.rows.is_empty() || kind.name == START || self.rows.iter().any(|r| r == kind.name);
        let of = |seed| KINDS.iter().filter(wanted).map(move |kind| Variant { kind, seed });
        (0..self.seeds).flat_map(of).collect()
    }

    fn name(&self, variant: &Variant) -> String {
        self.name_of(variant.kind.name, variant.seed)
    }

    fn config(&self, variant: &Variant, registry: &Registry) -> Result<RunConfig> {
        let Variant { kind, seed } = variant;
        let mut set = vec![format!("seed={seed}"), "trainer.sample_every=0".into()];
        set.extend(self.steps.map(|steps| format!("trainer.steps={steps}")));
        set.extend(kind.settings.iter().map(|s| s.to_string()));
        if kind.preset.starts_with("gcd") {
            let start = self.out.join(self.name_of(START, *seed));
            let from = if kind.pretrained { start.display().to_string() } else { "none".into() };
            set.push(format!("init.from={}", toml::Value::String(from)));
            set.extend(self.overrides.iter().cloned());
        }
        RunConfig::load(registry, kind.preset, &set)
    }

    fn row(&self, variant: Variant, session: Result<Session>) -> Result<Row> {
        let scores = session.ok().map(|session| evaluation::evaluate(&session, &Effort::default())).transpose()?;
        Ok(Row { kind: variant.kind, scores })
    }

    fn line(&self, row: &Row) -> String {
        let of = |name: &str| row.scores.as_ref().and_then(|s| s.get(name)).map_or("-".into(), |v| format!("{v:.3}"));
        format!("{:22} SW2 {}  AUC {}  modes {}", row.kind.name, of("sw2"), of("auc"), of("modes"))
    }

    /// `study.md`: a line for each kind of training, means over its seeds.
    fn write(&self, rows: &[Row]) -> Result<()> {
        let head = "training | seeds | SW2 (floor .048) | AUC (ceiling .903) | grid KL | modes | least modes | paper: SW2, AUC";
        let mut table = Table::new(head);
        for kind in &KINDS {
            let all: Vec<&Row> = rows.iter().filter(|row| row.kind.name == kind.name).collect();
            let column = |name: &str| all.iter().filter_map(|r| r.scores.as_ref()?.get(name)).collect::<Vec<f64>>();
            let modes = column("modes");
            if all.is_empty() {
                continue;
            }
            let least = modes.iter().copied().fold(f64::INFINITY, f64::min);
            let cells = [
                kind.name.to_string(),
                format!("{} of {}", modes.len(), all.len()),
                mean_and_error(&column("sw2")),
                mean_and_error(&column("auc")),
                mean_and_error(&column("grid_kl")),
                mean_and_error(&modes),
                if least.is_finite() { least.to_string() } else { "-".into() },
                kind.paper.to_string(),
            ];
            table.row(cells.to_vec());
        }
        table.markdown(self.out.join("study.md"))
    }
}

/// `mean +- standard error` of some numbers, the mean of one, `-` of none.
pub(super) fn mean_and_error(all: &[f64]) -> String {
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    match all.len() {
        0 => "-".into(),
        1 => format!("{mean:.3}"),
        _ => {
            let squares: f64 = all.iter().map(|x| (x - mean).powi(2)).sum();
            format!("{mean:.3} +- {:.3}", (squares / (n * (n - 1.0))).sqrt())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_trained_seed_by_seed_and_start_from_the_sampler_of_their_seed() {
        let rows = vec!["gcd-tau-0".to_string()];
        let study = GcdStudy { seeds: 2, steps: Some(7), rows, overrides: Vec::new(), out: "x".into() };
        let variants = study.variants();
        let names: Vec<String> = variants.iter().map(|v| study.name(v)).collect();
        let both = [START, "gcd-tau-0"];
        assert_eq!(names, [0, 1].map(|seed| both.map(|kind| format!("{kind}-seed-{seed}"))).concat());
        let registry = Registry::standard();
        let config = study.config(&variants[3], &registry).unwrap();
        assert_eq!((config.seed, config.trainer.steps), (1, 7));
        assert_eq!(Path::new(&config.init.unwrap().from), Path::new("x").join("ddpm-quadratic-5-seed-1"));
        let settings: crate::train::generalized_cd::Config = config.algorithm.settings().unwrap();
        assert_eq!((settings.tau1, settings.tau2), (0.0, 0.0));
        // Every row is one that its preset can be.
        let all = GcdStudy { seeds: 1, rows: Vec::new(), ..study };
        assert_eq!(all.variants().len(), KINDS.len());
        all.variants().iter().for_each(|v| drop(all.config(v, &registry).unwrap()));
    }

    #[test]
    fn means_come_with_standard_errors() {
        assert_eq!(mean_and_error(&[]), "-");
        assert_eq!(mean_and_error(&[0.5]), "0.500");
        assert_eq!(mean_and_error(&[1.0, 2.0, 3.0]), "2.000 +- 0.577");
    }
}
