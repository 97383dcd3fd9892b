//! Energies made of a denoiser: what it takes for noise, squared (Salimans & Ho 2021; Du et al. 2023).
//!
//! ```text
//! E(y; c) = s^2 / 2 |eps(y / a; c)|^2,   eps(x; c) = sqrt(1 - abar) x + sqrt(abar) v(x; c)
//! ```
//!
//! with a U-Net v that starts at zero. Where its slope is matched to the noise, dE/dy is what a denoiser of that size gives, and has
//! a potential besides: chains can be corrected, densities compared and concepts added up.

use super::{Energy, EnergyLevel};
use crate::error::{Error, Result};
use crate::nn::{LevelEmbedding, Params, Scope, UNet, UNetConfig, look_up};
use crate::tensor::{Tensor, no_grad, recording};
use std::rc::Rc;

/// E(y; c) of a U-Net; see the [module](self).
pub struct DenoiserEnergy {
    params: Params,
    embedding: LevelEmbedding,
    net: Rc<UNet>,
    /// `1 / a`, `sqrt(1 - abar)`, `sqrt(abar)` and `s^2 / 2` of every condition, `[levels (classes + 1)]` each.
    factors: [Tensor; 4],
}

impl DenoiserEnergy {
    /// Declares `embedding` and the parts of the U-Net in `scope` for images of shape `item`.
    pub fn new(
        scope: &Scope,
        item: &[usize],
        config: &UNetConfig,
        levels: &[EnergyLevel],
        classes: usize,
    ) -> Result<DenoiserEnergy> {
        let &[h, w, c] = item else {
            return Err(Error::setting(format!("energy.kind = \"unet\" takes images; the data are {item:?}")));
        };
        let log_snr: Vec<f64> = levels.iter().map(|level| level.log_snr).collect();
        let hidden = 4 * config.width;
        let column = |of: fn(&EnergyLevel) -> f64| {
            let rows: Vec<f64> = levels.iter().flat_map(|level| vec![of(level); classes + 1]).collect();
            Tensor::from_f64(scope.device(), [rows.len()], rows)
        };
        Ok(DenoiserEnergy {
            params: scope.params(),
            net: Rc::new(UNet::build(scope, [h, w, c], hidden, config)?),
            embedding: LevelEmbedding::new(&scope.scope("embedding"), &log_snr, config.width, hidden, classes),
            factors: [
                column(|level| 1.0 / level.a),
                column(|level| (1.0 / (1.0 + level.log_snr.exp())).sqrt()),
                column(|level| (1.0 / (1.0 + (-level.log_snr).exp())).sqrt()),
                column(|level| level.s.powi(2) / 2.0),
            ],
        })
    }

    /// The energy of a batch whose sample n has condition `condition[n]` (`[N]`, or `[1]` for all).
    pub fn at(&self, condition: &Tensor) -> ConditionedDenoiser {
        let frozen = (!recording()).then(|| self.params.flat().get());
        ConditionedDenoiser {
            params: self.params.clone(),
            frozen,
            net: self.net.clone(),
            embedding: look_up(&self.embedding.table(), condition),
            factors: self.factors.each_ref().map(|factor| factor.gather(0, condition)),
        }
    }
}

/// [`DenoiserEnergy`] with its conditions looked up.
pub struct ConditionedDenoiser {
    params: Params,
    /// The parameters, where they are to stay as they were.
    frozen: Option<Tensor>,
    net: Rc<UNet>,
    /// `[N or 1, E]`
    embedding: Tensor,
    /// `[N or 1]` each
    factors: [Tensor; 4],
}

impl ConditionedDenoiser {
    /// The same energy as a constant, for the first `n` samples.
    pub fn frozen(&self, n: usize) -> ConditionedDenoiser {
        let first = |x: &Tensor| if x.dim(0) == 1 { x.detach() } else { no_grad(|| x.narrow(0, 0, n)) };
        ConditionedDenoiser {
            params: self.params.clone(),
            frozen: self.frozen.clone().or_else(|| Some(self.params.flat().get())),
            net: self.net.clone(),
            embedding: first(&self.embedding),
            factors: self.factors.each_ref().map(first),
        }
    }
}

impl Energy for ConditionedDenoiser {
    fn energy(&self, y: &Tensor) -> Tensor {
        let [inverse, noise, signal, half_unit] = &self.factors;
        let x = y * inverse.per_sample(y);
        let v = match &self.frozen {
            Some(flat) => {
                let forward = || self.net.forward(&x, &self.embedding, None);
                self.params.with(flat, || self.params.frozen(forward))
            }
            None => self.net.forward(&x, &self.embedding, None),
        };
        let eps = &x * noise.per_sample(y) + v * signal.per_sample(y);
        let axes: Vec<usize> = (1..y.shape().rank()).collect();
        eps.square().sum_axes(&axes) * half_unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::{grad, grad_graph};
    use crate::tensor::{Device, Key, Var};

    fn build() -> (Params, DenoiserEnergy) {
        let params = Params::new(&Device::oracle(), Key::new(3));
        let levels = [(9.0, 0.97, 0.1), (1.0, 0.9, 0.2), (-2.0, 1.0, 0.4)];
        let levels = levels.map(|(log_snr, a, s)| EnergyLevel { log_snr, a, s });
        let net = UNetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![2], dropout: 0.0 };
        let energy = DenoiserEnergy::new(&params.root(), &[4, 4, 1], &net, &levels, 1).unwrap();
        (params, energy)
    }

    fn perturb(params: &Params) {
        let flat = params.flat();
        flat.set(flat.get() + Tensor::normal(&Device::oracle(), flat.get().shape(), &Key::new(8)).mul_scalar(0.1));
    }

    fn numbers(values: &[f32]) -> Tensor {
        Tensor::new(&Device::oracle(), [values.len()], values)
    }

    /// A net that says nothing takes `sqrt(1 - abar) x` for the noise.
    #[test]
    fn it_starts_as_that_of_normal_data() {
        let (_, energy) = build();
        let y = Tensor::normal(&Device::oracle(), [2, 4, 4, 1], &Key::new(1));
        let got = energy.at(&numbers(&[2.0, 5.0])).energy(&y).to_f64().unwrap();
        let squares = y.square().sum_axes(&[1, 2, 3]).to_f64().unwrap();
        let want = [(1.0f64, 0.9f64, 0.2f64), (-2.0, 1.0, 0.4)];
        for ((got, squares), (lambda, a, s)) in got.iter().zip(squares).zip(want) {
            let want = s * s / 2.0 * squares / (a * a) / (1.0 + lambda.exp());
            assert!((got - want).abs() < 1e-6 * want, "{got} {want}");
        }
    }

    #[test]
    fn without_gradients_it_keeps_the_parameters_it_was_made_with() {
        let (params, energy) = build();
        perturb(&params);
        let (y, conditions) =
            (Tensor::normal(&Device::oracle(), [3, 4, 4, 1], &Key::new(1)), numbers(&[0.0, 3.0, 5.0]));
        let now = energy.at(&conditions);
        let [kept, first] = [no_grad(|| energy.at(&conditions)), now.frozen(3)];
        let want = now.energy(&y).to_f64().unwrap();
        let one = energy.at(&numbers(&[3.0])).energy(&y).to_f64().unwrap();
        assert!((one[1] - want[1]).abs() < 1e-12 && (one[0] - want[0]).abs() > 1e-6, "{one:?} {want:?}");
        perturb(&params);
        assert_eq!(
            [kept.energy(&y).to_f64().unwrap(), first.energy(&y).to_f64().unwrap()],
            [want.clone(), want.clone()]
        );
        assert!(now.energy(&y).to_f64().unwrap() != want);
        let leaf = params.tensors().remove(0);
        assert!(grad(&first.energy(&y.tracked()).sum(), &[&leaf])[0].to_f64().unwrap().iter().all(|g| *g == 0.0));
    }

    /// What score matching needs: the gradient in every parameter of a loss that contains dE/dy, against a central difference.
    #[test]
    fn gradients_of_its_slopes_agree_with_differences() {
        let (params, energy) = build();
        perturb(&params);
        let y = Tensor::normal(&Device::oracle(), [3, 4, 4, 1], &Key::new(1));
        let conditions = numbers(&[0.0, 3.0, 5.0]);
        let loss = || {
            let y = y.tracked();
            grad_graph(&energy.at(&conditions).energy(&y), &[&y]).remove(0).square().sum()
        };
        let leaves = params.tensors();
        let grads = grad(&loss(), &leaves.iter().collect::<Vec<_>>());
        let flat = params.flat().get();
        let direction = Tensor::normal(&Device::oracle(), flat.shape(), &Key::new(2));
        // Parameters are kept in f32: the two points are rounded first, then subtracted.
        let moved = |s: f64| {
            let var = Var::new(&flat);
            var.set(&flat + &direction.mul_scalar(s * 1e-4));
            var.get()
        };
        let (up, down) = (moved(1.0), moved(-1.0));
        let want = params.with(&up, loss).item().unwrap() - params.with(&down, loss).item().unwrap();
        let step = &up - &down;
        let along = |(g, offset): (&Tensor, &usize)| (g * &step.view(*offset, g.shape())).sum().item().unwrap();
        let got: f64 = grads.iter().zip(&params.offsets()).map(along).sum();
        assert!((got - want).abs() < 1e-4 * want.abs(), "{got} {want}");
    }
}
