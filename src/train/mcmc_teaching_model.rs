//! Variational MCMC teaching as a model: refined draws of the decoder, reconstruction, known parts.

use super::latents::Posterior;
use super::mcmc_teaching::{McmcTeaching, Teaching};
use super::{Known, Latents, Model, SampleRequest, Samples};
use crate::energy::{Energy, ScaledInputs};
use crate::error::{Error, Result};
use crate::sample::Langevin;
use crate::tensor::{Key, Tensor, no_grad};

/// Parts that the refinement is shown in.
const STAGES: usize = 4;

impl Model for McmcTeaching {
    fn sample_shape(&self) -> &[usize] {
        &self.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        let energy = self.learner.ema(&self.energy);
        Ok(if self.images() { Box::new(ScaledInputs::to_box(energy, &[[0.0, 1.0]])) } else { Box::new(energy) })
    }

    fn temperature(&self) -> f64 {
        self.langevin.temperature
    }

    /// Decoder draws, refined; around known parts as section 7 says.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        SampleRequest { known: None, ..request.clone() }.check_plain(self.sample_shape())?;
        let x_0 = match &request.known {
            Some(known) => self.filled_in(request.n, known, &key.named("start"))?,
            None => self.proposal.draw(request.n, &key.named("start")),
        };
        let steps = request.steps.unwrap_or(self.langevin.steps);
        let x = self.unscaled(&self.run(steps, &x_0, &key.named("langevin")));
        Ok(match &request.known {
            Some(known) => known.mask.where_(&known.values, &x).into(),
            None => x.into(),
        })
    }

    /// The draws, then their states after each quarter of the Langevin steps.
    fn stages(&self, n: usize, key: &Key) -> Result<Vec<(String, Tensor)>> {
        let mut x = self.proposal.draw(n, &key.named("start"));
        let first = if self.vae.is_some() { "decoder" } else { "noise" };
        let (mut stages, mut done) = (vec![(first.to_string(), self.unscaled(&x))], 0);
        for end in (1..=STAGES).map(|i| i * self.langevin.steps / STAGES).filter(|&end| end > 0) {
            x = self.run(end - done, &x, &key.named("langevin").index(end as u64));
            stages.push((format!("{end}_steps"), self.unscaled(&x)));
            done = end;
        }
        Ok(stages)
    }

    fn latents(&self) -> Option<&dyn Latents> {
        let infers = matches!(self.config.teaching, Teaching::Vae | Teaching::Data);
        infers.then_some(self as &dyn Latents)
    }

    fn supports_inpainting(&self) -> bool {
        self.latents().is_some()
    }
}

impl Latents for McmcTeaching {
    fn dims(&self) -> usize {
        self.config.vae.latent
    }

    fn decode(&self, z: &Tensor) -> Tensor {
        self.unscaled(&self.vae().decode(z))
    }

    fn encode(&self, x: &Tensor, key: &Key) -> Tensor {
        self.vae().encode(&self.scaled(x), key)
    }

    fn refine(&self, x: &Tensor, key: &Key) -> Tensor {
        self.unscaled(&self.run(self.langevin.steps, &self.scaled(x), key))
    }
}

impl McmcTeaching {
    /// Chains on the energy with averaged parameters, in the nets' units.
    fn run(&self, steps: usize, x_0: &Tensor, key: &Key) -> Tensor {
        Langevin { steps, ..self.langevin.clone() }.run(&self.learner.ema(&self.energy), x_0, key)
    }

    /// Decoder draws that fit what is known: encode the masked samples, move the latent vectors if so set, decode.
    fn filled_in(&self, n: usize, known: &Known, key: &Key) -> Result<Tensor> {
        let Some(vae) = self.vae.as_ref().filter(|_| self.supports_inpainting()) else {
            return Err(Error::setting("known parts need an encoder: algorithm.teaching = \"vae\""));
        };
        known.check(n, self.sample_shape())?;
        let x = known.mask.clone() * self.scaled(&known.values); // 0 where nothing is known
        let z = vae.encode(&x, &key.named("encoder"));
        let latent = &self.config.vae.inpainting;
        let posterior = Posterior { vae, x: &x, mask: &known.mask };
        let z = match latent.steps {
            0 => z,
            steps => Langevin { steps, step_size: latent.step_size, ..Langevin::default() }.run(&posterior, &z, key),
        };
        Ok(vae.decode(&z))
    }

    fn vae(&self) -> &super::Vae {
        self.vae.as_ref().expect("latent vectors are those of a VAE")
    }

    /// From the units of the nets to those of the data set.
    fn unscaled(&self, x: &Tensor) -> Tensor {
        no_grad(|| if self.images() { x.affine(0.5, 0.5).clamp(0.0, 1.0) } else { x.clone() })
    }
}
