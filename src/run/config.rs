//! Settings of a run: a preset or a TOML file, with `--set key=value` on top.

use super::registry::{AlgorithmConfig, Registry, one_line};
use crate::check;
use crate::error::{Error, Result, nearest};
use crate::io;
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
    /// The run whose nets this one starts from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// When to log, save and draw.
    pub trainer: TrainerConfig,
    /// What is trained, and how.
    pub algorithm: AlgorithmConfig,
}

/// Where the nets of a run start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitConfig {
    /// The folder of a trained run, or a preset, which is then trained first, in the folder `init` of this run. Nets of the
    /// same name start as its averaged ones. `none` for none.
    pub from: String,
    /// Iterations of that preset, if not its own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The nets to take, for example `["initializer"]`; all that both runs have if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nets: Option<Vec<String>>,
}

/// When the loop logs, saves and draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainerConfig {
    /// Iterations in all.
    pub steps: u64,
    /// Iterations between rows of metrics.csv.
    pub log_every: u64,
    /// Iterations between checkpoints.
    pub checkpoint_every: u64,
    /// Iterations between sample pictures, which are also drawn at the end; 0 for none at all.
    pub sample_every: u64,
    /// Whether an iteration is captured on a GPU and replayed; the numbers are the same.
    pub capture: bool,
}

impl Default for TrainerConfig {
    fn default() -> TrainerConfig {
        TrainerConfig { steps: 1000, log_every: 10, checkpoint_every: 500, sample_every: 500, capture: true }
    }
}

impl TrainerConfig {
    /// Whether the settings make sense.
    pub fn check(&self) -> Result<()> {
        // The step number travels as an f32 on the device.
        let most = check::MOST_COUNTED as u64;
        check::within("trainer.steps", self.steps, 1..=most)?;
        check::within("trainer.log_every", self.log_every, 1..=most)?;
        check::within("trainer.checkpoint_every", self.checkpoint_every, 1..=most)?;
        check::within("trainer.sample_every", self.sample_every, 0..=most)
    }
}

impl RunConfig {
    /// Reads preset or file `source` and applies `key=value` overrides; `registry` knows the presets and algorithms.
    pub fn load(registry: &Registry, source: &str, overrides: &[String]) -> Result<RunConfig> {
        let text = match registry.presets().iter().find(|(name, _)| *name == source) {
            Some((_, text)) => text.to_string(),
            None if source.ends_with(".toml") => io::read_text(source)?,
            None => return Err(unknown_preset(registry, source)),
        };
        RunConfig::parse(registry, source, &text, overrides)
    }

    /// Parses a configuration; `source` names it in errors.
    pub fn parse(registry: &Registry, source: &str, text: &str, overrides: &[String]) -> Result<RunConfig> {
        let mut table: Table = text.parse().map_err(|e| Error::setting(format!("{source}: {}", one_line(&e))))?;
        if source != "config.toml" && !table.contains_key("preset") {
            table.insert("preset".into(), Value::String(source.into()));
        }
        let config = read(registry, source, &table)?;
        for assignment in overrides {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| Error::setting(format!("--set {assignment}: write key=value")))?;
            let path: Vec<&str> = key.trim().split('.').collect();
            if path.len() > DEEPEST {
                return Err(Error::setting(format!("--set {assignment}: no setting lies that deep")));
            }
            set(&mut table, &path, parse_value(value.trim()))?;
            read(registry, &format!("--set {assignment}"), &table).map_err(|e| suggest(e, key.trim(), &config))?;
        }
        read(registry, source, &table)
    }

    /// The settings that a state belongs to: those of the algorithm, as TOML. Where the data lie, how long a run goes on and
    /// when it logs may change.
    pub fn origin(&self) -> String {
        toml::to_string(&self.algorithm).unwrap_or_else(|e| panic!("settings are always TOML: {e}"))
    }

    /// Whether the settings make sense, apart from those of the algorithm, which checks its own.
    pub fn check(&self) -> Result<()> {
        // Whole numbers of TOML are signed.
        check::within("seed", self.seed, 0..=i64::MAX as u64)?;
        let first = self.init.as_ref().and_then(|init| init.steps).unwrap_or(1);
        check::within("init.steps", first, 1..=check::MOST_COUNTED as u64)?;
        self.trainer.check()
    }

    /// The complete settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|e| panic!("a configuration is always TOML: {e}"))
    }
}

/// Groups of settings are nested at most this deep.
const DEEPEST: usize = 8;

fn read(registry: &Registry, source: &str, table: &Table) -> Result<RunConfig> {
    let config = RunConfig::deserialize(table.clone());
    let mut config = config.map_err(|e| Error::setting(format!("{source}: {}", one_line(&e))))?;
    let named = |e: Error| Error::setting(format!("{source}: {e}"));
    config.check().map_err(named)?;
    config.algorithm = registry.complete(&config.algorithm).map_err(named)?;
    Ok(config)
}

/// A value as TOML understands it, or a plain string.
fn parse_value(text: &str) -> Value {
    let parsed: std::result::Result<Table, _> = format!("v = {text}").parse();
    parsed.ok().and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(text.into()))
}

fn set(table: &mut Table, path: &[&str], value: Value) -> Result<()> {
    match path {
        [] => Ok(()),
        [key] => {
            table.insert((*key).into(), value);
            Ok(())
        }
        [head, rest @ ..] => match table.entry(*head).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => set(inner, rest, value),
            _ => Err(Error::setting(format!("--set {}: {head} is not a group of settings", path.join(".")))),
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

fn unknown_preset(registry: &Registry, name: &str) -> Error {
    let near = nearest(name, registry.presets().iter().map(|p| p.0.as_str())).unwrap_or_default();
    Error::setting(format!("no preset or .toml file called {name}; did you mean {near}? `ebm presets` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::contrastive_divergence;

    #[test]
    fn every_preset_is_complete_and_survives_a_round_trip() {
        let registry = Registry::standard();
        for (name, _) in registry.presets() {
            let config = RunConfig::load(&registry, name, &[]).unwrap();
            assert_eq!(RunConfig::parse(&registry, "config.toml", &config.to_toml(), &[]).unwrap(), config);
            assert_eq!(config.preset, *name);
        }
    }

    #[test]
    fn overrides_change_one_setting_and_wrong_ones_name_the_nearest() {
        let registry = Registry::standard();
        let with = |s: &str| RunConfig::load(&registry, "cd/eight-gaussians", &[s.to_string()]);
        let config = with("algorithm.langevin.steps=7").unwrap().algorithm;
        assert_eq!(config.settings::<contrastive_divergence::Config>().unwrap().langevin.steps, 7);
        let text = with("algorithm.langevin.step=7").unwrap_err().to_string();
        assert!(text.contains("did you mean algorithm.langevin.steps?"), "{text}");
        assert!(with("seed=zero").unwrap_err().to_string().contains("--set seed=zero"));
        assert!(with("trainer.log_every=0").unwrap_err().to_string().contains("trainer.log_every = 0"));
        assert!(with("algorithm.kind=cd").unwrap_err().to_string().contains("Known: contrastive_divergence"));
        let text = RunConfig::load(&registry, "cd/eight-gausians", &[]).unwrap_err().to_string();
        assert!(text.contains("did you mean cd/eight-gaussians?"), "{text}");
        let deep = format!("{}=1", ["a"; 100_000].join("."));
        assert!(with(&deep).unwrap_err().to_string().contains("that deep"));
    }
}
