//! A run that is open: settings, device, training and folder.

use super::config::RunConfig;
use super::init;
use super::pictures;
use super::registry::Registry;
use super::saving::restore;
use super::trainer::{Control, Trainer};
use crate::check;
use crate::data::{Dataset, Split, Toy};
use crate::error::{Error, Result};
use crate::io::{RunDir, atomic};
use crate::tensor::{Device, Key};
use crate::train::{Algorithm, Training};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a model needs to know of the data it was trained on, kept in the run's folder: sampling needs no data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataInfo {
    /// What it was.
    pub name: String,
    /// The shape of one sample.
    pub sample_shape: Vec<usize>,
    /// How many classes its labels name; 0 without labels.
    pub classes: usize,
    /// The box of the samples; see [`Dataset::bounds`].
    pub bounds: Vec<[f64; 2]>,
}

impl DataInfo {
    /// Reads a description, or says what is wrong with it.
    fn parse(text: &str) -> std::result::Result<DataInfo, String> {
        let info: DataInfo = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let size = info.sample_shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        match size.is_some_and(|n| (1..=check::MOST_COUNTED).contains(&n)) && !info.bounds.is_empty() {
            true => Ok(info),
            false => {
                Err(format!("samples of shape {:?} in a box of {} intervals", info.sample_shape, info.bounds.len()))
            }
        }
    }

    /// The description of a data set.
    pub fn of(data: &Dataset) -> DataInfo {
        DataInfo {
            name: data.name.clone(),
            sample_shape: data.sample_shape.clone(),
            classes: data.class_count(),
            bounds: data.bounds(),
        }
    }
}

/// A run as commands see it.
pub struct Session {
    /// Its settings, complete.
    pub config: RunConfig,
    /// What can be asked for by name.
    pub registry: Registry,
    /// Where it computes.
    pub device: Device,
    /// The algorithm and how far it is.
    pub training: Training,
    /// Its folder.
    pub run: RunDir,
    /// What it learns from.
    pub data: DataInfo,
    /// Whether the settings are not those that its checkpoint was saved with.
    pub changed: bool,
}

impl Session {
    /// A fresh run in a new folder: `out`, or one under `runs/` named after the preset.
    pub fn create(registry: &Registry, config: RunConfig, device: &Device, out: Option<&Path>) -> Result<Session> {
        let data = registry.load(&config.data, Split::Train)?;
        pictures::check(&data.sample_shape)?;
        let info = DataInfo::of(&data);
        let training = training(registry, &config, data, device)?;
        device.wait()?;
        let folder = out.map_or_else(|| RunDir::unused("runs", &config.preset), Path::to_path_buf);
        let run = RunDir::create(folder, &config.to_toml())?;
        Ok(Session {
            config,
            registry: registry.clone(),
            device: device.clone(),
            training,
            run,
            data: info,
            changed: false,
        })
    }

    /// A run that exists, with the state of its newest checkpoint, ready to go on: the data set is loaded. A run that was
    /// stopped before its first checkpoint starts at the beginning.
    pub fn open(registry: &Registry, folder: &Path, device: &Device) -> Result<Session> {
        let (run, config) = settings(registry, folder)?;
        let data = registry.load(&config.data, Split::Train)?;
        Session::opened(registry, run, config, data, device)
    }

    /// A run that exists, as a model: its data set need not be there.
    pub fn open_model(registry: &Registry, folder: &Path, device: &Device) -> Result<Session> {
        let (run, config) = settings(registry, folder)?;
        let session = match run.read_data()? {
            Some(text) => {
                let info = DataInfo::parse(&text).map_err(|why| Error::format(run.data(), "data description", why))?;
                let data = Dataset::described(&info.name, info.sample_shape, info.classes, info.bounds);
                Session::opened(registry, run, config, data, device)?
            }
            None => Session::open(registry, folder, device)?,
        };
        match session.training.done() {
            0 => Err(Error::setting(format!(
                "{0} has not been trained yet; `ebm resume {0}` trains it",
                folder.display()
            ))),
            _ => Ok(session),
        }
    }

    fn opened(registry: &Registry, run: RunDir, config: RunConfig, data: Dataset, device: &Device) -> Result<Session> {
        let info = DataInfo::of(&data);
        let mut training = training(registry, &config, data, device)?;
        let mut changed = false;
        if run.has_checkpoint() {
            let mut checkpoint = run.load()?;
            changed = checkpoint.check_origin(config.seed, &config.origin())?;
            training.resume_after(restore(&mut checkpoint, training.algorithm())?);
        }
        device.wait()?;
        Ok(Session { config, registry: registry.clone(), device: device.clone(), training, run, data: info, changed })
    }

    /// Trains to the last iteration of the settings; before the first one, the run that the nets start from.
    pub fn train(&mut self, mut control: Control) -> Result<()> {
        if self.training.done() == 0 && !self.run.has_checkpoint() {
            init::start(self, &mut control)?;
        }
        // Also where an earlier process was killed before it came to this.
        if !self.run.data().exists() {
            let text = serde_json::to_string_pretty(&self.data).map_err(Error::setting)?;
            atomic::write_bytes(self.run.data(), text.as_bytes())?;
        }
        let (bounds, origin, toy) = (self.bounds(), self.config.origin(), self.toy());
        let Session { config, run, training, .. } = self;
        let (config, seed) = (&config.trainer, config.seed);
        let trainer = Trainer { config, run, bounds: &bounds, toy, seed, origin: &origin };
        trainer.train(training, control)
    }

    /// The algorithm, also as a model.
    pub fn algorithm(&self) -> &dyn Algorithm {
        self.training.algorithm()
    }

    /// The 2-D density that is learnt, if it is one of the named ones.
    pub fn toy(&self) -> Option<Toy> {
        let name = self.config.data.strip_prefix("toy:")?.split(':').next()?;
        Toy::by_name(name).ok()
    }

    /// The box that is drawn and scored: the one of a named density, else that of the data.
    pub fn bounds(&self) -> Vec<[f64; 2]> {
        self.toy().map_or_else(|| self.data.bounds.clone(), |toy| vec![toy.bounds(); 2])
    }

    /// The root of the run's randomness.
    pub fn key(&self) -> Key {
        Key::new(self.config.seed)
    }
}

fn settings(registry: &Registry, folder: &Path) -> Result<(RunDir, RunConfig)> {
    let run = RunDir::open(folder)?;
    let config = RunConfig::parse(registry, "config.toml", &run.read_config()?, &[])?;
    Ok((run, config))
}

/// The training that the settings ask for, without a folder: for measuring it.
pub fn build(registry: &Registry, config: &RunConfig, device: &Device) -> Result<Training> {
    training(registry, config, registry.load(&config.data, Split::Train)?, device)
}

fn training(registry: &Registry, config: &RunConfig, data: Dataset, device: &Device) -> Result<Training> {
    config.check()?;
    let key = Key::new(config.seed).named("training");
    let algorithm = registry.build(&config.algorithm, data, device, &key)?;
    Ok(Training::new(algorithm, device, &key, config.trainer.capture))
}
