//! Denoising diffusion (Ho et al. 2020, DDPM), with ancestral and deterministic (Song et al. 2021, DDIM) samples.
//!
//! The sampler that generalized contrastive divergence starts from, and a baseline beside it. It has no energy.

use super::{Algorithm, Iteration, Learner, Loader, Model, SampleRequest, Samples, State, Units};
use crate::check;
use crate::data::Dataset;
use crate::diffusion::{ChainConfig, NoiseNet, Schedule};
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::ops::schedule::{Noise, add_noise, denoise_step};
use crate::optim::OptimizerConfig;
use crate::tensor::{Device, Key, Tensor, no_grad};
use serde::{Deserialize, Serialize};

impl Algorithm for Ddpm {
    /// Algorithm 1 of DDPM: one step down `|eps - eps_phi(x_t, t)|^2`, a mean over samples and dimensions, t ~ U{1..T}.
    fn iteration(&self, it: &mut Iteration) {
        let x = self.units.inwards(&self.data.batch(it).x); // [N, sample...]
        let levels = self.schedule.steps() as f64;
        let t = ((it.uniform("level", [x.dim(0)]) * levels).floor() + 1.0).clamp(1.0, levels); // [N]
        let eps = it.normal("noise", x.shape());
        let x_t = add_noise(&x, &t, &self.noising, Noise::Given(&eps));
        let loss = (eps - self.net.noise(&x_t, &(&t - 1.0), Some(&it.key("dropout")))).square().mean();
        let norm = self.learner.minimize(it, &loss);
        it.metric("loss", &loss);
        it.metric("gradient_norm", &norm);
    }

    fn state(&self) -> Vec<(String, State)> {
        self.learner.state("sampler")
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("sampler", self.learner.params.numel())]
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// N: data per iteration.
    pub batch: usize,
    /// Levels and net.
    pub sampler: ChainConfig,
    /// How much noise a sampling step adds: 1 for DDPM's ancestral step, 0 for DDIM.
    pub eta: f64,
    /// Decay of the moving average of the parameters.
    pub ema: f64,
    /// How parameters move.
    pub optimizer: OptimizerConfig,
}

impl Default for Config {
    fn default() -> Config {
        let (sampler, optimizer) = (ChainConfig::default(), OptimizerConfig::default());
        Config { batch: 256, sampler, eta: 1.0, ema: 0.999, optimizer }
    }
}

impl Config {
    /// Whether the settings make sense, and the batch fits the data.
    fn check(&self, data: &Dataset) -> Result<()> {
        data.check_batch("algorithm.batch", self.batch)?;
        self.sampler.check("algorithm.sampler")?;
        check::within("algorithm.eta", self.eta, 0.0..=1.0)?;
        check::below_one("algorithm.ema", self.ema)?;
        self.optimizer.check("algorithm.optimizer")
    }
}

/// A denoising net under training.
pub struct Ddpm {
    net: Box<dyn NoiseNet>,
    learner: Learner,
    schedule: Schedule,
    noising: Tensor,
    eta: f64,
    data: Loader,
    units: Units,
}

impl Ddpm {
    /// The net that the settings ask for; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<Ddpm> {
        config.check(&data)?;
        let params = Params::new(device, key.named("sampler parameters"));
        let schedule = config.sampler.schedule();
        let net = config.sampler.net.build(&params.root(), &data.sample_shape, &schedule)?;
        params.check("algorithm.sampler.net")?;
        Ok(Ddpm {
            net,
            learner: Learner::new(&params, &config.optimizer, config.ema),
            noising: schedule.noising(device),
            schedule,
            eta: config.eta,
            units: Units::of(&data.sample_shape),
            data: Loader::new(device, data, config.batch, &key.named("batches"))?,
        })
    }
}

impl Model for Ddpm {
    fn sample_shape(&self) -> &[usize] {
        &self.data.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        Err(Error::setting("a denoising net has no energy: train one with it (kind = \"generalized_cd\")"))
    }

    /// From N(0, I) through the levels, or through `steps` of them at equal distances.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        request.check_chain(self.sample_shape())?;
        let all = self.schedule.steps();
        let few = request.steps.unwrap_or(all);
        check::within("steps", few, 1..=all)?;
        let device = self.noising.device();
        let level = |k: usize| (all * k + few / 2) / few;
        let coarse = self.schedule.at_levels((0..=few).map(level));
        let table = coarse.denoising(device, self.eta);
        let shape: Vec<usize> = [request.n].iter().chain(self.sample_shape()).copied().collect();
        let mut states = vec![Tensor::normal(device, shape, &key.named("x_T"))];
        for k in (1..=few).rev() {
            request.watch.say(&format!("level {k} of {few},"));
            let [index, at] = [level(k) - 1, k].map(|t| Tensor::full(device, [1], t as f64));
            let x = &states[states.len() - 1];
            let eps = no_grad(|| self.learner.with_ema(|| self.net.noise(x, &index, None)));
            let next = denoise_step(x, &eps, &at, &table, Some(&key.index(k as u64)));
            if !request.trajectory {
                states.clear();
            }
            states.push(next);
        }
        Ok(Samples::of_states(states, self.units, request.trajectory))
    }

    fn samples_quickly(&self) -> bool {
        true
    }

    fn levels(&self) -> Vec<(Box<dyn Energy + '_>, f64)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;

    /// The exact net for data N(0, v): `E[eps | x_t] = sqrt(1 - abar_t) x_t / (abar_t v + 1 - abar_t)`.
    struct Exact {
        factors: Tensor,
    }

    impl NoiseNet for Exact {
        fn noise(&self, x: &Tensor, index: &Tensor, _: Option<&Key>) -> Tensor {
            x * self.factors.gather(0, index).per_sample(x)
        }
    }

    /// Samples with the exact net, and their variance in closed form: Gaussian after every step.
    #[test]
    fn ancestral_and_deterministic_samples_have_the_variance_of_the_closed_form() {
        let (v, n, device) = (0.3, 40_000, Device::oracle());
        for (eta, steps, few, trajectory) in
            [(1.0, 20, 20, true), (1.0, 20, 20, false), (0.0, 20, 20, true), (1.0, 20, 7, false), (0.5, 20, 7, true)]
        {
            let sampler = ChainConfig { steps, ..Default::default() };
            let config = Config { sampler, eta, batch: 2, ..Default::default() };
            let data = Dataset::new("none", vec![1], Values::F32(vec![0.0, 1.0]));
            let mut model = Ddpm::new(&config, data, &device, &Key::new(1)).unwrap();
            let schedule = model.schedule.clone();
            let factor = |t: usize| schedule.sigma(t) / (schedule.alpha_bar(t) * v + schedule.sigma(t).powi(2));
            model.net =
                Box::new(Exact { factors: Tensor::from_f64(&device, [steps], (1..=steps).map(factor).collect()) });

            let levels: Vec<usize> = (0..=few).map(|k| (steps * k + few / 2) / few).collect();
            let coarse = schedule.at_levels(levels.iter().copied());
            let mut want = 1.0;
            for k in (1..=few).rev() {
                let [a, b, s] = coarse.reverse(k, eta);
                want = (a + b * factor(levels[k])).powi(2) * want + s * s;
            }
            let request = SampleRequest { steps: Some(few), trajectory, ..SampleRequest::new(n) };
            let samples = model.sample(&request, &Key::new(2)).unwrap();
            assert_eq!(samples.trajectory.len(), if trajectory { few + 1 } else { 0 });
            let x = samples.x.to_f64().unwrap();
            let got = x.iter().map(|x| x * x).sum::<f64>() / n as f64;
            assert!((got - want).abs() < 4.0 * want * (2.0 / n as f64).sqrt(), "eta {eta}, {few} steps: {got} {want}");
        }
    }
}
