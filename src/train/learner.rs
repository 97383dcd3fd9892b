//! A net under training: its parameters, their average and their optimiser.

use super::{Iteration, State};
use crate::autodiff::grad;
use crate::energy::Energy;
use crate::nn::Params;
use crate::ops::langevin::LangevinStep;
use crate::optim::{Ema, Optimizer, OptimizerConfig, pack};
use crate::tensor::{Key, Tensor, Var};

/// Parameters, their moving average, and their optimiser, which counts its own updates.
pub struct Learner {
    /// The parameters.
    pub params: Params,
    optimizer: Optimizer,
    ema: Ema,
}

impl Learner {
    /// Starts to train `params`; `ema` is the decay of their moving average.
    pub fn new(params: &Params, optimizer: impl Into<OptimizerConfig>, ema: f64) -> Learner {
        let flat = params.flat();
        Learner { optimizer: optimizer.into().build(&flat), ema: Ema::new(&flat, ema), params: params.clone() }
    }

    /// One step down the gradient of `loss`, and one of the average; returns the gradient's norm before clipping.
    pub fn minimize(&self, it: &mut Iteration, loss: &Tensor) -> Tensor {
        let norm = self.update(it, &self.gradients(loss));
        self.average(it);
        norm
    }

    /// `d loss / d theta` for every parameter, in order of declaration.
    pub fn gradients(&self, loss: &Tensor) -> Vec<Tensor> {
        let leaves = self.params.tensors();
        loss.device().phase("backward", || grad(loss, &leaves.iter().collect::<Vec<_>>()))
    }

    /// One optimiser step along given gradients, without moving the average; returns their norm before clipping.
    pub fn update(&self, it: &mut Iteration, gradients: &[Tensor]) -> Tensor {
        let optimizer = self.optimizer.clone();
        let numbers = it.feed([4], move |_| optimizer.next_numbers());
        let total = self.params.flat().get().numel();
        let step = || self.optimizer.step(&pack(gradients, &self.params.offsets(), total), &numbers);
        numbers.device().phase("update", step)
    }

    /// Moves the average towards the parameters.
    pub fn average(&self, it: &mut Iteration) {
        let ema = self.ema.clone();
        let gain = it.feed([1], move |_| ema.next_gain());
        gain.device().phase("update", || self.ema.update(&gain));
    }

    /// How many optimiser steps were taken.
    pub fn updates(&self) -> u64 {
        self.optimizer.updates().get()
    }

    /// Runs `f` with the averaged parameters.
    pub fn with_ema<T>(&self, f: impl FnOnce() -> T) -> T {
        self.params.with(&self.ema.value(), f)
    }

    /// `energy` with the averaged parameters.
    pub fn ema<'a, E: Energy + ?Sized>(&'a self, energy: &'a E) -> impl Energy + 'a {
        Averaged { learner: self, energy }
    }

    /// What a resumed run needs, under `name`.
    pub fn state(&self, name: &str) -> Vec<(String, State)> {
        let flat = |part: &str, var: Var| (format!("{name}{part}"), State::Flat(self.params.clone(), var));
        let count = |part: &str, counter| (format!("{name}.{part}.updates"), State::Count(counter));
        let mut state = vec![flat("", self.params.flat()), flat(".ema", self.ema.var())];
        let of = self.optimizer.name();
        state.extend(self.optimizer.state().into_iter().map(|(part, var)| flat(&format!(".{of}.{part}"), var)));
        state.push(count(of, self.optimizer.updates().clone()));
        state.push(count("ema", self.ema.updates().clone()));
        let buffers = self.params.buffers().into_iter();
        state.extend(buffers.map(|(buffer, var)| (format!("{name}.buffer.{buffer}"), State::Value(var))));
        state
    }
}

/// An energy with the averaged parameters of its learner.
struct Averaged<'a, E: ?Sized> {
    learner: &'a Learner,
    energy: &'a E,
}

impl<E: Energy + ?Sized> Energy for Averaged<'_, E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.learner.with_ema(|| self.energy.energy(x))
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        self.learner.with_ema(|| self.energy.chain(step, steps, x_0, key))
    }
}
