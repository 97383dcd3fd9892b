//! Optimisers over one flat parameter buffer: every update is one dispatch, however many parameters there are.

mod adam;
mod ema;
mod optimizer;
mod rate;
mod sgd;

pub use adam::{Adam, AdamConfig};
pub use ema::Ema;
pub use optimizer::{Optimizer, OptimizerConfig};
pub use rate::RateConfig;
pub use sgd::{Sgd, SgdConfig};

use crate::ops::concat::{Placed, SMALL, place};
use crate::tensor::{Device, Storage, Tensor};
use std::cell::Cell;
use std::rc::Rc;

/// How often something was done. Clones count together; a resumed run sets it.
#[derive(Clone, Debug, Default)]
pub struct Counter(Rc<Cell<u64>>);

impl Counter {
    /// The count.
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    /// Goes on from `count`.
    pub fn set(&self, count: u64) {
        self.0.set(count);
    }

    /// Counts one more; returns the count before.
    pub fn advance(&self) -> u64 {
        self.0.replace(self.0.get() + 1)
    }
}

/// Copies gradients to their places in one flat tensor of `total` elements, zero in the gaps.
///
/// `offsets` are those of `Params::offsets`. On a GPU four small gradients go in a dispatch, large ones are copied.
#[track_caller]
pub fn pack(grads: &[Tensor], offsets: &[usize], total: usize) -> Tensor {
    assert_eq!(grads.len(), offsets.len(), "one offset per gradient");
    let device = grads[0].device();
    match device {
        Device::Gpu(gpu) => {
            let flat = Tensor::zeros(device, [total]);
            let copy = |some: &[(&Tensor, &usize)]| {
                for (grad, at) in some {
                    gpu.copy(grad.slice(), flat.slice(), **at as u64 * 4, grad.numel() as u64 * 4);
                }
            };
            let most = gpu.profile().max_binding_bytes as usize / 4;
            let all = grads.iter().zip(offsets).filter(|(grad, _)| grad.numel() > 0);
            let (small, large): (Vec<_>, Vec<_>) = all.partition(|(grad, _)| grad.numel() <= SMALL);
            for some in small.chunks(4) {
                let (first, last) = (*some[0].1, some[some.len() - 1]);
                let span = last.1 + last.0.numel() - first;
                if span > most {
                    copy(some);
                    continue;
                }
                let placed = |&(grad, start): &(&Tensor, &usize)| Placed {
                    part: grad.clone(),
                    run: grad.numel(),
                    start: start - first,
                };
                let parts: Vec<Placed> = some.iter().map(placed).collect();
                place(gpu, &parts, 1, span, flat.view(first, [span]).slice());
            }
            copy(&large);
            flat
        }
        Device::Oracle => {
            let mut flat = vec![0.0; total];
            for (grad, &at) in grads.iter().zip(offsets) {
                flat[at..at + grad.numel()].copy_from_slice(&grad.array());
            }
            Tensor::from_f64(device, [total], flat)
        }
    }
}

/// The Euclidean norm of all elements, a scalar on the device.
pub fn norm(x: &Tensor) -> Tensor {
    let squares = parts(x).into_iter().map(|part| part.square().sum());
    squares.reduce(|a, b| a + b).expect("a tensor has at least one part").sqrt()
}

/// The flat tensor in parts that a device can bind: one, unless there are very many parameters.
fn parts(flat: &Tensor) -> Vec<Tensor> {
    let most = flat.device().gpu().map_or(usize::MAX, |gpu| gpu.profile().max_binding_bytes as usize / 256 * 64);
    let count = flat.numel();
    if count <= most {
        return vec![flat.clone()];
    }
    (0..count).step_by(most).map(|at| flat.view(at, [most.min(count - at)])).collect()
}

/// Overwrites a host tensor in place, rounded to f32: state that outlives a step is f32 on every device, so that a
/// checkpoint holds all of it.
fn store(tensor: &Tensor, values: Vec<f64>) {
    if let Storage::Host(data) = tensor.storage() {
        *data.borrow_mut() = Rc::new(values.into_iter().map(|v| v as f32 as f64).collect());
    }
}

/// Runs every optimiser kernel once on a few parameters, so that listings and shader tests see them.
pub fn exercise(device: &Device) {
    let p = crate::tensor::Var::new(&Tensor::full(device, [64], 1.0));
    let g = Tensor::full(device, [64], 0.5);
    let numbers = Tensor::full(device, [4], 1.0);
    Adam::new(&p, AdamConfig::default()).step(&g, &numbers);
    Sgd::new(&p, SgdConfig::default()).step(&g, &numbers);
    Ema::new(&p, 0.9).update(&numbers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_leaves_zeros_in_the_gaps() {
        let device = Device::oracle();
        let grads = [Tensor::new(&device, [2], &[1.0, 2.0]), Tensor::new(&device, [1, 1], &[3.0])];
        let flat = pack(&grads, &[0, 64], 128).to_vec().unwrap();
        assert_eq!((flat[0], flat[1], flat[2], flat[64], flat.iter().sum::<f32>()), (1.0, 2.0, 0.0, 3.0, 6.0));
        assert_eq!(norm(&grads[0]).item().unwrap(), 5f64.sqrt());
    }
}
