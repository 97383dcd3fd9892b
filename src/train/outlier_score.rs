//! What is taken for the sign of an outlier.

use super::{Model, RecoveryLikelihood};
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::tensor::{Key, Tensor};
use std::fmt;
use std::str::FromStr;

/// A number that is higher for samples that are not like the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlierScore {
    /// E(x), that of the cleanest level where there are levels.
    Energy,
    /// |dE/dx|
    Gradient,
    /// `sum_t E(a_t x_{t-1}, lambda_{t-1}) / s_t^2` of the sample noised to each level, a mean over eight draws.
    Levels,
    /// One term of that sum, t = 1..T.
    Level(usize),
    /// `|eps_hat - eps|^2` of the sample noised to level t - 1, t = 1..T, a mean over the same draws: how much of the noise the energy's
    /// slope, as in denoising score matching, does not find.
    Denoising(usize),
    /// `(v - m)^T C^-1 (v - m)` of `v_t = log |eps_hat - eps|^2`, t = 1..T, with the mean and covariance of training samples: whether the
    /// errors of all levels are such as the data have, neither higher nor lower (Morningstar et al. 2021; Graham et al. 2023).
    Typicality,
    /// `-log sum_c exp(-E(x; c) / s_1^2)` over the classes.
    Classes,
}

impl FromStr for OutlierScore {
    type Err = Error;

    fn from_str(text: &str) -> Result<OutlierScore> {
        let level = |kind: &str| text.strip_prefix(kind)?.parse().ok();
        let of_level = || level("level-").map(OutlierScore::Level).or(level("denoising-").map(OutlierScore::Denoising));
        match text {
            "energy" => Ok(OutlierScore::Energy),
            "gradient" => Ok(OutlierScore::Gradient),
            "levels" => Ok(OutlierScore::Levels),
            "typicality" => Ok(OutlierScore::Typicality),
            "classes" => Ok(OutlierScore::Classes),
            _ => of_level().ok_or_else(|| {
                let all = "energy, gradient, levels, level-1, level-2, ..., denoising-1, denoising-2, ..., typicality or classes";
                Error::setting(format!("score {text}: use {all}"))
            }),
        }
    }
}

impl fmt::Display for OutlierScore {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            OutlierScore::Energy => f.write_str("energy"),
            OutlierScore::Gradient => f.write_str("gradient"),
            OutlierScore::Levels => f.write_str("levels"),
            OutlierScore::Level(t) => write!(f, "level-{t}"),
            OutlierScore::Denoising(t) => write!(f, "denoising-{t}"),
            OutlierScore::Typicality => f.write_str("typicality"),
            OutlierScore::Classes => f.write_str("classes"),
        }
    }
}

impl OutlierScore {
    /// The score of a model without levels and classes.
    ///
    /// # Errors
    /// [`Error::Setting`] for those that need them.
    pub(super) fn plain<M: Model + ?Sized>(self, model: &M) -> Result<Box<dyn Energy + '_>> {
        match self {
            OutlierScore::Energy => model.energy(),
            OutlierScore::Gradient => Ok(Box::new(Slope(model.energy()?))),
            _ => Err(Error::setting(format!("score {self}: this model has no levels; use energy or gradient"))),
        }
    }

    /// The score of a model with levels.
    pub(super) fn of_levels<'a>(self, model: &'a RecoveryLikelihood, key: &Key) -> Result<Box<dyn Energy + 'a>> {
        let (all, classes) = (model.config.levels, model.classes);
        let of_noised = |term: Term, levels: Vec<usize>| {
            Ok(Box::new(Noised { model, term, levels, key: key.clone() }) as Box<dyn Energy>)
        };
        match self {
            OutlierScore::Levels => of_noised(energy_at, (1..=all).collect()),
            OutlierScore::Level(t) if (1..=all).contains(&t) => of_noised(energy_at, vec![t]),
            OutlierScore::Denoising(t) if (1..=all).contains(&t) => of_noised(missed_at, vec![t]),
            OutlierScore::Level(_) | OutlierScore::Denoising(_) => {
                Err(Error::setting(format!("score {self}: this model has levels 1 to {all}")))
            }
            OutlierScore::Typicality => {
                Err(Error::setting("score typicality: it is of several energies and no energy itself"))
            }
            OutlierScore::Classes if classes > 0 => Ok(Box::new(AnyClass { model })),
            OutlierScore::Classes => Err(Error::setting("score classes: this model was not told classes; use levels")),
            _ => self.plain(model),
        }
    }
}

/// |dE/dx| as an energy.
struct Slope<'a>(Box<dyn Energy + 'a>);

impl Energy for Slope<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_of_squares(&self.0.gradient(x)).sqrt()
    }
}

/// A mean over draws of noise of the sum of a term over levels. All batches of one size meet the same noise.
struct Noised<'a> {
    model: &'a RecoveryLikelihood,
    term: Term,
    levels: Vec<usize>,
    key: Key,
}

/// What counts of level t, `[N]`, of samples and noise in the net's units.
type Term = fn(&RecoveryLikelihood, t: usize, x: &Tensor, eps: &Tensor) -> Tensor;

/// Draws of the noise.
const DRAWS: u64 = 8;

/// x_{t-1}: x with noise eps.
fn noised(model: &RecoveryLikelihood, t: usize, x: &Tensor, eps: &Tensor) -> Tensor {
    x.mul_scalar(model.schedule.alpha_bar(t - 1).sqrt()) + eps.mul_scalar(model.schedule.sigma(t - 1))
}

/// `E / s_t^2 - |eps|^2 / 2`: the noise's own part of -log p is left out, for it says nothing of x.
fn energy_at(model: &RecoveryLikelihood, t: usize, x: &Tensor, eps: &Tensor) -> Tensor {
    let energy = model.marginal(t, 0).of_net_units(&noised(model, t, x, eps));
    energy.mul_scalar(model.table.step(t).s.powi(-2)) - sum_of_squares(eps).mul_scalar(0.5)
}

/// `|eps_hat - eps|^2`, `eps_hat = a_t sqrt(1 - abar_{t-1}) / s_t^2 dE/dy`.
fn missed_at(model: &RecoveryLikelihood, t: usize, x: &Tensor, eps: &Tensor) -> Tensor {
    let step = model.table.step(t);
    let slope = model.marginal(t, 0).slope_of_net_units(&noised(model, t, x, eps));
    sum_of_squares(&(slope.mul_scalar(step.a * model.schedule.sigma(t - 1) / step.s.powi(2)) - eps))
}

impl Energy for Noised<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let x = self.model.units.inwards(x);
        let term = |t: usize, draw: u64| {
            let eps = Tensor::normal(x.device(), x.shape(), &self.key.index(draw).index(t as u64));
            (self.term)(self.model, t, &x, &eps).mul_scalar(1.0 / DRAWS as f64)
        };
        let terms = self.levels.iter().flat_map(|&t| (0..DRAWS).map(move |draw| (t, draw)));
        let sum = terms.map(|(t, draw)| term(t, draw)).reduce(|a, b| a + b);
        sum.unwrap_or_else(|| unreachable!("there is a level"))
    }
}

/// `|x|^2` of each sample, `[N]`.
fn sum_of_squares(x: &Tensor) -> Tensor {
    x.square().reshape([x.dim(0), x.numel() / x.dim(0)]).sum_axes(&[1])
}

/// See [`OutlierScore::Classes`].
struct AnyClass<'a> {
    model: &'a RecoveryLikelihood,
}

impl Energy for AnyClass<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let likely = |class| self.model.marginal(1, class).energy(x).mul_scalar(-1.0 / self.model.temperature());
        let all: Vec<Tensor> = (1..=self.model.classes).map(|class| likely(class).unsqueeze(1)).collect();
        -Tensor::concat(&all.iter().collect::<Vec<_>>(), 1).logsumexp(&[1])
    }
}
