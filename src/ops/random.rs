//! Random tensors: pure functions of a [`Key`].

use super::{Case, Op, apply_on};
use crate::gpu::{Gpu, Kernel, Uniform, Work, Workgroups};
use crate::tensor::{Array, Device, Key, Shape, Tensor, normal_at, to_unit};
use crate::{shader, uniforms};

#[derive(Clone, Copy, PartialEq)]
enum Law {
    Uniform,
    Normal,
    Bits,
}

/// Element i of the draw `key` under a law. The only possible input is the key's device clock.
struct Random {
    law: Law,
    key: Key,
    shape: Shape,
}

impl Op for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok(self.shape.clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let clock = x.first().map_or(0, |c| c[0] as u32);
        let element = |i: u64| match self.law {
            Law::Uniform => to_unit(self.key.bits(i, clock)),
            Law::Normal => normal_at(&self.key, i, clock),
            Law::Bits => (self.key.bits(i, clock) >> 8) as f64,
        };
        (0..y.numel() as u64).map(element).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let quads = y.numel().div_ceil(4);
        let law = match self.law {
            Law::Uniform => "uniform",
            Law::Normal => "normal",
            Law::Bits => "bits",
        };
        let kernel = Kernel::new(shader!("random/draw.wgsl")).op(self.law as u32, law);
        let zero = gpu.zero();
        let clock = x.first().map_or(&zero, |c| c.slice());
        let work = Work::bytes(y.numel() as u64 * 4);
        let uniforms = uniforms![quads, key: &self.key];
        gpu.dispatch(&kernel, uniforms, &[clock, y.slice()], Workgroups::Elements(quads), work);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, _: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![None]
    }
}

/// A key as the shaders' `Key` struct: seed, draw, step.
impl From<&Key> for Uniform {
    fn from(key: &Key) -> Uniform {
        let (seed, draw) = (key.seed, key.draw);
        Uniform::from([seed as u32, (seed >> 32) as u32, draw as u32, (draw >> 32) as u32, key.step])
    }
}

fn draw(device: &Device, law: Law, key: &Key, shape: Shape) -> Tensor {
    let inputs: Vec<&Tensor> = key.clock.iter().collect();
    apply_on(device, Random { law, key: key.clone(), shape: shape.clone() }, &inputs, shape)
}

impl Tensor {
    /// Uniform on (0, 1): multiples of 2^-23 plus 2^-24, the same numbers on every device.
    pub fn uniform(device: &Device, shape: impl Into<Shape>, key: &Key) -> Tensor {
        draw(device, Law::Uniform, key, shape.into())
    }

    /// Standard normal (Box-Muller); devices agree up to the rounding of log, sin and cos.
    pub fn normal(device: &Device, shape: impl Into<Shape>, key: &Key) -> Tensor {
        draw(device, Law::Normal, key, shape.into())
    }

    /// The upper 24 of Philox's 32 random bits, as whole numbers: for tests of the generator itself.
    pub fn random_bits(device: &Device, shape: impl Into<Shape>, key: &Key) -> Tensor {
        draw(device, Law::Bits, key, shape.into())
    }
}

/// Cases: the same bits on every device, with and without a device clock.
pub fn cases() -> Vec<Case> {
    let key = Key::new(0x1234_5678_9abc_def0).named("cases").step(3);
    let mut cases = Vec::new();
    for n in [1, 5, 1023, 4096 * 65] {
        let k = key.clone();
        cases.push(
            Case::new(format!("uniform {n}"), [super::Input::unit([1])], move |x| {
                Tensor::uniform(x[0].device(), [n], &k)
            })
            .exact()
            .order(0),
        );
        let k = key.clone();
        cases.push(
            Case::new(format!("normal {n}"), [super::Input::below([1], 1000)], move |x| {
                Tensor::normal(x[0].device(), [n], &k.clocked(&x[0]))
            })
            .ulps(64.0, 1.0)
            .order(0),
        );
        let k = key.clone();
        cases.push(
            Case::new(format!("bits {n}"), [super::Input::below([1], 1000)], move |x| {
                Tensor::random_bits(x[0].device(), [n], &k.clocked(&x[0]))
            })
            .exact()
            .order(0),
        );
    }
    cases
}
