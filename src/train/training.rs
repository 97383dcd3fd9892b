//! Training: an algorithm, and what moves it on by one iteration.

use super::{Iteration, Metric, Model};
use crate::error::{Error, Result};
use crate::gpu::ReadBack;
use crate::nn::Params;
use crate::optim::Counter;
use crate::tensor::{CapturedStep, Device, Key, Tensor, Var};

/// A training algorithm: one iteration, and the state that iterations share.
pub trait Algorithm: Model {
    /// One iteration, from device values only: on a GPU it runs once and is then replayed.
    fn iteration(&self, it: &mut Iteration);

    /// Everything besides the step number and the seed that the next iteration depends on, by name.
    fn state(&self) -> Vec<(String, State)>;

    /// Its nets and how many numbers each trains.
    fn sizes(&self) -> Vec<(&'static str, usize)>;

    /// What to change when training goes wrong.
    fn advice(&self) -> String {
        "Lower the learning rate".into()
    }
}

/// A piece of state that a resumed run needs.
#[derive(Clone)]
pub enum State {
    /// A value laid out like the flat buffer of `Params`; saved parameter by parameter.
    Flat(Params, Var),
    /// Any other value.
    Value(Var),
    /// A count of updates.
    Count(Counter),
}

/// An algorithm under way.
pub struct Training<A: Algorithm + ?Sized = dyn Algorithm> {
    algorithm: Box<A>,
    iteration: Iteration,
    /// Where iterations are captured and replayed; without it each runs as Rust. The numbers are the same.
    captured: Option<CapturedStep<Tensor>>,
    done: u64,
}

impl<A: Algorithm + ?Sized> Training<A> {
    /// Starts to train; everything random in the iterations follows from `key`. With `capture`, the first iteration is
    /// captured on a GPU and replayed by the later ones.
    pub fn new(algorithm: Box<A>, device: &Device, key: &Key, capture: bool) -> Training<A> {
        let iteration = Iteration::new(device, key);
        Training { algorithm, iteration, captured: capture.then(|| CapturedStep::new(device)), done: 0 }
    }

    /// The algorithm, also as a model.
    pub fn algorithm(&self) -> &A {
        &self.algorithm
    }

    /// Iterations done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Goes on after `done` iterations, once the [state](Algorithm::state) is what it was then.
    pub fn resume_after(&mut self, done: u64) {
        self.done = done;
    }

    /// The names of the kernels of an iteration, each with how often it runs; none before one was captured.
    pub fn kernels(&self) -> Vec<(String, usize)> {
        self.captured.as_ref().map_or_else(Vec::new, CapturedStep::kernels)
    }

    /// Runs one iteration: waits until the device has room for its commands, queues them, and returns the metrics, which
    /// are still on their way.
    pub async fn advance(&mut self) -> Metrics {
        let device = self.iteration.device().clone();
        let Training { algorithm, iteration, captured, done } = self;
        let replayed = captured.as_ref().is_some_and(CapturedStep::is_captured);
        iteration.begin(*done, replayed);
        let mut run = || {
            algorithm.iteration(iteration);
            iteration.values()
        };
        let values = match captured {
            Some(captured) => captured.run(run),
            None => run(),
        };
        device.flush();
        let step = *done;
        *done += 1;
        Metrics { step, metrics: iteration.metrics().to_vec(), values }
    }
}

/// The metrics of an iteration, not yet read. They must be read, or let go, before the next iteration.
pub struct Metrics {
    /// Which iteration reported them (from 0).
    pub step: u64,
    metrics: Vec<Metric>,
    values: Tensor,
}

impl Metrics {
    /// Their names, limits and ranges.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Queues the copy to the host. The numbers stay those of this iteration.
    pub fn read(self) -> Arriving {
        let read = self.values.read_back();
        let known = if read.is_none() { self.values.array().to_vec() } else { Vec::new() };
        Arriving { step: self.step, metrics: self.metrics, read, known }
    }
}

/// Metrics on their way to the host.
pub struct Arriving {
    step: u64,
    metrics: Vec<Metric>,
    read: Option<ReadBack>,
    known: Vec<f64>,
}

impl Arriving {
    /// Whether they have arrived.
    pub fn ready(&self) -> bool {
        self.read.as_ref().is_none_or(ReadBack::ready)
    }

    /// The numbers.
    pub async fn values(self) -> Result<Report> {
        let values = match self.read {
            Some(read) => read.await?.into_iter().map(f64::from).collect(),
            None => self.known,
        };
        Ok(Report { step: self.step, values: self.metrics.into_iter().zip(values).collect() })
    }
}

/// The metrics of an iteration as numbers.
pub struct Report {
    /// Which iteration reported them (from 0).
    pub step: u64,
    /// Each metric with its number.
    pub values: Vec<(Metric, f64)>,
}

impl Report {
    /// Names and numbers.
    pub fn named(&self) -> Vec<(&str, f64)> {
        self.values.iter().map(|(metric, value)| (metric.name.as_str(), *value)).collect()
    }

    /// The number called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(metric, _)| metric.name == name).map(|(_, value)| *value)
    }

    /// An error that says which number is beyond its limit, or not a number.
    pub fn check(&self) -> Result<()> {
        match self.values.iter().find(|(metric, value)| !(value.abs() <= metric.limit)) {
            Some((metric, value)) => {
                let what = match value.is_nan() {
                    true => format!("{} is not a number", metric.name),
                    false => format!("{} is {value:.4e} (limit {:e})", metric.name, metric.limit),
                };
                Err(Error::Diverged { step: self.step, seed: 0, what, advice: String::new() })
            }
            None => Ok(()),
        }
    }
}
