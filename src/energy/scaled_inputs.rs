//! An energy of points that are first scaled to the box of the data.

use super::Energy;
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};

/// `E(x) = net((x - c) / r)`: a net whose inputs lie in about [-1, 1] wherever the data lie.
pub struct ScaledInputs<E> {
    net: E,
    center: f64,
    radius: f64,
}

impl<E> ScaledInputs<E> {
    /// Scales the smallest cube that holds `bounds` (an interval for each coordinate, or one for all) to [-1, 1].
    pub fn to_box(net: E, bounds: &[[f64; 2]]) -> ScaledInputs<E> {
        let [lo, hi] = bounds.iter().fold([f64::MAX, f64::MIN], |[lo, hi], b| [lo.min(b[0]), hi.max(b[1])]);
        ScaledInputs { net, center: 0.5 * (lo + hi), radius: 0.5 * (hi - lo) }
    }

    /// `(x - c) / r`
    pub(super) fn inwards(&self, x: &Tensor) -> Tensor {
        x.affine(1.0 / self.radius, -self.center / self.radius)
    }
}

impl<E: Energy> Energy for ScaledInputs<E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.net.energy(&self.inwards(x))
    }

    /// The net's own chain, in scaled units.
    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        let end = self.net.chain(&step.in_units(self.center, self.radius), steps, &self.inwards(x_0), key)?;
        Some(end.affine(self.radius, self.center))
    }
}
