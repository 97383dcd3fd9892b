//! Generalized contrastive divergence as a model: its energy, its values over time, its samples with guidance.

use super::{GeneralizedCd, Model, SampleRequest, Samples};
use crate::check;
use crate::energy::{AtTime, Energy, Times};
use crate::error::Result;
use crate::tensor::{Key, Tensor};

impl Model for GeneralizedCd {
    fn sample_shape(&self) -> &[usize] {
        &self.data.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        Ok(Box::new(ValueAt { of: self, t: self.steps() }))
    }

    /// tau1 / D, as entropy and velocity are means over dimensions. With tau1 = 0 the energy is no density; 1 then.
    fn temperature(&self) -> f64 {
        let dims: usize = self.sample_shape().iter().product();
        if self.config.tau1 > 0.0 { self.config.tau1 / dims as f64 } else { 1.0 }
    }

    /// The chain's ends. `guidance` is the lambda of value guidance: after each step `- lambda sigma_t dV(x', t + 1)/dx`.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        SampleRequest { guidance: 0.0, ..request.clone() }.check_chain(self.sample_shape())?;
        let steps = request.steps.unwrap_or(self.steps());
        check::within("steps of this chain", steps, self.steps()..=self.steps())?;
        let guide = |x: &Tensor, t: usize| {
            (request.guidance != 0.0).then(|| {
                let slope = self.with_average_values(|| AtTime(&*self.value, t + 1).gradient(x));
                let sigma = self.sampler.log_sigma(self.sampler.at(t)).exp();
                slope * sigma.mul_scalar(-request.guidance).per_sample(x)
            })
        };
        let path = self
            .sampler_learner
            .with_ema(|| self.noise_learner.with_ema(|| self.sampler.roll_out(request.n, key, guide)));
        Ok(Samples::of_states(path.states, self.units, request.trajectory))
    }

    /// With the states of the chain.
    fn preview(&self, n: usize, key: &Key) -> Result<Samples> {
        self.sample(&SampleRequest { trajectory: true, ..SampleRequest::new(n) }, key)
    }

    fn samples_quickly(&self) -> bool {
        true
    }

    /// The values V(x, T) = E(x), V(x, T - 1), ..., V(x, 1).
    fn levels(&self) -> Vec<(Box<dyn Energy + '_>, f64)> {
        let at = |t| (Box::new(ValueAt { of: self, t }) as Box<dyn Energy + '_>, self.temperature());
        (1..=self.steps()).rev().map(at).collect()
    }
}

/// V(x, t) with averaged parameters, x in the data's units.
struct ValueAt<'a> {
    of: &'a GeneralizedCd,
    t: usize,
}

impl Energy for ValueAt<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let GeneralizedCd { value, units, .. } = self.of;
        self.of.with_average_values(|| value.value(&units.inwards(x), Times::All(self.t)))
    }
}
