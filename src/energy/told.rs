//! An energy that is told classes by further coordinates or channels.

use super::Energy;
use crate::nn::join;
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};

/// `E(x, y) = net(x with y)`: the one-hot classes enter like further coordinates, or constant channels, of the samples.
pub struct Told<'a, E: ?Sized> {
    /// Built for samples with as many more coordinates or channels as there are classes.
    pub net: &'a E,
    /// One-hot rows `[N, K]`; without them the samples enter as they are.
    pub class: Option<Tensor>,
}

impl<E: Energy + ?Sized> Energy for Told<'_, E> {
    /// A batch of m N samples (data and chains together) has the N classes m times.
    fn energy(&self, x: &Tensor) -> Tensor {
        let Some(class) = &self.class else { return self.net.energy(x) };
        let (n, rows, k) = (x.dim(0), class.dim(0), class.dim(1));
        let class = class.unsqueeze(0).broadcast_to([n / rows, rows, k]).reshape([n, k]);
        self.net.energy(&join(x, Some(&class)))
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        if self.class.is_some() { None } else { self.net.chain(step, steps, x_0, key) }
    }
}
