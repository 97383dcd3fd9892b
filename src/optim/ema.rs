//! The exponential moving average of the parameters.

use super::{parts, store};
use crate::gpu::{Kernel, Work, Workgroups};
use crate::tensor::{Device, Tensor, Var};
use crate::{shader, uniforms};

/// `e = decay e + (1 - decay) p`, in place, over a flat buffer. Starts at the parameters' first value.
pub struct Ema {
    decay: f64,
    p: Var,
    e: Var,
}

impl Ema {
    /// An average that starts at `p`.
    pub fn new(p: &Var, decay: f64) -> Ema {
        Ema { decay, p: p.clone(), e: Var::new(&p.get()) }
    }

    /// Moves the average towards the parameters.
    pub fn update(&self) {
        let (p, e) = (self.p.get(), self.e.get());
        match p.device() {
            Device::Gpu(gpu) => {
                let kernel = Kernel::new(shader!("optim/ema.wgsl"));
                for (p, e) in parts(&p).iter().zip(&parts(&e)) {
                    let quads = p.numel().div_ceil(4);
                    let uniforms = uniforms![quads, decay: self.decay];
                    let work = Work { bytes: 12 * p.numel() as u64, flops: 3 * p.numel() as u64 };
                    gpu.dispatch(&kernel, uniforms, &[p.slice(), e.slice()], Workgroups::Elements(quads), work);
                }
            }
            Device::Oracle => {
                let average = |(e, p): (&f64, &f64)| self.decay * e + (1.0 - self.decay) * p;
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
    fn the_average_follows_the_parameters() {
        let device = Device::oracle();
        let p = Var::new(&Tensor::full(&device, [2], 1.0));
        let ema = Ema::new(&p, 0.75);
        p.set(Tensor::full(&device, [2], 5.0));
        ema.update();
        ema.update();
        assert_eq!(ema.value().to_vec().unwrap(), [2.75, 2.75]); // 1 -> 2 -> 2.75
    }
}
