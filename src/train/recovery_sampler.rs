//! Samples of recovery likelihood: from noise to data, level by level, with guidance, composition and known parts.
//!
//! ```text
//! x_T ~ N(0, I)
//! for t = T..1:   y <- g(x_t, lambda_t) + sqrt(v_t) n;   K Langevin steps on p(y | x_t);   x_{t-1} = y / a_t
//!                 (known parts: back to x_t with fresh noise, and again, so that the rest can fit them: Lugmayr et al. 2022)
//! x <- (x_0 - (1 - abar_0) dE_0/dx / s_1^2) / sqrt(abar_0)
//! ```
//!
//! The last line, Tweedie's formula, is the mean of the clean data given x_0 under the model.

use super::{Known, RecoveryLikelihood, SampleRequest, Samples};
use crate::energy::{ConditionedEnergy, Energy};
use crate::error::{Error, Result};
use crate::nn::condition_index;
use crate::ops::langevin::LangevinStep;
use crate::sample::Chain;
use crate::tensor::{Key, Tensor, no_grad};

/// Images that move at once.
const IMAGES_AT_ONCE: usize = 100;
/// Points that move at once.
const POINTS_AT_ONCE: usize = 10_000;

/// Draws from the averaged nets.
pub(super) struct Sampler<'a> {
    of: &'a RecoveryLikelihood,
    /// Weights and classes (one for all samples, or one each; 0 for none) whose energies and proposals are added up.
    terms: Vec<(f64, Vec<u32>)>,
}

/// E = sum_i weight_i E(y; condition_i)
struct Mixture(Vec<(f64, ConditionedEnergy)>);

impl Energy for Mixture {
    fn energy(&self, y: &Tensor) -> Tensor {
        sum(self.0.iter().map(|(weight, energy)| (*weight, energy.energy(y))))
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        match &self.0[..] {
            [(1.0, energy)] => energy.chain(step, steps, x_0, key),
            _ => None,
        }
    }
}

/// A weighted sum of tensors of one shape.
fn sum(terms: impl Iterator<Item = (f64, Tensor)>) -> Tensor {
    let scaled = terms.map(|(weight, x)| if weight == 1.0 { x } else { x.mul_scalar(weight) });
    scaled.reduce(|a, b| a + b).expect("at least one term")
}

/// Guidance of weight w towards conditions c_1..c_n, as weights of the conditions:
///
/// `f = f(none) + sum_i (1 + w) (f(c_i) - f(none))`; for one concept `(1 + w) f(c) - w f(none)`, as in the CDRL code.
/// For several it is the product of experts `p(y) prod p(y | c_i) / p(y)` with guidance; the paper's own form was not at hand.
fn guidance(conditions: &[Vec<u32>], w: f64) -> Vec<(f64, Vec<u32>)> {
    let none = 1.0 - conditions.len() as f64 * (1.0 + w);
    let each = conditions.iter().map(|classes| (1.0 + w, classes.iter().map(|c| c + 1).collect()));
    [(none, vec![0])].into_iter().chain(each).filter(|(weight, _)| *weight != 0.0).collect()
}

impl<'a> Sampler<'a> {
    /// Fails when the request does not fit the model.
    pub fn new(of: &'a RecoveryLikelihood, request: &SampleRequest) -> Result<Sampler<'a>> {
        request.check(&of.data().sample_shape)?;
        if of.classes == 0 && !request.conditions.is_empty() {
            return Err(Error::setting("this model was not told classes; train with algorithm.conditional = true"));
        }
        if let Some(class) = request.conditions.iter().flatten().find(|&&c| c as usize >= of.classes) {
            return Err(Error::setting(format!("class {class} of a model with classes 0 to {}", of.classes - 1)));
        }
        if request.guidance != 0.0 && request.conditions.is_empty() {
            return Err(Error::setting("guidance needs a class to be guided to"));
        }
        let n = request.n;
        if request.conditions.iter().any(|classes| classes.len() != 1 && classes.len() != n) {
            return Err(Error::setting(format!("{n} samples have one class per concept, or {n}")));
        }
        request.known.iter().try_for_each(|known| known.check(n, &of.data().sample_shape))?;
        Ok(Sampler { of, terms: guidance(&request.conditions, request.guidance) })
    }

    /// `request.n` samples, in parts that fit the device.
    pub fn run(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        let at_once = if self.of.images() { IMAGES_AT_ONCE } else { POINTS_AT_ONCE };
        let mut parts: Vec<Vec<Tensor>> = Vec::new();
        for start in (0..request.n).step_by(at_once) {
            let range = [start, at_once.min(request.n - start)];
            parts.push(self.part(range, request, &key.index(start as u64)));
        }
        // Transposed: one tensor for each level, of all parts.
        let levels = parts[0].len();
        let join = |i: usize| Tensor::concat(&parts.iter().map(|p| &p[i]).collect::<Vec<_>>(), 0);
        let mut trajectory: Vec<Tensor> = (0..levels).map(join).collect();
        let x = trajectory.pop().expect("the samples themselves");
        Ok(Samples { x, trajectory })
    }

    /// Samples `start..start + n`: the states at levels T..0 if wanted, then the result, all in the data's units.
    fn part(&self, [start, n]: [usize; 2], request: &SampleRequest, key: &Key) -> Vec<Tensor> {
        let of = self.of;
        let shape: Vec<usize> = [n].into_iter().chain(of.units.sample(&of.data().sample_shape)).collect();
        let known = request.known.as_ref().map(|k| Known {
            values: of.units.inwards(&k.values.narrow(0, start, n)),
            mask: of.units.rearranged(&k.mask.narrow(0, start, n)),
        });
        let terms: Vec<(f64, Vec<u32>)> = self.terms.iter().map(|(w, classes)| (*w, part(classes, start, n))).collect();
        // The known part at level t: x* with as much noise.
        let noised = |t: usize, values: &Tensor| {
            let noise = Tensor::normal(&of.device, values.shape(), &key.named("known").index(t as u64));
            values.mul_scalar(of.schedule.alpha_bar(t).sqrt()) + noise.mul_scalar(of.schedule.sigma(t))
        };
        let keep = |x: Tensor, scale: f64, at: &Option<Tensor>| match (&known, at) {
            (Some(known), Some(at)) => known.mask.where_(&at.mul_scalar(scale), &x),
            _ => x,
        };
        let at_level = |t: usize| known.as_ref().map(|k| noised(t, &k.values));

        let top = of.config.levels;
        let mut x = Tensor::normal(&of.device, shape, &key.named("start"));
        x = keep(x, 1.0, &at_level(top));
        let mut states = vec![x.clone()];
        for t in (1..=top).rev() {
            let (from, of_all) = (start + 1, request.n);
            request.watch.say(&format!("{from} to {} of {of_all}, level {t} of {top},", start + n));
            let step = of.table.step(t);
            let key = key.named("level").index(t as u64);
            let below = at_level(t - 1);
            let m = request.step_scale;
            let steps = request.steps.unwrap_or(of.langevin_steps());
            let visit = |x: &Tensor, key: &Key| {
                let y_0 = keep(self.propose(x, t, &terms, &key.named("proposal")), step.a, &below);
                let langevin = LangevinStep::new(0.5 * m * m, m * step.s).coupling(m * m * step.coupling, x);
                let chain = Chain::new(steps, langevin).fused(of.config.fused);
                let chain = match &known {
                    Some(_) => chain.after_each(|y| keep(y, step.a, &below)),
                    None => chain,
                };
                chain.run(&self.energy(t, &terms), &y_0, &key.named("langevin")).mul_scalar(1.0 / step.a)
            };
            let mut next = visit(&x, &key);
            for round in 1..known.as_ref().map_or(1, |_| request.rounds) as u64 {
                let key = key.named("round").index(round);
                let eps = Tensor::normal(&of.device, x.shape(), &key.named("up"));
                x = next.mul_scalar(of.schedule.step_alpha(t)) + eps.mul_scalar(step.sigma);
                next = visit(&x, &key);
            }
            x = next;
            states.push(x.clone());
        }
        let end = if of.denoises() { self.denoise(&x, &terms) } else { x };
        let clean = known.as_ref().map(|k| k.values.clone());
        let wanted = if request.trajectory { states } else { Vec::new() };
        wanted.iter().chain([&keep(end, 1.0, &clean)]).map(|x| of.units.outwards(x)).collect()
    }

    /// y_0 = g(x_t, lambda_t) + sqrt(v_t) n (n = 0 at t = 1 if so set), or x_t where there is no initializer.
    fn propose(&self, x: &Tensor, t: usize, terms: &[(f64, Vec<u32>)], key: &Key) -> Tensor {
        let Some(initializer) = &self.of.initializer else { return x.clone() };
        let mean = |(weight, classes): &(f64, Vec<u32>)| (*weight, initializer.mean(x, &self.condition(t, classes)));
        let mean = sum(terms.iter().map(mean));
        if t == 1 && !self.of.config.last_noise {
            return mean;
        }
        let level = Tensor::full(&self.of.device, [1], t as f64);
        let noise = Tensor::normal(&self.of.device, x.shape(), key) * initializer.deviation(&level).per_sample(x);
        mean + noise
    }

    fn energy(&self, t: usize, terms: &[(f64, Vec<u32>)]) -> Mixture {
        let at = |(weight, classes): &(f64, Vec<u32>)| (*weight, self.of.energy.at(&self.condition(t, classes)));
        no_grad(|| self.of.learner.with_ema(|| Mixture(terms.iter().map(at).collect())))
    }

    /// The condition indices of transition t.
    fn condition(&self, t: usize, classes: &[u32]) -> Tensor {
        let index = |&c: &u32| condition_index(t - 1, c as usize, self.of.classes) as f32;
        Tensor::new(&self.of.device, [classes.len()], &classes.iter().map(index).collect::<Vec<_>>())
    }

    /// E[x | x_0] = (x_0 + f (1 - abar_0) grad log p_0(x_0)) / sqrt(abar_0), f = 1.
    fn denoise(&self, x: &Tensor, terms: &[(f64, Vec<u32>)]) -> Tensor {
        let abar = self.of.schedule.alpha_bar(0);
        let factor = self.of.config.denoise_factor * (1.0 - abar);
        (x + &self.score_of(x, terms).mul_scalar(factor)).mul_scalar(1.0 / abar.sqrt())
    }

    /// grad log p_0(x_0), log p_0(x_0) = -E(a_1 x_0) / s_1^2 + const.
    fn score_of(&self, x: &Tensor, terms: &[(f64, Vec<u32>)]) -> Tensor {
        let step = self.of.table.step(1);
        self.energy(1, terms).gradient(&x.mul_scalar(step.a)).mul_scalar(-step.a / step.s.powi(2))
    }

    /// The score of x_0 under what was asked for.
    #[cfg(test)]
    pub fn score(&self, x: &Tensor) -> Tensor {
        self.score_of(x, &self.terms)
    }
}

/// The classes of samples `start..start + n`; one class stays one.
fn part(classes: &[u32], start: usize, n: usize) -> Vec<u32> {
    if classes.len() == 1 { classes.to_vec() } else { classes[start..start + n].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guidance_weights_sum_to_one_and_follow_the_formula() {
        assert_eq!(guidance(&[], 2.0), [(1.0, vec![0])]);
        assert_eq!(guidance(&[vec![3]], 0.0), [(1.0, vec![4])]);
        assert_eq!(guidance(&[vec![3, 1]], 0.5), [(-0.5, vec![0]), (1.5, vec![4, 2])]);
        assert_eq!(guidance(&[vec![0], vec![2]], 1.0), [(-3.0, vec![0]), (2.0, vec![1]), (2.0, vec![3])]);
    }
}
