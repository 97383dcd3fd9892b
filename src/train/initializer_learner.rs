//! The initializer of cooperative recovery likelihood: it proposes where the chains of a level start, and learns from where
//! they end, or from the data.

use super::recovery_likelihood::Config;
use super::{Iteration, Learner, LevelMeans, Start, State};
use crate::diffusion::{Initializer, InitializerConfig, RecoveryTable, Schedule};
use crate::error::Result;
use crate::nn::Params;
use crate::tensor::{Device, Key, Tensor, no_grad};
use serde::{Deserialize, Serialize};

/// What the initializer learns to propose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Where the chains end, by `|y_neg - y_0|^2`: cooperative learning, as published.
    Chain,
    /// The data, by `|m - g(x_t)|^2` with m the mean of y for known x_t and x: the optimum is E[y | x_t]. A denoiser trained on
    /// its own, from which the energy's chains start. It tells what cooperation adds, and is far quicker on images.
    Data,
}

/// The variance v_t of the proposals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalVariance {
    /// That of y for known x_t and x, as published: less than that of y for known x_t.
    Posterior,
    /// `a_t^2 sigma_t^2`, that of the forward step.
    Step,
    /// The most likely one of each level, a running mean: the mean squared distance of the target from g, per dimension.
    Learnt,
}

/// The net g of `q(y | x_t) = N(g(x_t, lambda_t), v_t I)`, and how it is trained.
pub struct InitializerLearner {
    /// The net.
    pub net: Box<dyn Initializer>,
    /// Its parameters.
    pub learner: Learner,
    target: Target,
    anchor: f64,
    /// v_t
    variances: LevelMeans,
    learns_variances: bool,
    /// The variance of y for known x_t and x, `[T]`, which a target that is a mean lacks.
    least: Tensor,
}

impl InitializerLearner {
    /// Builds the net for samples of shape `item` and the levels of `schedule`; everything random follows from `key`.
    pub fn new(
        net: &InitializerConfig,
        config: &Config,
        (schedule, table): (&Schedule, &RecoveryTable),
        item: &[usize],
        classes: usize,
        device: &Device,
        key: &Key,
    ) -> Result<InitializerLearner> {
        let params = Params::new(device, key.clone());
        let log_snr: Vec<f64> = (1..=schedule.steps()).map(|t| schedule.log_snr(t)).collect();
        let net = net.build(&params.root(), item, &log_snr, classes)?;
        params.check("algorithm.initializer")?;
        let posterior = table.column(|s| s.variance)[1..].to_vec();
        let start = match config.proposal_variance {
            ProposalVariance::Step => table.column(|s| (s.a * s.sigma).powi(2))[1..].to_vec(),
            ProposalVariance::Posterior | ProposalVariance::Learnt => posterior.clone(),
        };
        Ok(InitializerLearner {
            net,
            learner: Learner::new(&params, &config.initializer_optimizer, config.ema),
            target: config.initializer_target,
            anchor: config.initializer_anchor,
            variances: LevelMeans::new(device, [start]),
            learns_variances: config.proposal_variance == ProposalVariance::Learnt,
            least: Tensor::from_f64(device, [posterior.len()], posterior),
        })
    }

    /// `y_0 = g(x_t, lambda_t) + sqrt(v_t) n`; the source is g's value.
    pub fn propose(&self, it: &Iteration, x_t: &Tensor, condition: &Tensor, t: &Tensor) -> Start {
        let mean = self.net.mean(x_t, condition, Some(&it.key("dropout")));
        let noise = it.normal("proposal", x_t.shape()) * self.deviation(t).per_sample(x_t);
        Start { x: &mean + &noise, source: mean }
    }

    /// sqrt(v_t) at levels t, `[N]`, or `[1]` for all samples.
    pub fn deviation(&self, t: &Tensor) -> Tensor {
        self.variances.at(t).sqrt()
    }

    /// One step down `1/N sum |target - proposal|^2`, the target being the chains' ends `y_neg`, where there are chains, or `m`,
    /// the mean of y for known x_t and x. With an anchor, chains' ends do not pull alone.
    pub fn learn(&self, it: &mut Iteration, t: &Tensor, start: &Start, m: &Tensor, y_neg: Option<&Tensor>) {
        let mean_square = |error: &Tensor| error.square().sum() / t.numel() as f64;
        let to_data = m - &start.source;
        let (loss, off) = match y_neg.filter(|_| self.target == Target::Chain) {
            Some(y_neg) if self.anchor > 0.0 => {
                (mean_square(&(y_neg - &start.x)) + self.anchor * mean_square(&to_data), y_neg - &start.source)
            }
            Some(y_neg) => (mean_square(&(y_neg - &start.x)), y_neg - &start.source),
            None => (mean_square(&to_data), to_data),
        };
        let norm = self.learner.minimize(it, &loss);
        if self.learns_variances {
            let squares = per_dimension(&off);
            let of_chain = y_neg.is_some() && self.target == Target::Chain;
            let squares = if of_chain { squares } else { squares + self.least.gather(0, &(t - 1.0)) };
            self.variances.update(t, &[&squares]);
        }
        it.metric("initializer_loss", &loss);
        it.metric("initializer_gradient_norm", &norm);
    }

    /// g with averaged parameters: the mean of the proposal for samples that have `condition`.
    pub fn mean(&self, x_t: &Tensor, condition: &Tensor) -> Tensor {
        no_grad(|| self.learner.with_ema(|| self.net.mean(x_t, condition, None)))
    }

    /// What a resumed run needs.
    pub fn state(&self) -> Vec<(String, State)> {
        let variances = self.learns_variances.then(|| ("initializer.variances".to_string(), self.variances.state()));
        self.learner.state("initializer").into_iter().chain(variances).collect()
    }
}

/// The mean square of each sample, `[N]`, a constant.
pub(super) fn per_dimension(x: &Tensor) -> Tensor {
    x.detach().square().reshape([x.dim(0), x.numel() / x.dim(0)]).mean_axes(&[1])
}
