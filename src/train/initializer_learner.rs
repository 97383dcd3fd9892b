//! The initializer of cooperative recovery likelihood: it proposes where the chains of a level start, and learns from where
//! they end.

use super::{Iteration, Learner, Start};
use crate::data::Dataset;
use crate::diffusion::{Initializer, InitializerConfig, Schedule, Transition};
use crate::error::Result;
use crate::nn::Params;
use crate::optim::AdamConfig;
use crate::tensor::{Device, Key, Tensor, no_grad};
use serde::{Deserialize, Serialize};

/// What the initializer learns to propose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Where the chains end, by `|y_neg - y_0|^2`: cooperative learning, as published.
    Chain,
    /// The data, by `|y_pos - g(x_t)|^2`: a denoiser trained on its own, from which the energy's chains start. Tells what
    /// cooperation adds, and is far quicker on images. With shared noise y_pos is a function of x and x_t, so the optimum is
    /// the mean of a deterministic step, and with v_t added the proposals spread more than the data do.
    Data,
}

/// The net g of `q(y | x_t) = N(g(x_t, lambda_t), v_t I)`, and how it is trained.
pub struct InitializerLearner {
    /// The net.
    pub net: Box<dyn Initializer>,
    /// Its parameters.
    pub learner: Learner,
    target: Target,
}

impl InitializerLearner {
    /// Builds the net for the levels of `schedule`; everything random follows from `key`.
    pub fn new(
        config: &InitializerConfig,
        (target, optimizer, ema): (Target, &AdamConfig, f64),
        schedule: &Schedule,
        data: &Dataset,
        classes: usize,
        device: &Device,
        key: &Key,
    ) -> Result<InitializerLearner> {
        let params = Params::new(device, key.clone());
        let log_snr: Vec<f64> = (1..=schedule.steps()).map(|t| schedule.log_snr(t)).collect();
        let net = config.build(&params.root(), &data.sample_shape, &log_snr, classes)?;
        params.check("algorithm.initializer")?;
        Ok(InitializerLearner { net, learner: Learner::new(&params, optimizer, ema), target })
    }

    /// `y_0 = g(x_t, lambda_t) + sqrt(v_t) n`; the source is g's value.
    pub fn propose(&self, it: &Iteration, x_t: &Tensor, condition: &Tensor, of: &Transition) -> Start {
        let mean = self.net.mean(x_t, condition, Some(&it.key("dropout")));
        let noise = it.normal("proposal", x_t.shape()) * of.proposal.per_sample(x_t);
        Start { x: &mean + &noise, source: mean }
    }

    /// One step down `1/N sum |target - proposal|^2`.
    pub fn learn(&self, it: &mut Iteration, start: &Start, y_neg: &Tensor, y_pos: &Tensor) {
        let error = match self.target {
            Target::Chain => y_neg - &start.x,
            Target::Data => y_pos - &start.source,
        };
        let loss = error.square().sum() / y_neg.dim(0) as f64;
        let norm = self.learner.minimize(it, &loss);
        it.metric("initializer_loss", &loss);
        it.metric("initializer_gradient_norm", &norm);
    }

    /// g with averaged parameters: the mean of the proposal for samples that have `condition`.
    pub fn mean(&self, x_t: &Tensor, condition: &Tensor) -> Tensor {
        no_grad(|| self.learner.with_ema(|| self.net.mean(x_t, condition, None)))
    }
}
