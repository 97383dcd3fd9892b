//! The box of the data on the device: where fresh chains start, and where chains should stay.

use super::{Iteration, Proposal, Start, State};
use crate::tensor::{Device, Key, Shape, Tensor};

/// An interval for every coordinate, or one for all.
#[derive(Clone)]
pub struct DataBox {
    /// Lower corner and sides, each of the samples' shape or a scalar.
    lo: Tensor,
    side: Tensor,
    width: f64,
}

impl DataBox {
    /// The box `bounds` (see [`Dataset::bounds`](crate::data::Dataset::bounds)) of samples of shape `sample`.
    pub fn new(device: &Device, sample: &[usize], bounds: &[[f64; 2]]) -> DataBox {
        let shape: Vec<usize> = if bounds.len() == 1 { Vec::new() } else { sample.to_vec() };
        let corner = |f: fn(&[f64; 2]) -> f64| Tensor::from_f64(device, shape.clone(), bounds.iter().map(f).collect());
        let width = bounds.iter().fold(0.0, |w: f64, b| w.max(b[1] - b[0]));
        DataBox { lo: corner(|b| b[0]), side: corner(|b| b[1] - b[0]), width }
    }

    /// The longest side.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Uniform samples of shape `[N, sample...]`.
    pub fn uniform(&self, shape: impl Into<Shape>, key: &Key) -> Tensor {
        Tensor::uniform(self.lo.device(), shape, key) * &self.side + &self.lo
    }

    /// The fraction of the coordinates of `x [N, sample...]` that lie more than one side outside, a scalar.
    pub fn far_outside(&self, x: &Tensor) -> Tensor {
        // In units of the side, the box is [0, 1] and far outside is beyond [-1, 2].
        let u = (x.detach() - &self.lo) / &self.side - 0.5;
        Tensor::scalar(x.device(), 1.5).less(&u.abs()).mean()
    }
}

/// Chains that start anew every time, uniform on the box of the data: short-run Langevin dynamics.
pub struct NoiseStart {
    fresh: DataBox,
    sample: Vec<usize>,
}

impl NoiseStart {
    /// Starts for samples of shape `sample`.
    pub fn new(sample: &[usize], of: &DataBox) -> NoiseStart {
        NoiseStart { fresh: of.clone(), sample: sample.to_vec() }
    }
}

impl Proposal for NoiseStart {
    fn propose(&self, it: &mut Iteration, n: usize) -> Start {
        let x = self.draw(n, &it.key("start"));
        Start { source: x.clone(), x }
    }

    fn learn(&self, _: &mut Iteration, _: &Start, _: &Tensor) {}

    fn draw(&self, n: usize, key: &Key) -> Tensor {
        self.fresh.uniform([&[n], &self.sample[..]].concat(), key)
    }

    fn state(&self) -> Vec<(String, State)> {
        Vec::new()
    }
}
