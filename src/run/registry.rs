//! What settings can ask for by name: algorithms, data sets, presets. The command line knows no others.

use super::presets::PRESETS;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result, nearest};
use crate::tensor::{Device, Key};
use crate::train::{
    Algorithm, ContrastiveDivergence, Ddpm, GeneralizedCd, ImprovedCd, McmcTeaching, RecoveryLikelihood,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use toml::Table;

/// The `[algorithm]` group of a configuration: a kind and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlgorithmConfig {
    /// Which algorithm.
    pub kind: String,
    /// Its settings; complete once a [`Registry`] has read them.
    #[serde(flatten)]
    pub settings: Table,
}

impl AlgorithmConfig {
    /// The settings as the algorithm's own type.
    pub fn settings<C: DeserializeOwned>(&self) -> Result<C> {
        read(&self.settings)
    }
}

/// The settings of an algorithm as its own type.
fn read<C: DeserializeOwned>(settings: &Table) -> Result<C> {
    C::deserialize(settings.clone()).map_err(|e| Error::setting(format!("[algorithm]: {}", one_line(&e))))
}

/// Algorithms, data sets and presets by name. The standard ones, and those of a program that uses this crate:
///
/// ```no_run
/// # use ebm::{prelude::*, run::Registry, train::{contrastive_divergence::Config, ContrastiveDivergence}};
/// let registry = Registry::standard().algorithm("my_cd", |config: &Config, data, device, key| {
///     ContrastiveDivergence::new(config, data, device, key) // or an algorithm of your own
/// });
/// # #[cfg(feature = "cli")]
/// ebm::cli::main_with(registry); // `train`, `resume`, `sample`, `eval` know `kind = "my_cd"`
/// ```
#[derive(Clone)]
pub struct Registry {
    algorithms: BTreeMap<String, Entry>,
    data: BTreeMap<String, Rc<dyn Fn(&str, Split) -> Result<Dataset>>>,
    presets: Vec<(String, String)>,
}

#[derive(Clone)]
struct Entry {
    complete: Rc<dyn Fn(&Table) -> Result<Table>>,
    build: Rc<dyn Fn(&Table, Dataset, &Device, &Key) -> Result<Box<dyn Algorithm>>>,
}

impl Registry {
    /// What this crate brings.
    pub fn standard() -> Registry {
        let presets = PRESETS.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        Registry { algorithms: BTreeMap::new(), data: BTreeMap::new(), presets }
            .algorithm("contrastive_divergence", ContrastiveDivergence::new)
            .algorithm("ddpm", Ddpm::new)
            .algorithm("generalized_cd", GeneralizedCd::new)
            .algorithm("improved_cd", ImprovedCd::new)
            .algorithm("mcmc_teaching", McmcTeaching::new)
            .algorithm("recovery_likelihood", RecoveryLikelihood::new)
    }

    /// Adds an algorithm under the name that stands as `kind` in its settings, of type C; `build` makes it.
    pub fn algorithm<C, A>(
        mut self,
        kind: &str,
        build: impl Fn(&C, Dataset, &Device, &Key) -> Result<A> + 'static,
    ) -> Registry
    where
        C: Serialize + DeserializeOwned,
        A: Algorithm + 'static,
    {
        let complete = move |settings: &Table| {
            Table::try_from(read::<C>(settings)?).map_err(|e| Error::setting(format!("[algorithm]: {}", one_line(&e))))
        };
        let build = move |settings: &Table, data: Dataset, device: &Device, key: &Key| -> Result<Box<dyn Algorithm>> {
            Ok(Box::new(build(&read(settings)?, data, device, key)?))
        };
        self.algorithms.insert(kind.into(), Entry { complete: Rc::new(complete), build: Rc::new(build) });
        self
    }

    /// Adds a kind of data: a spec `kind:WHERE` calls `load(WHERE, split)`.
    pub fn data(mut self, kind: &str, load: impl Fn(&str, Split) -> Result<Dataset> + 'static) -> Registry {
        self.data.insert(kind.into(), Rc::new(load));
        self
    }

    /// Adds a preset: the text of a configuration file under a name.
    pub fn preset(mut self, name: &str, text: &str) -> Registry {
        self.presets.push((name.into(), text.into()));
        self
    }

    /// Names and texts of all presets.
    pub fn presets(&self) -> &[(String, String)] {
        &self.presets
    }

    /// The data set that `spec` names.
    pub fn load(&self, spec: &str, split: Split) -> Result<Dataset> {
        let (kind, place) = spec.split_once(':').unwrap_or((spec, ""));
        match self.data.get(kind) {
            Some(load) => load(place, split),
            None => Dataset::load(spec, split),
        }
    }

    /// The same settings with every default filled in.
    pub fn complete(&self, config: &AlgorithmConfig) -> Result<AlgorithmConfig> {
        let settings = (self.entry(&config.kind)?.complete)(&config.settings)?;
        Ok(AlgorithmConfig { kind: config.kind.clone(), settings })
    }

    /// The algorithm that the settings ask for; everything random in it follows from `key`.
    pub fn build(
        &self,
        config: &AlgorithmConfig,
        data: Dataset,
        device: &Device,
        key: &Key,
    ) -> Result<Box<dyn Algorithm>> {
        (self.entry(&config.kind)?.build)(&config.settings, data, device, key)
    }

    fn entry(&self, kind: &str) -> Result<&Entry> {
        self.algorithms.get(kind).ok_or_else(|| {
            let near = nearest(kind, self.algorithms.keys().map(String::as_str)).unwrap_or_default();
            let all: Vec<&str> = self.algorithms.keys().map(String::as_str).collect();
            Error::setting(format!("algorithm.kind = \"{kind}\": did you mean {near}? Known: {}", all.join(", ")))
        })
    }
}

/// An error of the TOML reader in one line.
pub(super) fn one_line(e: &impl std::fmt::Display) -> String {
    e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
