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

    /// [`Learner::gradients`] as one flat tensor, laid out like the parameters: gradients of parts of a loss can be measured
    /// and added.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        pack(&self.gradients(loss), &self.params.offsets(), self.params.flat().get().numel())
    }

    /// One optimiser step along given gradients, without moving the average; returns their norm before clipping.
    pub fn update(&self, it: &mut Iteration, gradients: &[Tensor]) -> Tensor {
        self.descend(it, &pack(gradients, &self.params.offsets(), self.params.flat().get().numel()))
    }

    /// [`Learner::update`] along a [flat gradient](Learner::gradient).
    pub fn descend(&self, it: &mut Iteration, gradient: &Tensor) -> Tensor {
        let optimizer = self.optimizer.clone();
        let numbers = it.feed([4], move |_| optimizer.next_numbers());
        numbers.device().phase("update", || self.optimizer.step(gradient, &numbers))
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
        Averaged { learner: self, energy, labels: None }
    }

    /// [`Learner::ema`] of samples with these classes, where the energy is told any.
    pub fn ema_labelled<'a, E: Energy + ?Sized>(&'a self, energy: &'a E, labels: &Tensor) -> Option<impl Energy + 'a> {
        energy.labelled(labels)?;
        Some(Averaged { learner: self, energy, labels: Some(labels.clone()) })
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

/// One step of several learners down the gradient of one loss, from one backward pass; returns the norm of each gradient.
pub fn minimize_jointly(it: &mut Iteration, loss: &Tensor, learners: &[&Learner]) -> Vec<Tensor> {
    let leaves: Vec<Tensor> = learners.iter().flat_map(|learner| learner.params.tensors()).collect();
    let gradients = loss.device().phase("backward", || grad(loss, &leaves.iter().collect::<Vec<_>>()));
    let mut rest = &gradients[..];
    let step = |learner: &&Learner| {
        let (own, others) = rest.split_at(learner.params.names().len());
        rest = others;
        let norm = learner.update(it, own);
        learner.average(it);
        norm
    };
    learners.iter().map(step).collect()
}

/// An energy with the averaged parameters of its learner, of samples with these labels if there are any.
struct Averaged<'a, E: ?Sized> {
    learner: &'a Learner,
    energy: &'a E,
    labels: Option<Tensor>,
}

impl<E: Energy + ?Sized> Averaged<'_, E> {
    fn with<T>(&self, f: impl FnOnce(&dyn Energy) -> T) -> T {
        self.learner.with_ema(|| match &self.labels {
            Some(labels) => f(&self.energy.labelled(labels).expect("asked before")),
            None => f(&self.energy),
        })
    }
}

impl<E: Energy + ?Sized> Energy for Averaged<'_, E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.with(|energy| energy.energy(x))
    }

    fn parts(&self, x: &Tensor) -> Tensor {
        self.with(|energy| energy.parts(x))
    }

    fn labelled<'a>(&'a self, labels: &Tensor) -> Option<Box<dyn Energy + 'a>> {
        self.learner.ema_labelled(self.energy, labels).map(|energy| Box::new(energy) as Box<dyn Energy>)
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        self.with(|energy| energy.chain(step, steps, x_0, key))
    }
}
