//! `ebm study improved-cd`: what keeps improved contrastive divergence stable.
//!
//! {energy part of the KL term on, off} x {entropy part on, off} x {moves of the memory on, off} x nets x seeds, trained alike.
//! Du et al. 2021 show two curves over the first 1000 iterations: the energy difference of data and chains, which stays near 0
//! with the KL term and slides without, and the gradient norms of the two parts of the loss.

use super::Study;
use super::health_curves::{Row, scores_of, write};
use crate::error::{Error, Result};
use crate::io::Metrics;
use crate::run::evaluation::{self, Effort};
use crate::run::{Registry, RunConfig, Scores, Session};
use std::path::{Path, PathBuf};

/// What the study is told.
#[derive(Clone, Debug)]
pub struct ImprovedCdStudy {
    /// The preset that the variants are made of.
    pub preset: String,
    /// Iterations of each training.
    pub steps: u64,
    /// What is switched on and off: two to the power of their number trainings for each net and seed.
    pub switches: Vec<Switch>,
    /// The nets.
    pub nets: Vec<Net>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Settings that are changed in all trainings, `key=value`.
    pub overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    pub out: PathBuf,
}

/// A part of the algorithm that may be left out; where it is on it stays as it is in the preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Both parts of the KL term.
    Kl,
    /// Its energy.
    Energy,
    /// Its entropy.
    Entropy,
    /// The moves of the memory.
    Moves,
}

impl Switch {
    /// All of them.
    pub const ALL: [Switch; 4] = [Switch::Kl, Switch::Energy, Switch::Entropy, Switch::Moves];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Switch::Kl => "kl",
            Switch::Energy => "energy",
            Switch::Entropy => "entropy",
            Switch::Moves => "moves",
        }
    }

    /// The settings that leave it out.
    fn off(self) -> &'static [&'static str] {
        match self {
            Switch::Kl => &["algorithm.kl.energy=0.0", "algorithm.kl.entropy=0.0"],
            Switch::Energy => &["algorithm.kl.energy=0.0"],
            Switch::Entropy => &["algorithm.kl.entropy=0.0"],
            Switch::Moves => &["algorithm.memory.moves={kind='none'}"],
        }
    }
}

/// What the energy's net is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// As the preset has it.
    Preset,
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
    /// All of them.
    pub const ALL: [Net; 5] = [Net::Preset, Net::Plain, Net::GroupNorm, Net::Attention, Net::SpectralNorm];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Net::Preset => "preset",
            Net::Plain => "plain",
            Net::GroupNorm => "group-norm",
            Net::Attention => "attention",
            Net::SpectralNorm => "spectral-norm",
        }
    }

    /// The settings of a net for images, small: many are trained.
    fn settings(self) -> Vec<String> {
        if self == Net::Preset {
            return Vec::new();
        }
        let weights = if self == Net::SpectralNorm { "spectral" } else { "plain" };
        let (norm, attention) = (self == Net::GroupNorm, u8::from(self == Net::Attention));
        let small = ["width=8", "scales=[[8, 16]]"].map(String::from);
        let kind = [format!("weights={weights}"), format!("norm={norm}"), format!("attention={attention}")];
        let net = small.into_iter().chain(kind).map(|setting| format!("algorithm.energy.{setting}"));
        net.chain(["algorithm.batch=16".to_string()]).collect()
    }
}

/// One training.
pub struct Variant {
    net: Net,
    seed: u64,
    switches: Vec<(Switch, bool)>,
}

impl Variant {
    /// `NET-moves-no_kl-seed0`
    fn name(&self) -> String {
        let part = |(switch, on): &(Switch, bool)| format!("-{}{}", if *on { "" } else { "no_" }, switch.name());
        format!("{}{}-seed{}", self.net.name(), self.switches.iter().map(part).collect::<String>(), self.seed)
    }

    fn config(&self, registry: &Registry, study: &ImprovedCdStudy) -> Result<RunConfig> {
        let steps = study.steps;
        let mut set = vec![format!("trainer.steps={steps}"), format!("trainer.sample_every={steps}")];
        set.extend(self.net.settings());
        set.extend(study.overrides.iter().cloned());
        set.push(format!("seed={}", self.seed));
        let off = self.switches.iter().filter(|(_, on)| !on).flat_map(|(switch, _)| switch.off());
        set.extend(off.map(|setting| setting.to_string()));
        RunConfig::load(registry, &study.preset, &set)
    }
}

impl Study for ImprovedCdStudy {
    type Variant = Variant;
    type Row = Row;

    fn out(&self) -> &Path {
        &self.out
    }

    fn variants(&self) -> Vec<Variant> {
        let mut all = Vec::new();
        for &net in &self.nets {
            for bits in (0..1u32 << self.switches.len()).rev() {
                let of = |(i, &switch): (usize, &Switch)| (switch, bits >> (self.switches.len() - 1 - i) & 1 == 1);
                let switches: Vec<_> = self.switches.iter().enumerate().map(of).collect();
                all.extend(self.seeds.iter().map(|&seed| Variant { net, seed, switches: switches.clone() }));
            }
        }
        all
    }

    fn name(&self, variant: &Variant) -> String {
        variant.name()
    }

    fn config(&self, variant: &Variant, registry: &Registry) -> Result<RunConfig> {
        variant.config(registry, self)
    }

    /// A training that is stopped as unhealthy is a result.
    fn row(&self, variant: Variant, session: Result<Session>) -> Result<Row> {
        let (outcome, scores) = match session {
            Ok(session) => ("to its end".to_string(), scored(&session)?),
            Err(Error::Diverged { step, what, .. }) => (format!("stopped at {step}: {what}"), None),
            Err(e) => return Err(e),
        };
        let metrics = Metrics::read(self.folder(&variant).join("metrics.csv"))?;
        Ok(Row { name: variant.name(), group: variant.net.name(), metrics, scores, outcome })
    }

    fn line(&self, row: &Row) -> String {
        row.line(&scores_of(std::slice::from_ref(row)))
    }

    fn write(&self, rows: &[Row]) -> Result<()> {
        write(rows, &self.out)
    }
}

/// The scores of a model of points, computed once.
fn scored(session: &Session) -> Result<Option<Scores>> {
    if !evaluation::is_quick(session) {
        return Ok(None);
    }
    let kept = std::fs::read_to_string(session.run.scores()).ok().and_then(|text| Scores::from_json(&text).ok());
    let kept = kept.filter(|scores| scores.step == session.training.done());
    kept.map_or_else(|| evaluation::evaluate(session, &Effort::default()), Ok).map(Some)
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
            switches: vec![Switch::Energy, Switch::Entropy, Switch::Moves],
            nets: Net::ALL.into(),
            seeds: vec![3, 4],
            overrides: vec!["algorithm.batch=24".into(), "algorithm.energy.width=8".into()],
            out: "x".into(),
        };
        let registry = Registry::standard();
        let (mut texts, mut rest) = (Vec::new(), None);
        for variant in study.variants() {
            let config = variant.config(&registry, &study).unwrap();
            texts.push(config.to_toml());
            let mut settings: improved_cd::Config = config.algorithm.settings().unwrap();
            let on = [settings.kl.energy > 0.0, settings.kl.entropy > 0.0, settings.memory.moves != Moves::None];
            assert_eq!(on.to_vec(), variant.switches.iter().map(|s| s.1).collect::<Vec<_>>(), "{}", variant.name());
            assert_eq!((config.seed, settings.batch), (variant.seed, 24));
            (settings.kl, settings.memory.moves) = Default::default();
            let EnergyConfig::MultiScale(net) = &mut settings.energy else { panic!("a net of images") };
            let plain = crate::energy::MultiScaleConfig::default();
            (net.norm, net.weights, net.attention) = (plain.norm, plain.weights, plain.attention);
            if variant.net != Net::Preset {
                assert_eq!(net.scales, [[8, 16]]);
            }
            net.scales = plain.scales;
            let same = (config.trainer, config.data, settings);
            assert_eq!(same, *rest.get_or_insert_with(|| same.clone()), "{}", variant.name());
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 2 * 5 * 8);
    }

    #[test]
    fn the_kl_term_goes_as_a_whole() {
        let study = ImprovedCdStudy {
            preset: "improved-cd/eight-gaussians".into(),
            steps: 10,
            switches: vec![Switch::Kl],
            nets: vec![Net::Preset],
            seeds: vec![0],
            overrides: Vec::new(),
            out: "x".into(),
        };
        let variants = study.variants();
        let names: Vec<String> = variants.iter().map(Variant::name).collect();
        assert_eq!(names, ["preset-kl-seed0", "preset-no_kl-seed0"]);
        let off = variants[1].config(&Registry::standard(), &study).unwrap();
        let off: improved_cd::Config = off.algorithm.settings().unwrap();
        assert_eq!((off.kl.energy, off.kl.entropy), (0.0, 0.0));
    }
}
