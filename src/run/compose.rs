//! Energies of several runs as one: what all of them find likely, what any does, what one does and the other does not.

use super::ais::{Ais, Base, Bridge, Place, grid_log_z, on_grid};
use super::{Registry, Score, Session};
use crate::check;
use crate::energy::{AnyOf, Energy, Scaled, Sum, Without};
use crate::error::{Error, Result};
use crate::sample::{Sampler, SamplerConfig};
use crate::tensor::{Device, Key, Tensor};
use std::path::Path;

/// How densities are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    /// The product: [`Sum`] of the energies.
    And,
    /// The even mixture for b = 1, see [`AnyOf`].
    Or {
        /// b.
        sharpness: f64,
    },
    /// The first over a power of the second, see [`Without`].
    Not {
        /// a.
        strength: f64,
    },
}

/// A trained run, or one class of it.
pub struct Term {
    /// As it was named.
    pub name: String,
    /// The run.
    pub session: Session,
    /// The class, where one is meant.
    pub class: Option<usize>,
}

impl Term {
    /// The run in the folder `DIR`, or class C of it for `DIR@C`.
    pub fn open(registry: &Registry, text: &str, device: &Device) -> Result<Term> {
        let (folder, class) = match text.rsplit_once('@') {
            Some((folder, class)) if !Path::new(text).exists() => match class.parse() {
                Ok(class) => (folder, Some(class)),
                Err(_) => return Err(Error::setting(format!("{text}: write DIR or DIR@CLASS with a class index"))),
            },
            _ => (text, None),
        };
        let session = Session::open_model(registry, Path::new(folder), device)?;
        Ok(Term { name: text.into(), session, class })
    }

    /// E / T.
    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        let model = self.session.algorithm();
        let energy = match self.class {
            Some(class) => model.class_energy(class)?,
            None => model.energy()?,
        };
        Ok(Box::new(Scaled(energy, 1.0 / model.temperature())))
    }

    /// ln p of the data it learnt, where that is known.
    fn exact(&self, x: [f64; 2]) -> Option<f64> {
        self.class.is_none().then_some(())?;
        self.session.toy()?.log_density(x)
    }
}

/// Several runs as one energy, on the box that holds the data of all.
pub struct Composition<'a> {
    /// The energy, at temperature 1.
    pub energy: Box<dyn Energy + 'a>,
    /// ln Z of the terms, with names and errors, where they were needed.
    pub scores: Vec<Score>,
    /// The box.
    pub bounds: Vec<[f64; 2]>,
    operator: Operator,
    terms: &'a [Term],
}

impl<'a> Composition<'a> {
    /// Puts `terms` together. For OR the ln Z of each on the box is estimated first, as `ais` says.
    ///
    /// # Errors
    /// Too few terms, terms of different sample shapes, a class of a model that has none.
    pub fn new(terms: &'a [Term], operator: Operator, ais: &Ais, key: &Key) -> Result<Composition<'a>> {
        let fits = if matches!(operator, Operator::Not { .. }) { terms.len() == 2 } else { terms.len() >= 2 };
        check::ensure(fits, "runs to compose", terms.len(), "use two; `and` and `or` also take more")?;
        match operator {
            Operator::And => (),
            Operator::Or { sharpness } => check::positive("sharpness", sharpness)?,
            Operator::Not { strength } => check::not_negative("strength", strength)?,
        }
        let shape = |term: &Term| term.session.data.sample_shape.clone();
        if let Some(other) = terms.iter().find(|term| shape(term) != shape(&terms[0])) {
            let (a, b) = (&terms[0], other);
            return Err(Error::setting(format!(
                "{} has samples of shape {:?}, {} of {:?}: they cannot be composed",
                a.name,
                shape(a),
                b.name,
                shape(b)
            )));
        }
        let sample = shape(&terms[0]);
        let bounds = union(terms);
        let device = &terms[0].session.device;
        let mut scores = Vec::new();
        let mut energies: Vec<Box<dyn Energy + 'a>> = terms.iter().map(Term::energy).collect::<Result<_>>()?;
        let energy: Box<dyn Energy + 'a> = match operator {
            Operator::And => Box::new(Sum(energies)),
            Operator::Or { sharpness } => {
                let mut offsets = Vec::new();
                for (i, (term, energy)) in terms.iter().zip(&energies).enumerate() {
                    let ais = Ais { base: Base::Uniform, ..*ais };
                    let key = key.named("log z").index(i as u64);
                    let z = ais.log_z(&**energy, device, (&sample, &bounds), &key)?;
                    let score = Score::new(format!("log_z.{}", term.name), z.value).error(z.error);
                    let score = score.note(&format!("{:.0} effective chains", z.effective)).of(z.n);
                    scores.push(match sample.len() == 1 && sample[0] == 2 {
                        true => score.against("grid", grid_log_z(&**energy, device, &bounds)?),
                        false => score,
                    });
                    offsets.push(z.value);
                }
                Box::new(AnyOf { terms: energies.into_iter().zip(offsets).collect(), sharpness })
            }
            Operator::Not { strength } => {
                let (avoid, keep) = (energies.remove(1), energies.remove(0));
                Box::new(Without { keep, avoid, strength })
            }
        };
        Ok(Composition { energy, scores, bounds, operator, terms })
    }

    /// KL(exact || this) on 400 x 400 cells of the box, where all terms are densities of the plane that are known.
    pub fn kl(&self) -> Result<Option<f64>> {
        let session = &self.terms[0].session;
        if session.data.sample_shape != [2] || self.terms.iter().any(|term| term.exact([0.0, 0.0]).is_none()) {
            return Ok(None);
        }
        let (grid, energies) = on_grid(&*self.energy, &session.device, &self.bounds)?;
        let place = |u: f64, d: usize| {
            let [lo, hi] = self.bounds[d.min(self.bounds.len() - 1)];
            lo + (hi - lo) * u
        };
        let exact = |u: [f64; 2]| {
            let x = [place(u[0], 0), place(u[1], 1)];
            let each: Vec<f64> = self.terms.iter().map(|t| t.exact(x).unwrap_or(f64::NEG_INFINITY)).collect();
            composed(&each, self.operator)
        };
        Ok(Some(grid.kl(&energies, exact)))
    }

    /// `n` samples: chains annealed from the box to the energy, drawn by their weights, then moved by `sampler`, whose step
    /// sizes are in units of the box. Also the fraction of its moves that were accepted.
    pub fn sample(&self, n: usize, ais: &Ais, sampler: &SamplerConfig, key: &Key) -> Result<(Tensor, Option<f64>)> {
        let session = &self.terms[0].session;
        let place = Place::new(&session.device, &session.data.sample_shape, &self.bounds, Base::Uniform);
        let ais = Ais { chains: n.max(ais.chains), base: Base::Uniform, ..*ais };
        let annealed = ais.anneal(&*self.energy, &place, &key.named("anneal"))?;
        let rows = resampled(&annealed.log_weights, n, key.named("resample").uniform(0));
        let z = annealed.z.gather(0, &Tensor::new(&session.device, [n], &rows));
        let sampler = SamplerConfig { clip: place.walls(), ..sampler.clone() };
        let moved =
            sampler.advance(&Bridge { energy: &*self.energy, place: &place, beta: 1.0 }, &z, &key.named("moves"));
        let accepted = moved.accepted.map(|rate| rate.mean().item()).transpose()?;
        Ok((place.x(&moved.x), accepted))
    }

    /// `n` samples the way the first run samples after training, with smaller steps: see
    /// [`Model::sample_composed`](crate::train::Model::sample_composed). Energies of images that were trained with nearly no
    /// noise are flat at temperature 1, where an annealed chain of them ends in noise.
    pub fn sample_in_rounds(&self, n: usize, key: &Key) -> Result<Tensor> {
        let model = self.terms[0].session.algorithm();
        Ok(model.sample_composed(&*self.energy, self.terms.len(), n, key)?.x)
    }
}

/// ln of the composed density, up to a constant, from the ln p_i.
fn composed(each: &[f64], operator: Operator) -> f64 {
    match operator {
        Operator::And => each.iter().sum(),
        Operator::Or { sharpness: b } => {
            let top = each.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            top + each.iter().map(|l| (b * (l - top)).exp()).sum::<f64>().ln() / b
        }
        Operator::Not { strength } => each[0] - strength * each[1],
    }
}

/// The smallest box that holds those of all terms.
fn union(terms: &[Term]) -> Vec<[f64; 2]> {
    let all: Vec<Vec<[f64; 2]>> = terms.iter().map(|term| term.session.bounds()).collect();
    let most = all.iter().map(Vec::len).max().unwrap_or(0);
    let at = |d: usize| all.iter().map(move |b| b[d.min(b.len() - 1)]);
    (0..most).map(|d| at(d).fold([f64::MAX, f64::MIN], |[lo, hi], [a, b]| [lo.min(a), hi.max(b)])).collect()
}

/// `n` rows drawn by their weights, systematically: each comes as often as its share says, to within one.
pub fn resampled(log_weights: &[f64], n: usize, offset: f64) -> Vec<f32> {
    let top = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|l| (l - top).exp()).collect();
    let step = weights.iter().sum::<f64>() / n as f64;
    let (mut row, mut sum) = (0, weights[0]);
    let mut next = |i: usize| {
        while sum < (i as f64 + offset) * step && row + 1 < weights.len() {
            row += 1;
            sum += weights[row];
        }
        row as f32
    };
    (0..n).map(&mut next).collect()
}
