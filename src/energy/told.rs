//! An energy that is told classes, or images, by further coordinates or channels.

use super::Energy;
use crate::nn::join;
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};

/// `E(x, y) = net(x with y)`: what it is told enters like further coordinates or channels of the samples, a class as constant ones.
pub struct Told<'a, E: ?Sized> {
    /// Built for samples with as many more coordinates or channels.
    pub net: &'a E,
    /// One-hot rows `[N, K]` or images `[N, H, W, K]`; without them the samples enter as they are.
    pub told: Option<Tensor>,
}

impl<E: Energy + ?Sized> Energy for Told<'_, E> {
    /// A batch of m N samples (data and chains together) is told the same m times.
    fn energy(&self, x: &Tensor) -> Tensor {
        let Some(told) = &self.told else { return self.net.energy(x) };
        let times = x.dim(0) / told.dim(0);
        let again = told.unsqueeze(0).broadcast_to([&[times], &told.shape()[..]].concat());
        let told = again.reshape([&[x.dim(0)], &told.shape()[1..]].concat());
        self.net.energy(&join(x, Some(&told)))
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        if self.told.is_some() { None } else { self.net.chain(step, steps, x_0, key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// `<first channel, last channel>`
    struct Product;

    impl Energy for Product {
        fn energy(&self, x: &Tensor) -> Tensor {
            let last = x.dim(3) - 1;
            (x.narrow(3, 0, 1) * x.narrow(3, last, 1)).sum_axes(&[1, 2, 3])
        }
    }

    #[test]
    fn images_and_classes_are_further_channels_and_a_longer_batch_is_told_them_again() {
        let device = Device::oracle();
        let normal = |n: usize, name: &str| Tensor::normal(&device, [n, 2, 3, 1], &Key::new(1).named(name));
        let (x, y) = (normal(6, "x"), normal(3, "y"));
        let got = Told { net: &Product, told: Some(y.clone()) }.energy(&x).to_f64().unwrap();
        let want = (&x * Tensor::concat(&[&y, &y], 0)).sum_axes(&[1, 2, 3]).to_f64().unwrap();
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} {want:?}");

        let class = Tensor::new(&device, [2], &[1.0, 0.0]).one_hot(2); // the last channel is 1 for class 1
        let got = Told { net: &Product, told: Some(class) }.energy(&x).to_f64().unwrap();
        let sums = x.sum_axes(&[1, 2, 3]).to_f64().unwrap();
        let want: Vec<f64> = sums.iter().enumerate().map(|(i, sum)| if i % 2 == 0 { *sum } else { 0.0 }).collect();
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} {want:?}");
    }
}
