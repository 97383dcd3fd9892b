//! A net under training: its parameters, their average and their optimiser.

use super::trainer::State;
use crate::autodiff::grad;
use crate::nn::Params;
use crate::optim::{Adam, AdamConfig, Ema, pack};
use crate::tensor::{Tensor, Var};

/// Parameters, their moving average, and Adam.
pub struct Trained {
    /// The parameters.
    pub params: Params,
    /// Their moving average.
    pub ema: Ema,
    adam: Adam,
}

impl Trained {
    /// Starts to train `params`.
    pub fn new(params: Params, optimizer: &AdamConfig, ema: f64) -> Trained {
        Trained { adam: Adam::new(&params.flat(), optimizer.clone()), ema: Ema::new(&params.flat(), ema), params }
    }

    /// Sets the learning rate of iteration `step`; call before the step runs.
    pub fn feed(&self, step: u64) {
        self.adam.feed(step);
    }

    /// One step down the gradient of `loss`; returns the gradient's norm before clipping.
    pub fn descend(&self, loss: &Tensor) -> Tensor {
        let leaves = self.params.tensors();
        let grads = grad(loss, &leaves.iter().collect::<Vec<_>>());
        let norm = self.adam.step(&pack(&grads, &self.params.offsets(), self.params.flat().get().numel()));
        self.ema.update();
        norm
    }

    /// Runs `f` with the averaged parameters.
    pub fn with_average<T>(&self, f: impl FnOnce() -> T) -> T {
        self.params.with(&self.ema.value(), f)
    }

    /// What a resumed run needs, under `name`.
    pub fn state(&self, name: &str) -> Vec<(String, State)> {
        let flat = |part: &str, var: Var| (format!("{name}{part}"), State::Flat(self.params.clone(), var));
        let mut state = vec![flat("", self.params.flat()), flat(".ema", self.ema.var())];
        state.extend(self.adam.state().into_iter().map(|(part, var)| flat(&format!(".adam.{part}"), var)));
        let buffers = self.params.buffers().into_iter();
        state.extend(buffers.map(|(buffer, var)| (format!("{name}.buffer.{buffer}"), State::Value(var))));
        state
    }
}
