//! A run as the commands see it: settings, device, algorithm and folder.

use super::config::{AlgorithmConfig, RunConfig};
use crate::data::{Dataset, Split, Toy};
use crate::error::{Error, Result};
use crate::io::RunDir;
use crate::tensor::{Device, Key};
use crate::train::{Algorithm, ContrastiveDivergence, Progress, RecoveryLikelihood, Trainer, restore};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// What is trained, built from its settings.
pub struct Session {
    pub config: RunConfig,
    pub device: Device,
    pub algorithm: Box<dyn Algorithm>,
    pub run: RunDir,
    /// Iterations done.
    pub done: u64,
}

impl Session {
    /// A fresh run in a new folder.
    pub fn create(config: RunConfig, device: &Device, out: Option<&Path>) -> Result<Session> {
        let algorithm = build(&config, device)?;
        device.wait()?;
        let folder = out.map_or_else(|| RunDir::unused("runs", &config.preset), Path::to_path_buf);
        let run = RunDir::create(folder, &config.to_toml())?;
        Ok(Session { config, device: device.clone(), algorithm, run, done: 0 })
    }

    /// A run that exists, with the state of its newest checkpoint.
    pub fn open(folder: &Path, device: &Device) -> Result<Session> {
        let run = RunDir::open(folder)?;
        let text = std::fs::read_to_string(run.config()).map_err(|e| Error::file(run.config(), e))?;
        let config = RunConfig::parse("config.toml", &text, &[])?;
        let algorithm = build(&config, device)?;
        let done = restore(&mut run.load()?, &*algorithm)?;
        device.wait()?;
        Ok(Session { config, device: device.clone(), algorithm, run, done })
    }

    /// Trains to the last iteration, with a progress bar; Ctrl-C saves and stops.
    pub fn train(&mut self) -> Result<()> {
        // A second handler cannot be set; the first one serves all sessions of the process.
        let _ = ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed));
        let bar = ProgressBar::new(self.config.trainer.steps);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {per_sec} eta {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_position(self.done);
        bar.reset_eta();
        let mut show = |progress: &Progress| {
            let figures = progress.figures.iter().map(|(name, value)| format!("{name} {value:.3}"));
            bar.set_message(figures.collect::<Vec<_>>().join("  "));
            bar.set_position(progress.done);
        };
        let trainer = self.config.trainer.clone();
        let mut trainer =
            Trainer { config: trainer, run: &self.run, seed: self.config.seed, stop: &STOP, progress: &mut show };
        let result = trainer.train(&mut *self.algorithm, self.done);
        bar.finish_and_clear();
        result.inspect(|()| self.done = self.config.trainer.steps)
    }

    /// The 2-D density that is learnt, if it is one of the named ones.
    pub fn toy(&self) -> Option<Toy> {
        let name = self.config.data.strip_prefix("toy:")?.split(':').next()?;
        Toy::by_name(name).ok()
    }

    /// The root of the run's randomness.
    pub fn key(&self) -> Key {
        Key::new(self.config.seed)
    }
}

fn build(config: &RunConfig, device: &Device) -> Result<Box<dyn Algorithm>> {
    let data = Dataset::load(&config.data, Split::Train)?;
    let key = Key::new(config.seed).named("training");
    match &config.algorithm {
        AlgorithmConfig::ContrastiveDivergence(cd) => Ok(Box::new(ContrastiveDivergence::new(cd, data, device, &key)?)),
        AlgorithmConfig::RecoveryLikelihood(rl) => Ok(Box::new(RecoveryLikelihood::new(rl, data, device, &key)?)),
    }
}
