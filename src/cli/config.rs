//! Settings of a run: a preset or a TOML file, with `--set key=value` on top.

use crate::error::{Error, Result, nearest};
use crate::train::{TrainerConfig, contrastive_divergence, recovery_likelihood};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The whole of a run's `config.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The preset it came from.
    pub preset: String,
    /// The data set, `KIND:WHERE`.
    pub data: String,
    /// Every random number of the run follows from it.
    pub seed: u64,
    /// Further sets whose images the energy should find unlikely, by name (`ebm eval`).
    #[serde(default)]
    pub ood: std::collections::BTreeMap<String, String>,
    /// When to log, save and draw.
    pub trainer: TrainerConfig,
    /// What is trained, and how.
    pub algorithm: AlgorithmConfig,
}

/// The algorithm and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AlgorithmConfig {
    /// See [`contrastive_divergence`].
    ContrastiveDivergence(contrastive_divergence::Config),
    /// See [`recovery_likelihood`].
    RecoveryLikelihood(recovery_likelihood::Config),
}

/// The presets that are built in: name and text.
pub const PRESETS: &[(&str, &str)] = &[
    ("cd/eight-gaussians", include_str!("presets/cd/eight-gaussians.toml")),
    ("cd/eight-gaussians-small", include_str!("presets/cd/eight-gaussians-small.toml")),
    ("cd/checkerboard", include_str!("presets/cd/checkerboard.toml")),
    ("cd/two-moons", include_str!("presets/cd/two-moons.toml")),
    ("cd/fashion-mnist", include_str!("presets/cd/fashion-mnist.toml")),
    ("cd/mnist", include_str!("presets/cd/mnist.toml")),
    ("cd/cifar10", include_str!("presets/cd/cifar10.toml")),
    ("cdrl/checkerboard", include_str!("presets/cdrl/checkerboard.toml")),
    ("cdrl/checkerboard-small", include_str!("presets/cdrl/checkerboard-small.toml")),
    ("cdrl/eight-gaussians", include_str!("presets/cdrl/eight-gaussians.toml")),
    ("cdrl/mnist", include_str!("presets/cdrl/mnist.toml")),
    ("cdrl/fashion-mnist", include_str!("presets/cdrl/fashion-mnist.toml")),
    ("cdrl/cifar10", include_str!("presets/cdrl/cifar10.toml")),
    ("cdrl/cifar10-small", include_str!("presets/cdrl/cifar10-small.toml")),
    ("drl/checkerboard-small", include_str!("presets/drl/checkerboard-small.toml")),
];

impl RunConfig {
    /// Reads preset or file `source` and applies `key=value` overrides.
    pub fn load(source: &str, overrides: &[String]) -> Result<RunConfig> {
        let text = match PRESETS.iter().find(|(name, _)| *name == source) {
            Some((_, text)) => text.to_string(),
            None if source.ends_with(".toml") => std::fs::read_to_string(source).map_err(|e| Error::file(source, e))?,
            None => return Err(unknown_preset(source)),
        };
        RunConfig::parse(source, &text, overrides)
    }

    /// Parses a configuration; `source` names it in errors.
    pub fn parse(source: &str, text: &str, overrides: &[String]) -> Result<RunConfig> {
        let mut table: Table = text.parse().map_err(|e| Error::setting(format!("{source}: {}", one_line(&e))))?;
        if source != "config.toml" && !table.contains_key("preset") {
            table.insert("preset".into(), Value::String(source.into()));
        }
        let config = read(source, &table)?;
        for assignment in overrides {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| Error::setting(format!("--set {assignment}: write key=value")))?;
            set(&mut table, key.trim(), parse_value(value.trim()))?;
            read(&format!("--set {assignment}"), &table).map_err(|e| suggest(e, key.trim(), &config))?;
        }
        read(source, &table)
    }

    /// The complete settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|e| panic!("a configuration is always TOML: {e}"))
    }
}

fn read(source: &str, table: &Table) -> Result<RunConfig> {
    RunConfig::deserialize(table.clone()).map_err(|e| Error::setting(format!("{source}: {}", one_line(&e))))
}

fn one_line(e: &impl std::fmt::Display) -> String {
    e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value as TOML understands it, or a plain string.
fn parse_value(text: &str) -> Value {
    let parsed: std::result::Result<Table, _> = format!("v = {text}").parse();
    parsed.ok().and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(text.into()))
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<()> {
    match key.split_once('.') {
        None => {
            table.insert(key.into(), value);
            Ok(())
        }
        Some((head, rest)) => match table.entry(head).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => set(inner, rest, value),
            _ => Err(Error::setting(format!("--set {key}: {head} is not a group of settings"))),
        },
    }
}

/// Adds the nearest existing key to the message about a wrong one.
fn suggest(error: Error, key: &str, config: &RunConfig) -> Error {
    let mut known = Vec::new();
    if let Ok(Value::Table(table)) = Value::try_from(config) {
        keys("", &table, &mut known);
    }
    match nearest(key, known.iter().map(String::as_str)).filter(|near| *near != key) {
        Some(near) if error.to_string().contains("unknown field") => {
            Error::setting(format!("unknown setting {key}; did you mean {near}?"))
        }
        _ => error,
    }
}

fn keys(prefix: &str, table: &Table, out: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => keys(&format!("{prefix}{key}."), inner, out),
            _ => out.push(format!("{prefix}{key}")),
        }
    }
}

fn unknown_preset(name: &str) -> Error {
    let near = nearest(name, PRESETS.iter().map(|p| p.0)).unwrap_or_default();
    Error::setting(format!("no preset or .toml file called {name}; did you mean {near}? `ebm presets` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_complete_and_survives_a_round_trip() {
        for (name, _) in PRESETS {
            let config = RunConfig::load(name, &[]).unwrap();
            assert_eq!(RunConfig::parse("config.toml", &config.to_toml(), &[]).unwrap(), config);
            assert_eq!(config.preset, *name);
        }
    }

    #[test]
    fn overrides_change_one_setting_and_wrong_ones_name_the_nearest() {
        let with = |s: &str| RunConfig::load("cd/eight-gaussians", &[s.to_string()]);
        let config = with("algorithm.langevin.steps=7").unwrap().algorithm;
        assert!(matches!(config, AlgorithmConfig::ContrastiveDivergence(cd) if cd.langevin.steps == 7));
        let text = with("algorithm.langevin.step=7").unwrap_err().to_string();
        assert!(text.contains("did you mean algorithm.langevin.steps?"), "{text}");
        assert!(with("seed=zero").unwrap_err().to_string().contains("--set seed=zero"));
        let text = RunConfig::load("cd/eight-gausians", &[]).unwrap_err().to_string();
        assert!(text.contains("did you mean cd/eight-gaussians?"), "{text}");
    }
}
