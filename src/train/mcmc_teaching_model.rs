//! Variational MCMC teaching as a model: refined draws of the decoder, reconstruction, known parts.

use super::latents::Posterior;
use super::mcmc_teaching::{McmcTeaching, Teaching};
use super::{Condition, Known, Latents, Learner, Model, SampleRequest, Samples};
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

    /// With classes that of the even mixture, `-T log sum_y exp(-E(x, y) / T)`; of pairs there is none of y alone.
    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        if self.config.condition.is_some() {
            return Err(Error::setting("the energy of a model of pairs is one of both halves, E(y, x)"));
        }
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

    /// Decoder draws, refined; around known parts as section 7 says. Where no class is asked for, each sample has one in turn. Of pairs
    /// y is drawn for the given x.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        let SampleRequest { n, known, given, .. } = request;
        let own = SampleRequest {
            known: None,
            given: given.clone().filter(|_| self.config.condition.is_none()),
            ..request.clone()
        };
        let labels = own.check_labelled(self.sample_shape(), self.classes)?;
        let given = self.given(*n, given.as_ref())?;
        let told = given.as_ref().map(|x| self.scaled(x)).or_else(|| self.one_hot(*n, labels));
        let x_0 = match known {
            Some(known) => self.filled_in(*n, known, &key.named("start"))?,
            None => self.keep(&self.proposal_of(told.as_ref()).draw(*n, &key.named("start")), told.as_ref()),
        };
        let steps = request.steps.unwrap_or(self.langevin.steps);
        let y = self.unscaled(&self.run(steps, told.as_ref(), &x_0, &key.named("langevin")));
        Ok(match (known, self.config.condition.zip(given)) {
            (Some(known), _) => known.mask.where_(&known.values, &y).into(),
            (None, Some((condition, x))) => condition.keep(&y, &x).into(),
            (None, None) => y.into(),
        })
    }

    /// Of pairs the first training images, each after what is made of it: x, the decoder's draw, refined.
    fn preview(&self, n: usize, key: &Key) -> Result<Samples> {
        let Some(condition) = self.config.condition else { return self.sample(&SampleRequest::new(n), key) };
        let rows = self.data().rows(&(0..n.min(self.data().len())).collect::<Vec<_>>());
        let n = rows.len() / self.data().sample_len();
        let y = Tensor::new(self.learner.params.device(), [&[n], self.sample_shape()].concat(), &rows);
        let request = SampleRequest { given: Some(y.clone()), ..SampleRequest::new(n) };
        let decoded = self.sample(&SampleRequest { steps: Some(0), ..request.clone() }, key)?.x;
        let refined = self.sample(&request, key)?.x;
        Ok(Samples { x: refined.clone(), trajectory: vec![condition.of(&y), decoded, refined, y] })
    }

    fn condition(&self) -> Option<Condition> {
        self.config.condition
    }

    /// The draws, then their states after each quarter of the Langevin steps; none of pairs.
    fn stages(&self, n: usize, key: &Key) -> Result<Vec<(String, Tensor)>> {
        if self.config.condition.is_some() {
            return Ok(Vec::new());
        }
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
        let told = self.classes > 0 || self.config.condition.is_some();
        let infers = !told && matches!(self.config.teaching, Teaching::Vae | Teaching::Data);
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
    fn run(&self, steps: usize, told: Option<&Tensor>, x_0: &Tensor, key: &Key) -> Tensor {
        Langevin { steps, ..self.langevin.clone() }.run(&self.learner.ema(&self.energy_of(told)), x_0, key)
    }

    /// x of `n` pairs in the units of the data set, made of these images, if the model is one of pairs.
    fn given(&self, n: usize, images: Option<&Tensor>) -> Result<Option<Tensor>> {
        let Some(condition) = self.config.condition else { return Ok(None) };
        let shape = [&[n], self.sample_shape()].concat();
        match images {
            Some(y) if y.shape().0 == shape => Ok(Some(condition.of(y))),
            Some(y) => Err(Error::setting(format!("given images have the shape {}; give {shape:?}", y.shape()))),
            None => Err(Error::setting("this is a model of pairs, p(y | x): give it images, `ebm sample --given F`")),
        }
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
                "known parts need an encoder that is told nothing else: algorithm.teaching = \"vae\", conditional = false, no condition",
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
