//! The loop that runs any algorithm: steps, logs, checkpoints, pictures, health, and a clean stop.
//!
//! Nothing in it waits for the device inside a step: figures are copied to the host while later steps run.

use super::request::{SampleRequest, Samples};
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::gpu::ReadBack;
use crate::io::{Checkpoint, EventLog, MetricsLog, RunDir};
use crate::nn::Params;
use crate::tensor::{Device, Key, Storage, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A number that tells whether training is healthy.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its column in metrics.csv.
    pub name: &'static str,
    /// Training stops when its magnitude exceeds this.
    pub limit: f64,
}

/// A piece of state that a resumed run needs.
pub enum State {
    /// A value laid out like the flat buffer of `Params`; saved parameter by parameter.
    Flat(Params, Var),
    /// Any other value.
    Value(Var),
}

/// A training algorithm.
pub trait Algorithm {
    /// What it reports after a step.
    fn figures(&self) -> Vec<Figure>;

    /// Queues iteration `step` and returns its figures `[F]`, valid until the next call.
    fn step(&mut self, step: u64) -> Tensor;

    /// Its nets and how many numbers each trains.
    fn sizes(&self) -> Vec<(&'static str, usize)>;

    /// Everything besides the step number and the seed, under the names of the checkpoint.
    fn state(&self) -> Vec<(String, State)>;

    /// The energy with averaged (EMA) parameters; below, samples use them too.
    fn averaged(&self) -> Box<dyn Energy + '_>;

    /// The temperature at which exp(-E / T) is the density.
    fn temperature(&self) -> f64;

    /// The shape of one sample.
    fn item(&self) -> Vec<usize>;

    /// How many classes it can be asked for; 0 where it is not told classes.
    fn classes(&self) -> usize {
        0
    }

    /// Whether it can fill in samples of which parts are known.
    fn fills_in(&self) -> bool {
        false
    }

    /// Samples as wished, or why it cannot give such.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples>;

    /// Pictures of the state now, as (file stem, PNG bytes).
    fn pictures(&self) -> Result<Vec<(String, Vec<u8>)>>;

    /// What to change when training diverges.
    fn advice(&self) -> String;
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
}

impl Default for TrainerConfig {
    fn default() -> TrainerConfig {
        TrainerConfig { steps: 1000, log_every: 10, checkpoint_every: 500, sample_every: 500 }
    }
}

/// What the callback sees after each iteration.
pub struct Progress<'a> {
    /// Iterations done.
    pub done: u64,
    /// Iterations in all.
    pub steps: u64,
    /// The newest figures that have arrived.
    pub figures: &'a [(&'static str, f64)],
}

/// Runs an algorithm in a run folder.
pub struct Trainer<'a> {
    /// When to log, save and draw.
    pub config: TrainerConfig,
    /// Where everything goes.
    pub run: &'a RunDir,
    /// The seed, for messages and the checkpoint.
    pub seed: u64,
    /// Set by Ctrl-C: the loop saves and returns [`Error::Interrupted`].
    pub stop: &'a AtomicBool,
    /// Called after each iteration.
    pub progress: &'a mut dyn FnMut(&Progress),
}

/// Figures on their way from the device.
struct Arriving {
    step: u64,
    wall_s: f64,
    read: Option<ReadBack>,
    values: Tensor,
}

struct Log {
    metrics: MetricsLog,
    events: EventLog,
    figures: Vec<Figure>,
    arriving: VecDeque<Arriving>,
    newest: Vec<(&'static str, f64)>,
}

impl Trainer<'_> {
    /// Runs iterations `from..steps`. The state is saved at the end, at Ctrl-C, and every `checkpoint_every`.
    pub fn train(&mut self, algorithm: &mut dyn Algorithm, from: u64) -> Result<()> {
        if self.config.log_every == 0 || self.config.checkpoint_every == 0 {
            return Err(Error::setting("trainer.log_every and trainer.checkpoint_every must be at least 1"));
        }
        let start = Instant::now();
        let fresh = from == 0;
        let mut log = Log {
            metrics: if fresh {
                MetricsLog::create(self.run.metrics())?
            } else {
                MetricsLog::resume(self.run.metrics(), from)?
            },
            events: if fresh {
                EventLog::create(self.run.events())?
            } else {
                EventLog::resume(self.run.events(), from)?
            },
            figures: algorithm.figures(),
            arriving: VecDeque::new(),
            newest: Vec::new(),
        };
        for step in from..self.config.steps {
            let values = algorithm.step(step);
            let done = step + 1;
            let last = done == self.config.steps;
            if step % self.config.log_every == 0 || last {
                let read = values.read_back();
                log.arriving.push_back(Arriving { step, wall_s: start.elapsed().as_secs_f64(), read, values });
            }
            let interrupted = self.stop.load(Ordering::Relaxed);
            let save = last || interrupted || done % self.config.checkpoint_every == 0;
            // A checkpoint is only written after the figures before it were seen to be sound.
            log.take(if save { 0 } else { 2 }).map_err(|e| self.diverged(e, algorithm))?;
            if save {
                self.save(algorithm, done)?;
            }
            let every = self.config.sample_every;
            if every > 0 && (last || done % every == 0) {
                for (stem, png) in algorithm.pictures()? {
                    crate::io::atomic::write_bytes(
                        self.run.root().join("samples").join(format!("{stem}-{done:07}.png")),
                        &png,
                    )?;
                    log.events.image(done, &stem, &png)?;
                }
            }
            (self.progress)(&Progress { done, steps: self.config.steps, figures: &log.newest });
            if interrupted && !last {
                return Err(Error::Interrupted(done));
            }
        }
        Ok(())
    }

    fn diverged(&self, error: Error, algorithm: &dyn Algorithm) -> Error {
        match error {
            Error::Diverged { step, what, .. } => {
                let last = self.run.checkpoint_last();
                let kept =
                    if last.exists() { format!("; the last good state is {}", last.display()) } else { String::new() };
                Error::Diverged { step, seed: self.seed, what, advice: format!("{}{kept}", algorithm.advice()) }
            }
            other => other,
        }
    }

    fn save(&self, algorithm: &dyn Algorithm, done: u64) -> Result<()> {
        let mut checkpoint = Checkpoint::new();
        for (name, state) in algorithm.state() {
            match state {
                State::Value(var) => checkpoint.insert(&name, var.get().shape(), var.get().to_vec()?),
                State::Flat(params, var) => {
                    let flat = var.get().to_vec()?;
                    for ((parameter, shape), at) in params.names().iter().zip(params.offsets()) {
                        checkpoint.insert(&format!("{name}.{parameter}"), shape, flat[at..at + shape.numel()].to_vec());
                    }
                }
            }
        }
        checkpoint.meta.insert("step".into(), done.to_string());
        checkpoint.meta.insert("seed".into(), self.seed.to_string());
        self.run.save(&checkpoint)
    }
}

impl Log {
    /// Logs figures that have arrived; waits until at most `ahead` are still on their way.
    fn take(&mut self, ahead: usize) -> Result<()> {
        while let Some(first) = self.arriving.front() {
            let ready = first.read.as_ref().is_none_or(ReadBack::ready);
            if !ready && self.arriving.len() <= ahead {
                break;
            }
            let Some(Arriving { step, wall_s, read, values }) = self.arriving.pop_front() else { break };
            let values = match read {
                Some(read) => read.wait()?,
                None => values.to_vec()?,
            };
            self.newest = self.figures.iter().map(|f| f.name).zip(values.iter().map(|&v| f64::from(v))).collect();
            for (figure, &(name, value)) in self.figures.iter().zip(&self.newest) {
                if !(value.abs() <= figure.limit) {
                    let what = format!("{name} is {value:.4e} (limit {:e})", figure.limit);
                    return Err(Error::Diverged { step, seed: 0, what, advice: String::new() });
                }
            }
            self.metrics.append(step, wall_s, &self.newest)?;
            self.events.scalars(step, &self.newest)?;
        }
        Ok(())
    }
}

/// Puts the state of a checkpoint into a freshly built algorithm; returns the number of iterations done.
///
/// Fails, naming the tensor, when the checkpoint belongs to another model.
pub fn restore(checkpoint: &mut Checkpoint, algorithm: &dyn Algorithm) -> Result<u64> {
    for (name, state) in algorithm.state() {
        match state {
            State::Value(var) => {
                let shape = var.get().shape().clone();
                assign(&var, &checkpoint.take(&name, &shape)?);
            }
            State::Flat(params, var) => {
                let mut flat = vec![0.0; var.get().numel()];
                for ((parameter, shape), at) in params.names().iter().zip(params.offsets()) {
                    let values = checkpoint.take(&format!("{name}.{parameter}"), shape)?;
                    flat[at..at + values.len()].copy_from_slice(&values);
                }
                assign(&var, &flat);
            }
        }
    }
    checkpoint.number("step")
}

/// Overwrites a variable's own memory, so that buffers updated in place keep their address.
fn assign(var: &Var, values: &[f32]) {
    let value = var.get();
    match (value.device(), value.storage()) {
        (Device::Gpu(gpu), Storage::Gpu(slice)) => gpu.write(slice, bytemuck::cast_slice(values)),
        _ => var.set(Tensor::new(value.device(), value.shape(), values)),
    }
}
