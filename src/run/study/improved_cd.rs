//! `ebm study improved-cd`: what keeps improved contrastive divergence stable.
//!
//! {energy part of the KL term on, off} x {entropy part on, off} x {moves of the memory on, off} x nets, trained alike on images.
//! Du et al. 2021 show two curves over the first 1000 iterations: the energy difference of data and chains, which stays near 0
//! with the KL term and slides without, and the gradient norms of the two parts of the loss.

use super::{Study, Table};
use crate::error::{Error, Result};
use crate::io::Metrics;
use crate::io::atomic::write_bytes;
use crate::plot::Curves;
use crate::run::{Registry, RunConfig, Session};
use std::path::{Path, PathBuf};

/// What the study is told.
#[derive(Clone, Debug)]
pub struct ImprovedCdStudy {
    /// The preset that the variants are made of: one of images whose memory has moves.
    pub preset: String,
    /// Iterations of each training.
    pub steps: u64,
    /// The nets; eight trainings each.
    pub nets: Vec<Net>,
    /// Settings that are changed in all trainings, `key=value`.
    pub overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    pub out: PathBuf,
}

/// What the energy's net is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// Convolutions alone.
    Plain,
    /// With normalisation by group.
    GroupNorm,
    /// With self-attention.
    Attention,
    /// With spectrally normalised weights.
    SpectralNorm,
}

impl Net {
    /// All four.
    pub const ALL: [Net; 4] = [Net::Plain, Net::GroupNorm, Net::Attention, Net::SpectralNorm];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Net::Plain => "plain",
            Net::GroupNorm => "group-norm",
            Net::Attention => "attention",
            Net::SpectralNorm => "spectral-norm",
        }
    }
}

/// The parts of one training.
pub struct Variant {
    net: Net,
    energy: bool,
    entropy: bool,
    moves: bool,
}

impl Variant {
    fn of(net: Net) -> impl Iterator<Item = Variant> {
        (0..8).map(move |i| Variant { net, energy: i & 4 == 0, entropy: i & 2 == 0, moves: i & 1 == 0 })
    }

    fn name(&self) -> String {
        let Variant { net, energy, entropy, moves } = self;
        let part = |on: &bool, name| if *on { format!("-{name}") } else { format!("-no_{name}") };
        format!("{}{}{}{}", net.name(), part(energy, "kl"), part(entropy, "entropy"), part(moves, "moves"))
    }

    /// The preset with the net's and this variant's switches; weights and moves that are on stay as they are there.
    fn config(&self, study: &ImprovedCdStudy, registry: &Registry) -> Result<RunConfig> {
        let Variant { net, energy, entropy, moves } = self;
        let weights = if *net == Net::SpectralNorm { "spectral" } else { "plain" };
        let mut set = vec![
            format!("trainer.steps={}", study.steps),
            format!("trainer.sample_every={}", study.steps),
            format!("algorithm.energy.weights={weights}"),
            format!("algorithm.energy.norm={}", *net == Net::GroupNorm),
            format!("algorithm.energy.attention={}", u8::from(*net == Net::Attention)),
        ];
        set.extend(study.overrides.iter().cloned());
        let off = [(energy, "kl.energy=0.0"), (entropy, "kl.entropy=0.0"), (moves, "memory.moves={kind='none'}")];
        set.extend(off.iter().filter(|(on, _)| !**on).map(|(_, setting)| format!("algorithm.{setting}")));
        RunConfig::load(registry, &study.preset, &set)
    }
}

/// The curves of one training, and whether it came to its end.
pub struct Row {
    variant: Variant,
    metrics: Metrics,
    outcome: String,
}

impl Study for ImprovedCdStudy {
    type Variant = Variant;
    type Row = Row;

    fn out(&self) -> &Path {
        &self.out
    }

    fn variants(&self) -> Vec<Variant> {
        self.nets.iter().flat_map(|net| Variant::of(*net)).collect()
    }

    fn name(&self, variant: &Variant) -> String {
        variant.name()
    }

    fn config(&self, variant: &Variant, registry: &Registry) -> Result<RunConfig> {
        variant.config(self, registry)
    }

    /// A training that is stopped as unhealthy is a result.
    fn row(&self, variant: Variant, session: Result<Session>) -> Result<Row> {
        let outcome = match session {
            Ok(_) => "to its end".to_string(),
            Err(Error::Diverged { step, what, .. }) => format!("stopped at {step}: {what}"),
            Err(e) => return Err(e),
        };
        let metrics = Metrics::read(self.folder(&variant).join("metrics.csv"))?;
        Ok(Row { variant, metrics, outcome })
    }

    fn line(&self, row: &Row) -> String {
        row.cells().join("  ")
    }

    /// `study.md` (over the last half of the iterations), `study.csv`, and for each net `gap-NET.svg` and `gradients-NET.svg`.
    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut table = Table::new(HEAD);
        let mut csv = Table::new("variant|step|energy_gap|gradient_norm_cd|gradient_norm_kl");
        for row in rows {
            table.row(row.cells());
            let [steps, gap, cd, kl] =
                ["step", "energy_gap", "gradient_norm_cd", "gradient_norm_kl"].map(|n| row.column(n));
            for (i, step) in steps.iter().enumerate() {
                let number = |column: &[f64]| column.get(i).map(f64::to_string).unwrap_or_default();
                csv.row(vec![row.variant.name(), step.to_string(), number(gap), number(cd), number(kl)]);
            }
        }
        table.markdown(self.out.join("study.md"))?;
        csv.csv(self.out.join("study.csv"))?;
        rows.chunk_by(|a, b| a.variant.net == b.variant.net).try_for_each(|part| draw(part, &self.out))
    }
}

impl Row {
    fn column(&self, name: &str) -> &[f64] {
        self.metrics.column(name).unwrap_or_default()
    }

    /// Mean and largest magnitude over the last half of the logged iterations.
    fn last_half(&self, name: &str) -> [f64; 2] {
        let values = self.column(name);
        let half = &values[values.len() / 2..];
        let mean = half.iter().sum::<f64>() / half.len().max(1) as f64;
        [mean, half.iter().fold(0.0, |m: f64, v| m.max(v.abs()))]
    }

    fn cells(&self) -> Vec<String> {
        let [mean, most] = self.last_half("energy_gap");
        let [cd, kl] = ["gradient_norm_cd", "gradient_norm_kl"].map(|name| self.last_half(name)[0]);
        let numbers = [format!("{mean:.4}"), format!("{most:.4}"), format!("{cd:.2e}"), format!("{kl:.2e}")];
        let rest = [format!("{:.3}", kl / cd), self.outcome.clone()];
        [self.variant.name()].into_iter().chain(numbers).chain(rest).collect()
    }
}

const HEAD: &str = "variant | mean gap | largest gap | gradient norm CD | KL | KL / CD | outcome";

/// The curves of one net.
fn draw(rows: &[Row], out: &Path) -> Result<()> {
    let net = rows[0].variant.net.name();
    let mut gap = Curves::new("mean E(data) - mean E(chains)");
    let mut gradients = Curves::new("gradient norms of the two parts").log_y();
    for row in rows {
        let (name, steps) = (row.variant.name(), row.column("step"));
        gap = gap.series(&name, steps, row.column("energy_gap"));
        for of in ["cd", "kl"] {
            let values = row.column(&format!("gradient_norm_{of}"));
            if values.len() == steps.len() {
                gradients = gradients.series(&format!("{name} {of}"), steps, values);
            }
        }
    }
    write_bytes(out.join(format!("gap-{net}.svg")), gap.svg().as_bytes())?;
    write_bytes(out.join(format!("gradients-{net}.svg")), gradients.svg().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::EnergyConfig;
    use crate::train::{Moves, improved_cd};

    #[test]
    fn the_variants_differ_in_what_is_studied_and_in_nothing_else() {
        let study = ImprovedCdStudy {
            preset: "improved-cd/fashion-mnist".into(),
            steps: 100,
            nets: Net::ALL.into(),
            overrides: vec!["seed=3".into()],
            out: "x".into(),
        };
        let registry = Registry::standard();
        let (mut texts, mut rest) = (Vec::new(), None);
        for variant in study.nets.iter().flat_map(|net| Variant::of(*net)) {
            let config = variant.config(&study, &registry).unwrap();
            texts.push(config.to_toml());
            let mut settings: improved_cd::Config = config.algorithm.settings().unwrap();
            let on = [settings.kl.energy > 0.0, settings.kl.entropy > 0.0, settings.memory.moves != Moves::None];
            assert_eq!(on, [variant.energy, variant.entropy, variant.moves], "{}", variant.name());
            (settings.kl, settings.memory.moves) = Default::default();
            let EnergyConfig::MultiScale(net) = &mut settings.energy else { panic!("a net of images") };
            let plain = crate::energy::MultiScaleConfig::default();
            (net.norm, net.weights, net.attention) = (plain.norm, plain.weights, plain.attention);
            let same = (config.trainer, config.data, config.seed, settings);
            assert_eq!(same, *rest.get_or_insert_with(|| same.clone()), "{}", variant.name());
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 32);
    }
}
