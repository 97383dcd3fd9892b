//! Variational MCMC teaching as a model: refined draws of the decoder, reconstruction, known parts.

use super::latents::Posterior;
use super::mcmc_teaching::{McmcTeaching, Teaching};
use super::{Known, Latents, Learner, Model, SampleRequest, Samples};
use crate::energy::{AnyOf, Energy, ScaledInputs, Told, WithReference};
use crate::error::{Error, Result};
use crate::ops::langevin::LangevinStep;
use crate::sample::Langevin;
use crate::tensor::{Key, Tensor, no_grad};

/// Parts that the refinement is shown in.
const STAGES: usize = 4;

impl Model for McmcTeaching {
    fn sample_shape(&self) -> &[usize] {
        &self.data().sample_shape
    }

    /// With classes that of the even mixture, `-T log sum_y exp(-E(x, y) / T)`.
    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        if self.classes == 0 {
            return Ok(self.in_units(None));
        }
        let of = |class| (self.in_units(Some(class)), 0.0);
        let sharpness = 1.0 / self.temperature();
        Ok(Box::new(AnyOf { terms: (0..self.classes).map(of).collect(), sharpness }))
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn class_energy(&self, class: usize) -> Result<Box<dyn Energy + '_>> {
        match class < self.classes {
            true => Ok(self.in_units(Some(class))),
            false => Err(Error::setting(format!("class {class} of a model with {} classes", self.classes))),
        }
    }

    fn temperature(&self) -> f64 {
        self.langevin.temperature
    }

    /// Decoder draws, refined; around known parts as section 7 says. Where no class is asked for, each sample has one in turn.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        let SampleRequest { n, known, .. } = request;
        let labels =
            SampleRequest { known: None, ..request.clone() }.check_labelled(self.sample_shape(), self.classes)?;
        let class = self.one_hot(*n, labels);
        let x_0 = match known {
            Some(known) => self.filled_in(*n, known, &key.named("start"))?,
            None => self.proposal_of(class.as_ref()).draw(*n, &key.named("start")),
        };
        let steps = request.steps.unwrap_or(self.langevin.steps);
        let x = self.unscaled(&self.run(steps, class.as_ref(), &x_0, &key.named("langevin")));
        Ok(match known {
            Some(known) => known.mask.where_(&known.values, &x).into(),
            None => x.into(),
        })
    }

    /// The draws, then their states after each quarter of the Langevin steps.
    fn stages(&self, n: usize, key: &Key) -> Result<Vec<(String, Tensor)>> {
        let class = self.one_hot(n, None);
        let mut x = self.proposal_of(class.as_ref()).draw(n, &key.named("start"));
        let first = if self.vae.is_some() { "decoder" } else { "noise" };
        let (mut stages, mut done) = (vec![(first.to_string(), self.unscaled(&x))], 0);
        for end in (1..=STAGES).map(|i| i * self.langevin.steps / STAGES).filter(|&end| end > 0) {
            x = self.run(end - done, class.as_ref(), &x, &key.named("langevin").index(end as u64));
            stages.push((format!("{end}_steps"), self.unscaled(&x)));
            done = end;
        }
        Ok(stages)
    }

    fn latents(&self) -> Option<&dyn Latents> {
        let infers = self.classes == 0 && matches!(self.config.teaching, Teaching::Vae | Teaching::Data);
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
        self.unscaled(&self.vae().decode(z, None))
    }

    fn encode(&self, x: &Tensor, key: &Key) -> Tensor {
        self.vae().encode(&self.scaled(x), key)
    }

    fn refine(&self, x: &Tensor, key: &Key) -> Tensor {
        self.unscaled(&self.run(self.langevin.steps, None, &self.scaled(x), key))
    }
}

impl McmcTeaching {
    /// Chains on the energy with averaged parameters, in the nets' units.
    fn run(&self, steps: usize, class: Option<&Tensor>, x_0: &Tensor, key: &Key) -> Tensor {
        Langevin { steps, ..self.langevin.clone() }.run(&self.learner.ema(&self.energy_of(class)), x_0, key)
    }

    /// The energy with averaged parameters, in the units of the data set.
    fn in_units(&self, class: Option<usize>) -> Box<dyn Energy + '_> {
        let device = self.learner.params.device();
        let one = |class: usize| Tensor::full(device, [1], class as f64).one_hot(self.classes);
        let energy = Averaged { learner: &self.learner, energy: self.energy_of(class.map(one).as_ref()) };
        if self.images() { Box::new(ScaledInputs::to_box(energy, &[[0.0, 1.0]])) } else { Box::new(energy) }
    }

    /// The classes of `n` samples as rows, if the nets are told any: these, or one after the other.
    fn one_hot(&self, n: usize, labels: Option<Vec<f32>>) -> Option<Tensor> {
        let labels = labels.unwrap_or_else(|| (0..n).map(|i| (i % self.classes.max(1)) as f32).collect());
        let device = self.learner.params.device();
        (self.classes > 0).then(|| Tensor::new(device, [n], &labels).one_hot(self.classes))
    }

    /// Decoder draws that fit what is known: encode the masked samples, move the latent vectors if so set, decode.
    fn filled_in(&self, n: usize, known: &Known, key: &Key) -> Result<Tensor> {
        let Some(vae) = self.vae.as_ref().filter(|_| self.supports_inpainting()) else {
            return Err(Error::setting(
                "known parts need an encoder that is told no classes: algorithm.teaching = \"vae\", conditional = false",
            ));
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
        Ok(vae.decode(&z, None))
    }

    fn vae(&self) -> &super::Vae {
        self.vae.as_ref().expect("latent vectors are those of a VAE")
    }

    /// From the units of the nets to those of the data set.
    fn unscaled(&self, x: &Tensor) -> Tensor {
        no_grad(|| if self.images() { x.affine(0.5, 0.5).clamp(0.0, 1.0) } else { x.clone() })
    }
}

/// An energy that owns what it is told, with averaged parameters.
struct Averaged<'a> {
    learner: &'a Learner,
    energy: WithReference<Told<'a, dyn Energy>>,
}

impl Energy for Averaged<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.learner.with_ema(|| self.energy.energy(x))
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        self.learner.with_ema(|| self.energy.chain(step, steps, x_0, key))
    }
}
