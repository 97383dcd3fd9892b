//! A model apart from its training: what sampling, scoring and drawing need.

use super::{Condition, Latents, OutlierScore, Units};
use crate::check;
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::tensor::{Key, Tensor};
use std::rc::Rc;

/// A trained model with averaged (EMA) weights. Every algorithm is one.
pub trait Model {
    /// The shape of one sample: `[D]` or `[H, W, C]`.
    fn sample_shape(&self) -> &[usize];

    /// E(x), x in the units of the data set.
    ///
    /// # Errors
    /// [`Error::Setting`] for a model that has none, such as a diffusion sampler on its own.
    fn energy(&self) -> Result<Box<dyn Energy + '_>>;

    /// What is higher for outliers, as wished; `key` draws the noise of scores that have some.
    ///
    /// # Errors
    /// [`Error::Setting`] where the model does not have this score.
    fn outlier_score(&self, by: OutlierScore, _key: &Key) -> Result<Box<dyn Energy + '_>> {
        by.plain(self)
    }

    /// The score that tells outliers, if no other is wished.
    fn best_outlier_score(&self) -> OutlierScore {
        OutlierScore::Energy
    }

    /// T: the density is exp(-E / T).
    fn temperature(&self) -> f64 {
        1.0
    }

    /// Samples as wished, or why it cannot give such.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples>;

    /// `n` samples of `energy`, put together from those of `terms` models like this one and at temperature 1, the way this model
    /// samples its own, with steps 1 / terms as large (Du et al. 2021, section 5).
    ///
    /// # Errors
    /// [`Error::Setting`] where a model has no way of its own that suits any energy.
    fn sample_composed(&self, _energy: &dyn Energy, _terms: usize, _n: usize, _key: &Key) -> Result<Samples> {
        Err(Error::setting("this model has no rounds to sample a composition with; use langevin, mala or hmc"))
    }

    /// A few samples for the pictures during training: what is at hand, or what is quick to make.
    fn preview(&self, n: usize, key: &Key) -> Result<Samples> {
        self.sample(&SampleRequest::new(n), key)
    }

    /// How `n` samples arise, from the first guess to the end: states `[n, sample...]` in the units of the data set, each with a
    /// name. Empty where samples have no first guess.
    fn stages(&self, _n: usize, _key: &Key) -> Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }

    /// What is [given](SampleRequest::given) to it of images, if it is a model p(y | x) of pairs that are made of images y.
    fn condition(&self) -> Option<Condition> {
        None
    }

    /// Its latent vectors, if it has some and can infer them.
    fn latents(&self) -> Option<&dyn Latents> {
        None
    }

    /// How many classes it can be asked for; 0 where it is not told classes.
    fn classes(&self) -> usize {
        0
    }

    /// E(x | class), x in the units of the data set.
    ///
    /// # Errors
    /// [`Error::Setting`] for a class that it does not have.
    fn class_energy(&self, class: usize) -> Result<Box<dyn Energy + '_>> {
        Err(Error::setting(format!("class {class} of a model that was not told classes")))
    }

    /// Whether samples take few net evaluations, so that thousands of images can be drawn for a score.
    fn samples_quickly(&self) -> bool {
        false
    }

    /// Whether samples have a first guess of their own that Langevin steps refine: without steps it shows what they add.
    fn refines_first_guess(&self) -> bool {
        false
    }

    /// Whether samples can be guided towards classes.
    fn supports_guidance(&self) -> bool {
        false
    }

    /// Whether it can fill in samples of which parts are known.
    fn supports_inpainting(&self) -> bool {
        false
    }

    /// The energies of its noise levels, the cleanest first, each with its temperature; without levels there is one.
    ///
    /// Where there are several, a [trajectory](Samples::trajectory) has one more state than levels.
    fn levels(&self) -> Vec<(Box<dyn Energy + '_>, f64)> {
        self.energy().into_iter().map(|energy| (energy, self.temperature())).collect()
    }
}

/// A wish for samples. Models refuse what they cannot do with an error.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// How many.
    pub n: usize,
    /// Langevin steps (per noise level, where there are levels); the model's own number if not set.
    pub steps: Option<usize>,
    /// m: the Langevin noise is multiplied by m, the drift by m^2.
    pub step_scale: f64,
    /// Conditions that all must hold, each a list of classes: one for all samples, or one per sample.
    pub conditions: Vec<Vec<u32>>,
    /// w, the weight of classifier-free guidance.
    pub guidance: f64,
    /// Parts of the samples that are known.
    pub known: Option<Known>,
    /// How often each noise level is visited where parts are known: going back up lets the rest fit them.
    pub rounds: usize,
    /// Images `[n, H, W, C]`, of which a model of pairs is given the part or version that [`Model::condition`] says.
    pub given: Option<Tensor>,
    /// Whether the states between the levels are wanted.
    pub trajectory: bool,
    /// Who is told how far it is.
    pub watch: Watch,
}

/// Somebody who is told how far something long is, in words or by what was found so far, or nobody.
pub struct Watch<T: ?Sized = str>(Option<Rc<dyn Fn(&T)>>);

impl<T: ?Sized> Watch<T> {
    /// Calls `tell` at every stage.
    pub fn new(tell: impl Fn(&T) + 'static) -> Watch<T> {
        Watch(Some(Rc::new(tell)))
    }

    /// Tells the stage that begins, or what was found.
    pub fn say(&self, what: &T) {
        if let Some(tell) = &self.0 {
            tell(what);
        }
    }
}

impl<T: ?Sized> Clone for Watch<T> {
    fn clone(&self) -> Watch<T> {
        Watch(self.0.clone())
    }
}

impl<T: ?Sized> Default for Watch<T> {
    fn default() -> Watch<T> {
        Watch(None)
    }
}

impl<T: ?Sized> std::fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(somebody)" } else { "Watch(nobody)" })
    }
}

/// Values to keep, in the units of the data set, `[n, sample...]`, and where: 1 for known, 0 for free, the same shape.
#[derive(Clone, Debug)]
pub struct Known {
    /// The values; only those that are known matter.
    pub values: Tensor,
    /// Where they are known.
    pub mask: Tensor,
}

impl Known {
    /// Whether values and mask have the shape `[n, sample...]`.
    pub fn check(&self, n: usize, sample_shape: &[usize]) -> Result<()> {
        let shape = [&[n], sample_shape].concat();
        match self.values.shape().0 == shape && self.mask.shape().0 == shape {
            true => Ok(()),
            false => Err(Error::setting(format!("known values and their mask must have the samples' shape {shape:?}"))),
        }
    }
}

impl SampleRequest {
    /// `n` samples without further wishes.
    pub fn new(n: usize) -> SampleRequest {
        SampleRequest {
            n,
            steps: None,
            step_scale: 1.0,
            conditions: Vec::new(),
            guidance: 0.0,
            known: None,
            rounds: 1,
            given: None,
            trajectory: false,
            watch: Watch::default(),
        }
    }

    /// Whether its numbers make sense, for samples of this shape.
    pub fn check(&self, sample_shape: &[usize]) -> Result<()> {
        check::ensure(self.n > 0, "n", self.n, "ask for one or more samples")?;
        check::memory("n", self.n, sample_shape)?;
        check::within("steps", self.steps.unwrap_or(0), 0..=check::MOST_STEPS)?;
        check::positive("step_scale", self.step_scale)?;
        check::within("rounds", self.rounds, 1..=check::MOST_STEPS)?;
        check::ensure(self.guidance.is_finite(), "guidance", self.guidance, "use a finite number")
    }

    /// [`SampleRequest::check_plain`] for a model that is told one of `classes` classes (0 for none): the class of each sample,
    /// where there are any.
    pub fn check_labelled(&self, sample_shape: &[usize], classes: usize) -> Result<Option<Vec<f32>>> {
        SampleRequest { conditions: Vec::new(), ..self.clone() }.check_plain(sample_shape)?;
        let wrong = |why: String| Err(Error::setting(why));
        match &self.conditions[..] {
            [] => Ok(None),
            _ if classes == 0 => wrong("a class was asked for, but this energy is told none".into()),
            [of] if of.len() == 1 || of.len() == self.n => match of.iter().find(|&&c| c as usize >= classes) {
                Some(class) => wrong(format!("class {class} of a model with classes 0 to {}", classes - 1)),
                None => Ok(Some((0..self.n).map(|i| of[i % of.len()] as f32).collect())),
            },
            [_] => wrong(format!("{} samples have one class, or {0}", self.n)),
            _ => wrong("this energy is told one class at a time; `ebm compose` combines several".into()),
        }
    }

    /// [`SampleRequest::check`] for a denoising chain: it can tell its states, and no more.
    pub fn check_chain(&self, sample_shape: &[usize]) -> Result<()> {
        SampleRequest { trajectory: false, ..self.clone() }.check_plain(sample_shape)
    }

    /// [`SampleRequest::check`], and that nothing but a number of samples and of steps is wished: for models that can do no
    /// more.
    pub fn check_plain(&self, sample_shape: &[usize]) -> Result<()> {
        self.check(sample_shape)?;
        let SampleRequest {
            step_scale,
            conditions,
            guidance,
            known,
            given,
            trajectory,
            n: _,
            steps: _,
            rounds: _,
            watch: _,
        } = self;
        if given.is_some() {
            return Err(Error::setting(
                "images were given, but this model is none of pairs, with an algorithm.condition",
            ));
        }
        if !conditions.is_empty() || known.is_some() || *trajectory || *step_scale != 1.0 || *guidance != 0.0 {
            return Err(Error::setting(
                "classes, guidance, known parts, trajectories and step scales need a model trained by recovery_likelihood (guidance: \
                 also generalized_cd)",
            ));
        }
        Ok(())
    }
}

/// Samples `[n, sample...]` in the units of the data set.
pub struct Samples {
    /// The samples.
    pub x: Tensor,
    /// The states at levels T, T - 1, ..., 0, if they were asked for.
    pub trajectory: Vec<Tensor>,
}

impl Samples {
    /// The states of a denoising chain in the nets' units, the samples last; the others are kept if they are `wanted`.
    pub(super) fn of_states(states: Vec<Tensor>, units: Units, wanted: bool) -> Samples {
        let x = units.outwards(&states[states.len() - 1]);
        let trajectory = if wanted { states.iter().map(|x| units.outwards(x)).collect() } else { Vec::new() };
        Samples { x, trajectory }
    }
}

impl From<Tensor> for Samples {
    fn from(x: Tensor) -> Samples {
        Samples { x, trajectory: Vec::new() }
    }
}
