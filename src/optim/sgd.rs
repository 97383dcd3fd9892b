//! Stochastic gradient descent with momentum.

use super::store;
use crate::gpu::{Groups, Kernel, Work};
use crate::shader;
use crate::tensor::{Device, Tensor, Var};

/// `v = momentum v + g`, `p' = p - lr v` over a flat buffer; the velocity is updated in place.
pub struct Sgd {
    momentum: f64,
    p: Var,
    v: Var,
}

impl Sgd {
    /// An optimiser of `p` at rest.
    pub fn new(p: &Var, momentum: f64) -> Sgd {
        let zero = Tensor::zeros(p.get().device(), p.get().shape());
        Sgd { momentum, p: p.clone(), v: Var::new(&zero) }
    }

    /// One update with the flat gradient `g` at learning rate `lr [1]`.
    #[track_caller]
    pub fn step(&self, g: &Tensor, lr: &Tensor) {
        let (p, v) = (self.p.get(), self.v.get());
        assert_eq!(p.shape(), g.shape(), "the gradient's shape is not the parameters'");
        let next = match p.device() {
            Device::Gpu(gpu) => {
                let next = Tensor::unwritten(p.device(), p.shape());
                let quads = p.numel().div_ceil(4) as u32;
                let words = [quads, (self.momentum as f32).to_bits()];
                let slices = [&p, g, lr, &v, &next].map(|t| t.slice());
                let work = Work { bytes: 20 * p.numel() as u64, flops: 4 * p.numel() as u64 };
                gpu.dispatch(
                    &Kernel::new(shader!("optim/sgd.wgsl")),
                    &words,
                    &slices,
                    Groups::Invocations(quads.into()),
                    work,
                );
                next
            }
            Device::Oracle => {
                let (lr, p_old, g) = (lr.array()[0], p.array(), g.array());
                let velocity: Vec<f64> = v.array().iter().zip(g.iter()).map(|(v, g)| self.momentum * v + g).collect();
                let next = p_old.iter().zip(&velocity).map(|(p, v)| p - lr * v).collect();
                store(&v, velocity);
                Tensor::from_f64(p.device(), p.shape(), next)
            }
        };
        self.p.set(next);
    }

    /// The velocity by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, Var)> {
        vec![("v".into(), self.v.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn momentum_accumulates_velocity() {
        let device = Device::oracle();
        let p = Var::new(&Tensor::zeros(&device, [1]));
        let sgd = Sgd::new(&p, 0.5);
        let lr = Tensor::full(&device, [1], 0.25);
        for _ in 0..3 {
            sgd.step(&Tensor::full(&device, [1], 1.0), &lr);
        }
        // v = 1, 1.5, 1.75: p = -(1 + 1.5 + 1.75) / 4
        assert_eq!(p.get().item().unwrap(), -1.0625);
    }
}
