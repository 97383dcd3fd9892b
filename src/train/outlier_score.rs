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
    /// `-log sum_c exp(-E(x; c) / s_1^2)` over the classes.
    Classes,
}

impl FromStr for OutlierScore {
    type Err = Error;

    fn from_str(text: &str) -> Result<OutlierScore> {
        let level = || text.strip_prefix("level-")?.parse().ok().map(OutlierScore::Level);
        match text {
            "energy" => Ok(OutlierScore::Energy),
            "gradient" => Ok(OutlierScore::Gradient),
            "levels" => Ok(OutlierScore::Levels),
            "classes" => Ok(OutlierScore::Classes),
            _ => level().ok_or_else(|| {
                Error::setting(format!("score {text}: use energy, gradient, levels, level-1, level-2, ... or classes"))
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
        let noised = |levels: Vec<usize>| Ok(Box::new(Noised { model, levels, key: key.clone() }) as Box<dyn Energy>);
        match self {
            OutlierScore::Levels => noised((1..=all).collect()),
            OutlierScore::Level(t) if (1..=all).contains(&t) => noised(vec![t]),
            OutlierScore::Level(_) => Err(Error::setting(format!("score {self}: this model has levels 1 to {all}"))),
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
        let slope = self.0.gradient(x);
        slope.square().reshape([x.dim(0), x.numel() / x.dim(0)]).sum_axes(&[1]).sqrt()
    }
}

/// See [`OutlierScore::Levels`]. All batches of one size meet the same noise.
struct Noised<'a> {
    model: &'a RecoveryLikelihood,
    levels: Vec<usize>,
    key: Key,
}

/// Draws of the noise.
const DRAWS: u64 = 8;

impl Energy for Noised<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let RecoveryLikelihood { schedule, table, units, .. } = self.model;
        let x = units.inwards(x);
        let term = |t: usize, draw: u64| {
            let (net, step) = (self.model.marginal(t, 0), table.step(t));
            let eps = Tensor::normal(x.device(), x.shape(), &self.key.index(draw).index(t as u64));
            let signal = schedule.alpha_bar(t - 1).sqrt();
            let noised = x.mul_scalar(signal) + eps.mul_scalar(schedule.sigma(t - 1));
            net.of_net_units(&noised).mul_scalar(1.0 / (step.s.powi(2) * DRAWS as f64))
        };
        let terms = self.levels.iter().flat_map(|&t| (0..DRAWS).map(move |draw| (t, draw)));
        let sum = terms.map(|(t, draw)| term(t, draw)).reduce(|a, b| a + b);
        sum.unwrap_or_else(|| unreachable!("there is a level"))
    }
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
