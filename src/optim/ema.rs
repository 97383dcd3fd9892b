//! The exponential moving average of the parameters.

use super::{Counter, parts, store};
use crate::gpu::{Kernel, Work, Workgroups};
use crate::tensor::{Device, Tensor, Var};
use crate::{shader, uniforms};

/// `e = d e + (1 - d) p`, in place, over a flat buffer, with a warm-up: `d = min(decay, (1 + n) / (10 + n))` in the n-th
/// update (from 1), so that a short run is not an average of initial values. Starts at the parameters' first value.
#[derive(Clone)]
pub struct Ema {
    decay: f64,
    p: Var,
    e: Var,
    updates: Counter,
}

impl Ema {
    /// An average that starts at `p`.
    pub fn new(p: &Var, decay: f64) -> Ema {
        Ema { decay, p: p.clone(), e: Var::new(&p.get()), updates: Counter::default() }
    }

    /// How often it moved.
    pub fn updates(&self) -> &Counter {
        &self.updates
    }

    /// Counts one more update and returns its gain, `[1 - d]`.
    pub fn next_gain(&self) -> Vec<f32> {
        let n = (self.updates.advance() + 1) as f64;
        vec![(1.0 - self.decay.min((1.0 + n) / (10.0 + n))) as f32]
    }

    /// Moves the average towards the parameters: `e += gain (p - e)`, `gain [1]` (see [`Ema::next_gain`]).
    pub fn update(&self, gain: &Tensor) {
        let (p, e) = (self.p.get(), self.e.get());
        match p.device() {
            Device::Gpu(gpu) => {
                let kernel = Kernel::new(shader!("optim/ema.wgsl"));
                for (p, e) in parts(&p).iter().zip(&parts(&e)) {
                    let quads = p.numel().div_ceil(4);
                    let work = Work { bytes: 12 * p.numel() as u64, flops: 3 * p.numel() as u64 };
                    let slices = [p.slice(), gain.slice(), e.slice()];
                    gpu.dispatch(&kernel, uniforms![quads], &slices, Workgroups::Elements(quads), work);
                }
            }
            Device::Oracle => {
                let gain = gain.array()[0];
                let average = |(e, p): (&f64, &f64)| e + gain * (p - e);
                store(&e, e.array().iter().zip(p.array().iter()).map(average).collect());
            }
        }
    }

    /// The average now.
    pub fn value(&self) -> Tensor {
        self.e.get()
    }

    /// The variable that holds it, for checkpoints.
    pub fn var(&self) -> Var {
        self.e.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_the_parameters_quickly_at_first() {
        let device = Device::oracle();
        let p = Var::new(&Tensor::full(&device, [2], 1.0));
        let ema = Ema::new(&p, 0.25);
        p.set(Tensor::full(&device, [2], 5.0));
        let update = || ema.update(&Tensor::new(&device, [1], &ema.next_gain()));
        // d = 2/11, then 3/12 = .25 = decay: 1 -> 5 - 4 * 2/11 -> 5 - 4 * 2/11 * .25
        update();
        let want = 5.0 - 8.0 / 11.0;
        assert!((ema.value().to_f64().unwrap()[0] - want).abs() < 1e-6);
        update();
        assert!((ema.value().to_f64().unwrap()[1] - (5.0 - 2.0 / 11.0)).abs() < 1e-6);
        (0..5).for_each(|_| update());
        assert_eq!(ema.updates().get(), 7);
    }
}
