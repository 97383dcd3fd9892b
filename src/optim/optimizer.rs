//! Which optimiser, as it stands in a configuration file, and either of them behind one face.

use super::{Adam, AdamConfig, Counter, RateConfig, Sgd, SgdConfig};
use crate::error::Result;
use crate::tensor::{Tensor, Var};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error};
use toml::{Table, Value};

/// The settings of an optimiser: `kind = "adam"` or `"sgd"`. Without a kind it is Adam, and is written so: files from
/// before there was a choice stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent with momentum.
    Sgd(SgdConfig),
    /// Adam.
    #[serde(untagged)]
    Adam(AdamConfig),
}

impl<'de> Deserialize<'de> for OptimizerConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<OptimizerConfig, D::Error> {
        let mut settings = Table::deserialize(from)?;
        let config = match settings.remove("kind") {
            None => AdamConfig::deserialize(settings).map(OptimizerConfig::Adam),
            Some(Value::String(kind)) if kind == "adam" => AdamConfig::deserialize(settings).map(OptimizerConfig::Adam),
            Some(Value::String(kind)) if kind == "sgd" => SgdConfig::deserialize(settings).map(OptimizerConfig::Sgd),
            Some(kind) => return Err(Error::custom(format!("kind = {kind}: use \"adam\" or \"sgd\""))),
        };
        config.map_err(|why| Error::custom(why.message()))
    }
}

impl Default for OptimizerConfig {
    fn default() -> OptimizerConfig {
        OptimizerConfig::Adam(AdamConfig::default())
    }
}

impl From<&OptimizerConfig> for OptimizerConfig {
    fn from(config: &OptimizerConfig) -> OptimizerConfig {
        config.clone()
    }
}

impl From<&AdamConfig> for OptimizerConfig {
    fn from(config: &AdamConfig) -> OptimizerConfig {
        OptimizerConfig::Adam(config.clone())
    }
}

impl OptimizerConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.optimizer`.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            OptimizerConfig::Adam(config) => config.check(name),
            OptimizerConfig::Sgd(config) => config.check(name),
        }
    }

    /// The learning rate over time.
    pub fn rate(&self) -> &RateConfig {
        match self {
            OptimizerConfig::Adam(config) => &config.rate,
            OptimizerConfig::Sgd(config) => &config.rate,
        }
    }

    /// An optimiser of the flat buffer `p`.
    pub fn build(&self, p: &Var) -> Optimizer {
        match self {
            OptimizerConfig::Adam(config) => Optimizer::Adam(Adam::new(p, config.clone())),
            OptimizerConfig::Sgd(config) => Optimizer::Sgd(Sgd::new(p, config.clone())),
        }
    }
}

/// An optimiser over a flat buffer; it counts its own updates.
#[derive(Clone)]
pub enum Optimizer {
    /// Adam.
    Adam(Adam),
    /// Stochastic gradient descent.
    Sgd(Sgd),
}

impl Optimizer {
    /// Its name in checkpoints.
    pub fn name(&self) -> &'static str {
        match self {
            Optimizer::Adam(_) => "adam",
            Optimizer::Sgd(_) => "sgd",
        }
    }

    /// How many updates were made.
    pub fn updates(&self) -> &Counter {
        match self {
            Optimizer::Adam(adam) => adam.updates(),
            Optimizer::Sgd(sgd) => sgd.updates(),
        }
    }

    /// Counts one more update and returns its four numbers, the learning rate first.
    pub fn next_numbers(&self) -> Vec<f32> {
        match self {
            Optimizer::Adam(adam) => adam.next_numbers(),
            Optimizer::Sgd(sgd) => sgd.next_numbers(),
        }
    }

    /// One update with the flat gradient `g` and the update's `numbers [4]`; returns the gradient's norm before clipping.
    #[track_caller]
    pub fn step(&self, g: &Tensor, numbers: &Tensor) -> Tensor {
        match self {
            Optimizer::Adam(adam) => adam.step(g, numbers),
            Optimizer::Sgd(sgd) => sgd.step(g, numbers),
        }
    }

    /// What it remembers, by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, Var)> {
        match self {
            Optimizer::Adam(adam) => adam.state(),
            Optimizer::Sgd(sgd) => sgd.state(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<OptimizerConfig, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn the_kind_may_be_left_out_and_is_not_written_for_adam() {
        let adam = parse("beta1 = 0.5").unwrap();
        assert_eq!(adam, parse("kind = 'adam'\nbeta1 = 0.5").unwrap());
        let OptimizerConfig::Adam(config) = &adam else { panic!("{adam:?}") };
        assert_eq!(toml::to_string(&adam).unwrap(), toml::to_string(config).unwrap());
        let sgd = parse("kind = 'sgd'\nmomentum = 0.5\nrate.lr = 0.25").unwrap();
        assert_eq!(sgd.rate().lr, 0.25);
        assert_eq!(parse(&toml::to_string(&sgd).unwrap()).unwrap(), sgd);
    }

    #[test]
    fn settings_of_the_other_kind_are_refused_by_name() {
        for (text, word) in
            [("kind = 'sgd'\nbeta1 = 0.5", "beta1"), ("momentum = 0.5", "momentum"), ("kind = 'lion'", "lion")]
        {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
