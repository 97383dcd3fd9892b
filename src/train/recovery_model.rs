//! Recovery likelihood as a model: its energies by level, its units, its samples.

use super::recovery_likelihood::Stage;
use super::recovery_sampler::Sampler;
use super::{Model, OutlierScore, RecoveryLikelihood, SampleRequest, Samples};
use crate::energy::{ConditionedEnergy, Energy, LevelEnergyConfig};
use crate::error::{Error, Result};
use crate::nn::condition_index;
use crate::tensor::{Key, Tensor, no_grad};

impl Model for RecoveryLikelihood {
    fn sample_shape(&self) -> &[usize] {
        &self.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        match self.has_energy() {
            true => Ok(Box::new(self.marginal(1, 0))),
            false => Err(Error::setting("stage = \"initializer\" trains no energy; start a run of both from this one")),
        }
    }

    /// Of images that of level 2: chosen on MNIST against Fashion-MNIST. The cleanest level compares what differs by a hundredth of
    /// a grey value, and is arbitrary elsewhere. Of an energy that is a denoiser's its errors at all levels.
    fn best_outlier_score(&self) -> OutlierScore {
        let images = self.sample_shape().len() == 3;
        match self.config.energy {
            LevelEnergyConfig::Unet(_) => OutlierScore::Typicality,
            _ if images && self.config.levels > 1 => OutlierScore::Level(2),
            _ => OutlierScore::Energy,
        }
    }

    fn outlier_score(&self, by: OutlierScore, key: &Key) -> Result<Box<dyn Energy + '_>> {
        self.energy()?;
        by.of_levels(self, key)
    }

    /// s_1^2: the energies are in units of the squared Langevin step.
    fn temperature(&self) -> f64 {
        self.table.step(1).s.powi(2)
    }

    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        Sampler::new(self, request)?.run(request, key)
    }

    /// With the states at all levels; of images one class after another.
    fn preview(&self, n: usize, key: &Key) -> Result<Samples> {
        let conditions = match self.classes {
            0 => Vec::new(),
            classes => vec![(0..n).map(|i| (i % classes) as u32).collect()],
        };
        self.sample(&SampleRequest { conditions, trajectory: true, ..SampleRequest::new(n) }, key)
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn class_energy(&self, class: usize) -> Result<Box<dyn Energy + '_>> {
        match class < self.classes {
            true => Ok(Box::new(self.marginal(1, class + 1))),
            false => Err(Error::setting(format!("class {class} of a model with {} classes", self.classes))),
        }
    }

    fn refines_first_guess(&self) -> bool {
        self.initializer.is_some() && self.has_energy()
    }

    fn supports_guidance(&self) -> bool {
        self.classes > 0
    }

    fn supports_inpainting(&self) -> bool {
        true
    }

    fn levels(&self) -> Vec<(Box<dyn Energy + '_>, f64)> {
        let level = |t| (Box::new(self.marginal(t, 0)) as Box<dyn Energy + '_>, self.table.step(t).s.powi(2));
        (1..=self.config.levels).filter(|_| self.has_energy()).map(level).collect()
    }
}

impl RecoveryLikelihood {
    /// E(a_t x, lambda_{t-1}) with averaged parameters, x in the data's units: the density of x_{t-1} is exp(-E / s_t^2).
    /// `class` is 0 for none, c + 1 for class c.
    pub fn marginal(&self, t: usize, class: usize) -> Marginal<'_> {
        let condition = Tensor::full(&self.device, [1], condition_index(t - 1, class, self.classes) as f64);
        let net = no_grad(|| self.learner.with_ema(|| self.energy.at(&condition)));
        Marginal { of: self, net, a: self.table.step(t).a }
    }

    /// Whether samples are images rather than points.
    pub(super) fn images(&self) -> bool {
        self.data().sample_shape.len() == 3
    }

    /// Whether there is an energy: a first stage has an initializer alone.
    fn has_energy(&self) -> bool {
        self.config.stage != Stage::Initializer
    }

    /// K at sampling, if no other number is wished: no chains where there is no energy.
    pub(super) fn langevin_steps(&self) -> usize {
        if self.has_energy() { self.config.langevin_steps } else { 0 }
    }

    /// Whether samples end with Tweedie's formula.
    pub(super) fn denoises(&self) -> bool {
        self.config.denoise && self.has_energy()
    }
}

/// See [`RecoveryLikelihood::marginal`].
pub struct Marginal<'a> {
    of: &'a RecoveryLikelihood,
    net: ConditionedEnergy,
    a: f64,
}

impl Marginal<'_> {
    /// The energy of x in the units of the nets.
    pub(super) fn of_net_units(&self, x: &Tensor) -> Tensor {
        self.net.energy(&(x * self.a))
    }

    /// dE/dy at y = a x, x in the units of the nets.
    pub(super) fn slope_of_net_units(&self, x: &Tensor) -> Tensor {
        self.net.gradient(&(x * self.a))
    }
}

impl Energy for Marginal<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.of_net_units(&self.of.units.inwards(x))
    }
}
