//! An energy relative to a normal law.

use super::Energy;
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};

/// The energy of `p(x) ~ exp(-net(x)) N(x; 0, s^2 I)` in dimensionless variables,
///
/// `E(x) = s^2 net(x) + |x|^2 / 2`, at the temperature s^2: `p ~ exp(-E / s^2)`.
///
/// A Langevin step of size eta on E is one of size `delta^2 / 2 = eta s^2` on -log p: each shrinks x by the part eta. Without
/// s it is the net itself, at temperature 1.
pub struct WithReference<E> {
    /// -f of the paper.
    pub net: E,
    /// s, the deviation of the reference.
    pub std: Option<f64>,
}

impl<E> WithReference<E> {
    /// s^2, or 1 without a reference.
    pub fn temperature(&self) -> f64 {
        self.std.map_or(1.0, |s| s * s)
    }
}

impl<E: Energy> Energy for WithReference<E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let net = self.net.energy(x);
        let Some(s) = self.std else { return net };
        let axes: Vec<i32> = (1..x.shape().rank() as i32).collect();
        net.mul_scalar(s * s) + x.square().sum_axes(&axes).mul_scalar(0.5)
    }

    /// Without a reference the net's own chain.
    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        if self.std.is_some() { None } else { self.net.chain(step, steps, x_0, key) }
    }

    fn update_norms(&self) {
        self.net.update_norms()
    }
}
