//! `ebm study mcmc-teaching`: what teaching, refinement and noise contribute.
//!
//! {VAE, CoopNets, a VAE of the data, no teaching}, noise on and off, Langevin steps, latent dimensions, over several seeds, trained
//! alike on eight Gaussians: one thing changed at a time, or all combinations. A VAE of the data is, before its draws are refined,
//! the VAE alone; chains without teaching are short-run Langevin dynamics from noise.

use super::{Study, Table};
use crate::error::Result;
use crate::io::atomic::write_bytes;
use crate::plot::Curves;
use crate::run::evaluation::{Effort, evaluate};
use crate::run::pairs::mean_and_error;
use crate::run::{Registry, RunConfig, Scores, Session};
use crate::train::mcmc_teaching::Teaching;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the study is told.
#[derive(Clone, Debug)]
pub struct McmcTeachingStudy {
    /// Iterations of each training.
    pub steps: u64,
    /// Who teaches whom.
    pub teachings: Vec<Teaching>,
    /// Langevin noise: on, off.
    pub noises: Vec<bool>,
    /// Langevin steps.
    pub langevin: Vec<usize>,
    /// Dimensions of the latent vectors.
    pub latents: Vec<usize>,
    /// All combinations, in place of those that differ in one thing from the first of each list (and from [`CENTRE`] steps).
    pub full: bool,
    /// Seeds 0, 1, ... of each cell.
    pub seeds: u64,
    /// Settings that are changed in all trainings, `key=value`.
    pub overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    pub out: PathBuf,
}

/// One training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    teaching: Teaching,
    noise: bool,
    langevin: usize,
    latent: usize,
    seed: u64,
}

impl Variant {
    /// Without the seed.
    fn cell(&self) -> String {
        let Variant { teaching, noise, langevin, latent, .. } = self;
        let noise = if *noise { "noise" } else { "no_noise" };
        format!("{}-{noise}-l{langevin}-d{latent}", teaching.name())
    }
}

/// The scores of one training.
pub struct Row {
    variant: Variant,
    scores: Scores,
}

/// Langevin steps of the cells that differ in something else, where the study has them.
const CENTRE: usize = 20;
/// Points of a score.
const POINTS: usize = 5000;
/// The columns of the table, by the names of scores; the first guess is the decoder's draw, or noise.
const COLUMNS: [(&str, &[&str]); 5] = [
    ("SW2 first guess", &["sw2.decoder", "sw2.noise"]),
    ("SW2 refined", &["sw2"]),
    ("modes", &["modes"]),
    ("AUC", &["auc"]),
    ("grid KL", &["grid_kl"]),
];

impl Study for McmcTeachingStudy {
    type Variant = Variant;
    type Row = Row;

    fn out(&self) -> &Path {
        &self.out
    }

    fn variants(&self) -> Vec<Variant> {
        let mut list = Vec::new();
        for &teaching in &self.teachings {
            // Without teaching there are no latent vectors.
            let latents = if teaching == Teaching::None { &self.latents[..1] } else { &self.latents[..] };
            for &noise in &self.noises {
                for &langevin in &self.langevin {
                    for &latent in latents.iter().filter(|&&latent| self.wants(teaching, noise, langevin, latent)) {
                        list.extend((0..self.seeds).map(|seed| Variant { teaching, noise, langevin, latent, seed }));
                    }
                }
            }
        }
        list
    }

    fn name(&self, variant: &Variant) -> String {
        format!("{}-s{}", variant.cell(), variant.seed)
    }

    fn config(&self, variant: &Variant, registry: &Registry) -> Result<RunConfig> {
        let Variant { teaching, noise, langevin, latent, seed } = variant;
        let steps = self.steps;
        let mut set = vec![
            format!("seed={seed}"),
            format!("trainer.steps={steps}"),
            format!("trainer.sample_every={steps}"),
            format!("algorithm.teaching={}", teaching.name()),
            format!("algorithm.langevin.steps={langevin}"),
            format!("algorithm.vae.latent={latent}"),
        ];
        if !noise {
            set.push("algorithm.langevin.noise_scale=0.0".into());
        }
        for net in ["optimizer", "vae_optimizer"] {
            set.push(format!("algorithm.{net}.rate.decay_until={steps}"));
            set.push(format!("algorithm.{net}.rate.decay_from={}", steps / 2));
        }
        set.extend(self.overrides.iter().cloned());
        RunConfig::load(registry, "mcmc-teaching/eight-gaussians", &set)
    }

    fn row(&self, variant: Variant, session: Result<Session>) -> Result<Row> {
        let session = session?;
        // Those of an earlier study are kept.
        let known = session.run.read_scores()?.map(|text| Scores::from_json(&text)).transpose()?;
        let fits = |s: &Scores| s.step == session.training.done() && s.scores.iter().all(|score| score.n == POINTS);
        let scores = match known.filter(fits) {
            Some(scores) => scores,
            None => evaluate(&session, &Effort { points: POINTS, ..Effort::default() })?,
        };
        Ok(Row { variant, scores })
    }

    fn line(&self, row: &Row) -> String {
        let cells: Vec<String> = COLUMNS.iter().map(|(name, from)| format!("{name} {:.3}", row.get(from))).collect();
        format!("{:32} {}", self.name(&row.variant), cells.join("  "))
    }

    /// `study.md`: means over the seeds with their standard errors; `study.csv`: every training; `study.svg`.
    fn write(&self, rows: &[Row]) -> Result<()> {
        let names: Vec<&str> = COLUMNS.iter().map(|c| c.0).collect();
        let floor = rows.iter().find_map(|r| r.scores.scores.iter().find(|s| s.name == "sw2")?.against.as_ref());
        let floor = floor.map_or(f64::NAN, |against| against.value);
        let mut table = Table::new(&format!("cell (floor {floor:.3}) | seeds | {}", names.join(" | ")));
        let mut csv = Table::new(&format!("cell | seed | {}", names.join(" | ")));
        let mut curves: BTreeMap<String, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for cell in rows.chunk_by(|a, b| a.variant.cell() == b.variant.cell()) {
            let of = cell[0].variant;
            let both = |(_, from): &(&str, &[&str])| {
                let (mean, error) = mean_and_error(&cell.iter().map(|row| row.get(from)).collect::<Vec<_>>());
                format!("{mean:.3} +- {error:.3}")
            };
            table.row([of.cell(), cell.len().to_string()].into_iter().chain(COLUMNS.iter().map(both)).collect());
            for row in cell {
                let numbers = COLUMNS.iter().map(|(_, from)| row.get(from).to_string());
                csv.row([of.cell(), row.variant.seed.to_string()].into_iter().chain(numbers).collect());
            }
            let noise = if of.noise { "" } else { ", no noise" };
            let name = format!("{}{noise}, d = {}", of.teaching.name(), of.latent);
            let (x, y) = curves.entry(name).or_insert_with(|| (Vec::new(), Vec::new()));
            x.push(of.langevin as f64);
            y.push(mean_and_error(&cell.iter().map(|row| row.get(&["sw2"])).collect::<Vec<_>>()).0);
        }
        table.markdown(self.out.join("study.md"))?;
        csv.csv(self.out.join("study.csv"))?;
        let chart = Curves::new("SW2 of refined samples").along("Langevin steps").log_y();
        let lines = curves.iter().filter(|(_, (x, _))| x.len() > 1);
        let chart = lines.fold(chart, |chart, (name, (x, y))| chart.series(name, x, y));
        write_bytes(self.out.join("study.svg"), chart.svg().as_bytes())
    }
}

impl McmcTeachingStudy {
    /// Whether a cell belongs to the study: every teaching with and without noise; other numbers of steps for the first teaching, and
    /// for short-run chains; other latent dimensions for the first teaching.
    fn wants(&self, teaching: Teaching, noise: bool, langevin: usize, latent: usize) -> bool {
        let centre = if self.langevin.contains(&CENTRE) { CENTRE } else { self.langevin[0] };
        let (steps, dims) = (langevin != centre, latent != self.latents[0]);
        let first = teaching == self.teachings[0] || steps && teaching == Teaching::None;
        self.full || !steps && !dims || first && noise == self.noises[0] && !(steps && dims)
    }
}

impl Row {
    /// The first of these scores that there is.
    fn get(&self, names: &[&str]) -> f64 {
        names.iter().find_map(|name| self.scores.get(name)).unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::mcmc_teaching;

    #[test]
    fn the_variants_differ_in_what_is_studied_and_in_nothing_else() {
        let study = McmcTeachingStudy {
            steps: 600,
            teachings: Teaching::ALL.into(),
            noises: vec![true, false],
            langevin: vec![5, 10],
            latents: vec![2, 4],
            full: true,
            seeds: 2,
            overrides: Vec::new(),
            out: "x".into(),
        };
        // The first of all; two teachings with 10 steps (the first, none), one with 4 dimensions, 3 other teachings, 4 without noise.
        assert_eq!(McmcTeachingStudy { full: false, ..study.clone() }.variants().len(), (1 + 2 + 1 + 3 + 4) * 2);
        let registry = Registry::standard();
        let (mut texts, mut rest) = (Vec::new(), None);
        for variant in study.variants() {
            let config = study.config(&variant, &registry).unwrap();
            texts.push(config.to_toml());
            let mut settings: mcmc_teaching::Config = config.algorithm.settings().unwrap();
            let noise = settings.langevin.noise() > 0.0;
            let Variant { teaching, langevin, latent, seed, .. } = variant;
            let got = (settings.teaching, noise, settings.langevin.steps, settings.vae.latent, config.seed);
            assert_eq!(got, (teaching, variant.noise, langevin, latent, seed));
            let plain = mcmc_teaching::Config::default();
            (settings.teaching, settings.langevin, settings.vae.latent) = (plain.teaching, plain.langevin, 0);
            let same = (config.trainer, config.data, settings);
            assert_eq!(same, *rest.get_or_insert_with(|| same.clone()), "{}", study.name(&variant));
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), (3 * 2 * 2 * 2 + 2 * 2) * 2);
    }
}
