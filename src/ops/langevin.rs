//! One step of Langevin dynamics, fused: drift, coupling, noise and clip in one pass over memory.

use super::schedule::{Lookup, lookup};
use super::{Case, Input, Op, apply, elementwise_work, larger, smaller};
use crate::gpu::{Gpu, Kernel, Workgroups};
use crate::tensor::{Array, Key, Shape, Tensor, normal_at};
use crate::{shader, uniforms};

/// A coefficient of a Langevin step: a constant, no gradient flows into it.
#[derive(Clone, Debug)]
pub enum Coefficient {
    /// The same number for every sample.
    Scalar(f64),
    /// One number per sample (shape `[N]`), or one for all that lives on the device (shape `[1]`).
    Tensor(Tensor),
}

impl From<f64> for Coefficient {
    fn from(value: f64) -> Coefficient {
        Coefficient::Scalar(value)
    }
}

impl From<&Tensor> for Coefficient {
    fn from(values: &Tensor) -> Coefficient {
        Coefficient::Tensor(values.detach())
    }
}

impl Coefficient {
    /// Its number, 0 when it is a tensor.
    fn scalar(&self) -> f64 {
        if let Coefficient::Scalar(value) = self { *value } else { 0.0 }
    }

    /// Its tensor, if it is one.
    fn tensor(&self) -> Option<&Tensor> {
        if let Coefficient::Tensor(values) = self { Some(values) } else { None }
    }

    /// `factor` times it.
    fn scaled(&self, factor: f64) -> Coefficient {
        match self {
            Coefficient::Scalar(value) => (factor * value).into(),
            Coefficient::Tensor(values) => Coefficient::Tensor(values.mul_scalar(factor)),
        }
    }

    /// Its value for a sample, on the oracle.
    fn at(&self, sample: usize) -> f64 {
        match self {
            Coefficient::Scalar(value) => *value,
            Coefficient::Tensor(values) => values.array()[if values.numel() == 1 { 0 } else { sample }],
        }
    }

    /// The coefficient times each sample of `x`, differentiable in `x`.
    fn times(&self, x: &Tensor) -> Tensor {
        match self {
            Coefficient::Scalar(value) => x.mul_scalar(*value),
            Coefficient::Tensor(values) => {
                let mut shape = vec![1; x.shape().rank()];
                shape[0] = values.numel();
                x * &values.reshape(shape)
            }
        }
    }

    /// The kernel's code for where it comes from.
    fn code(&self, x: &Shape) -> u32 {
        match self {
            Coefficient::Scalar(0.0) => 0,
            Coefficient::Scalar(_) => 1,
            Coefficient::Tensor(values) => lookup(values.shape(), x) as u32,
        }
    }

    fn check(&self, name: &str, x: &Shape) -> Result<(), String> {
        let fits =
            self.tensor().is_none_or(|c| *c.shape() == [1].into() || x.first().is_some_and(|&n| c.shape().0 == [n]));
        fits.then_some(()).ok_or_else(|| format!("{name} must be a number, [1], or one number per sample"))
    }
}

/// A Langevin step, for any of the papers' samplers:
///
/// x' = clip(x - step_n grad - coupling_n (x - center) + noise_n xi, lo, hi),  xi ~ N(0, I), n the sample
///
/// - exact Langevin for p ~ exp(-E) with step size e: step = e/2, noise = sqrt(e), grad = dE/dx
/// - recovery likelihood (CDRL): step = 1/2, coupling = c_t and noise = s_t per sample, center = x_t
/// - short-run chains on images (Improved CD): step = 100, noise = 0.001, clip to (0, 1)
///
/// ```
/// # use ebm::prelude::*;
/// # use ebm::ops::langevin::LangevinStep;
/// let x = Tensor::new(&Device::oracle(), [2, 1], &[1.0, 4.0]);
/// let grad = x.clone(); // E = x^2 / 2
/// let y = LangevinStep::new(0.5, 0.0).clip(0.0, 1.0).apply(&x, &grad, &Key::new(0));
/// assert_eq!(y.to_vec().unwrap(), [0.5, 1.0]);
/// ```
#[derive(Clone, Debug)]
pub struct LangevinStep {
    step: Coefficient,
    noise: Coefficient,
    coupling: Coefficient,
    pub(super) center: Option<Tensor>,
    pub(super) clip: Option<(f64, f64)>,
}

impl LangevinStep {
    /// x' = x - step grad + noise xi
    pub fn new(step: impl Into<Coefficient>, noise: impl Into<Coefficient>) -> LangevinStep {
        LangevinStep { step: step.into(), noise: noise.into(), coupling: 0.0.into(), center: None, clip: None }
    }

    /// Adds the pull `- coupling (x - center)`; the gradient also flows into the center.
    pub fn coupling(self, coupling: impl Into<Coefficient>, center: &Tensor) -> LangevinStep {
        LangevinStep { coupling: coupling.into(), center: Some(center.clone()), ..self }
    }

    /// Clips the result, after the noise; no gradient flows where it is clipped. NaN stays NaN.
    pub fn clip(self, lo: f64, hi: f64) -> LangevinStep {
        LangevinStep { clip: Some((lo, hi)), ..self }
    }

    /// The same step for u = (x - origin) / unit in place of x, with dE/du in place of dE/dx.
    pub fn in_units(&self, origin: f64, unit: f64) -> LangevinStep {
        let scaled = |x: f64| (x - origin) / unit;
        LangevinStep {
            step: self.step.scaled(1.0 / (unit * unit)),
            noise: self.noise.scaled(1.0 / unit),
            coupling: self.coupling.clone(),
            center: self.center.as_ref().map(|c| c.affine(1.0 / unit, -origin / unit)),
            clip: self.clip.map(|(lo, hi)| (scaled(lo), scaled(hi))),
        }
    }

    /// Step, coupling and noise as numbers, 0 where they are tensors.
    pub(super) fn scalars(&self) -> [f64; 3] {
        [&self.step, &self.coupling, &self.noise].map(Coefficient::scalar)
    }

    /// Step, coupling and noise of every sample of `x`, `[3, N]`, if any of them is a tensor.
    pub(super) fn per_sample(&self, x: &Tensor) -> Option<Tensor> {
        let all = [&self.step, &self.coupling, &self.noise];
        let row = |c: &Coefficient| match c {
            Coefficient::Scalar(value) => Tensor::full(x.device(), [1, x.dim(0)], *value),
            Coefficient::Tensor(values) => values.reshape([1, values.numel()]).broadcast_to([1, x.dim(0)]),
        };
        let given = all.iter().any(|c| c.tensor().is_some());
        given.then(|| Tensor::concat(&all.map(row).each_ref(), 0))
    }

    /// The next state of the chains `x` `[N, ...]`, given `grad` = dE/dx. The noise is `Tensor::normal(x.shape(), key)`.
    ///
    /// Linear in x, grad and center: differentiable to any order.
    #[track_caller]
    pub fn apply(&self, x: &Tensor, grad: &Tensor, key: &Key) -> Tensor {
        let mut inputs = vec![x, grad];
        inputs.extend(self.center.as_ref());
        let step = LangevinStep { center: self.center.as_ref().map(Tensor::detach), ..self.clone() };
        apply(Langevin { step, key: key.clone() }, &inputs)
    }
}

/// `next` within the interval of a clip, NaN as it is.
pub(super) fn clipped(clip: Option<(f64, f64)>, next: f64) -> f64 {
    clip.map_or(next, |(lo, hi)| smaller(larger(next, lo), hi))
}

/// [`LangevinStep`] as an op on (x, grad, center if any).
struct Langevin {
    step: LangevinStep,
    key: Key,
}

impl Op for Langevin {
    fn name(&self) -> &'static str {
        "langevin_step"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        if x[1..].iter().any(|s| *s != x[0]) {
            return Err("state, gradient and center must have one shape".into());
        }
        self.step.step.check("step", x[0])?;
        self.step.coupling.check("coupling", x[0])?;
        self.step.noise.check("noise", x[0])?;
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let per_sample = y.numel() / y.first().copied().unwrap_or(1).max(1);
        let clock = self.key.clock.as_ref().map_or(0, |c| c.array()[0] as u32);
        let element = |i: usize| {
            let n = i / per_sample;
            let mut next = x[0][i] - self.step.step.at(n) * x[1][i];
            if let Some(center) = x.get(2) {
                next -= self.step.coupling.at(n) * (x[0][i] - center[i]);
            }
            next += self.step.noise.at(n) * normal_at(&self.key, i as u64, clock);
            clipped(self.step.clip, next)
        };
        (0..y.numel()).map(element).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let LangevinStep { step, noise, coupling, clip, .. } = &self.step;
        let (quads, samples) = (y.numel().div_ceil(4), y.shape().first().copied().unwrap_or(1));
        let (lo, hi) = clip.unwrap_or_default();
        let uniforms = uniforms![
            quads,
            samples,
            per_sample: y.numel() / samples,
            step: step.scalar(),
            coupling: coupling.scalar(),
            noise: noise.scalar(),
            lo,
            hi,
            key: &self.key,
        ];
        let kernel = Kernel::new(shader!("langevin/step.wgsl"))
            .with("STEP", step.code(y.shape()).max(Lookup::Params as u32))
            .with("COUPLING", coupling.code(y.shape()))
            .with("NOISE", noise.code(y.shape()))
            .with("CLIP", clip.is_some());
        let zero = gpu.zero();
        let or_zero = |t: Option<&Tensor>| t.map_or(zero.clone(), |t| t.slice().clone());
        let given = [x.get(2), step.tensor(), coupling.tensor(), noise.tensor(), self.key.clock.as_ref()].map(or_zero);
        let mut slices = vec![x[0].slice(), x[1].slice()];
        slices.extend(&given);
        slices.push(y.slice());
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(quads), elementwise_work(x, y, 4));
    }

    fn vjp(&self, _: &[Tensor], y: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let LangevinStep { step, coupling, clip, .. } = &self.step;
        let ct = match clip {
            None => ct.clone(),
            Some((lo, hi)) => {
                let (y, bound) = (y.detach(), |b| Tensor::scalar(y.device(), b));
                ct * &(&bound(*lo).less(&y) * &y.less(&bound(*hi)))
            }
        };
        let pull = || coupling.times(&ct);
        let dx = || if need.len() == 3 { &ct - &pull() } else { ct.clone() };
        let mut grads = vec![need[0].then(dx), need[1].then(|| -step.times(&ct))];
        grads.extend(need.get(2).map(|needed| needed.then(pull)));
        grads
    }
}

/// Cases: every term on and off, each way a coefficient is given, samples that do and do not fill whole vec4s.
pub fn cases() -> Vec<Case> {
    let key = Key::new(9).named("langevin");
    let mut cases = Vec::new();
    for shape in [vec![3, 2], vec![2, 4], vec![1, 1], vec![0, 3], vec![4, 1, 3], vec![5, 1023], vec![4, 33_000]] {
        let order = if shape.iter().product::<usize>() <= 16 { 2 } else { 0 };
        let n = shape[0];
        let fields = |k| vec![Input::unit(shape.clone()); k];
        let (k, label) = (key.clone(), format!("{shape:?}"));
        let plain = move |x: &[Tensor]| LangevinStep::new(0.1, 0.3).apply(&x[0], &x[1], &k);
        cases.push(Case::new(format!("plain {label}"), fields(2), plain).ulps(64.0, 1.0).order(order));
        let quiet = |x: &[Tensor]| LangevinStep::new(0.1, 0.0).apply(&x[0], &x[1], &Key::new(0));
        cases.push(Case::new(format!("quiet {label}"), fields(2), quiet).order(order));

        // Everything per sample, on a device clock.
        let mut inputs = fields(3);
        inputs.extend([Input::below([n], 8), Input::below([1], 100)]);
        let k = key.clone();
        let coupled = move |x: &[Tensor]| {
            let c = x[3].mul_scalar(0.125);
            let step = LangevinStep::new(&c, &c.add_scalar(0.5)).coupling(&c.mul_scalar(0.3), &x[2]);
            step.apply(&x[0], &x[1], &k.clocked(&x[4]))
        };
        cases.push(Case::new(format!("coupled {label}"), inputs, coupled).ulps(64.0, 2.0).order(order));

        // A state clear of the clip's corners: the drift moves it by less than 0.2. One step size for all, on the device.
        let inputs = vec![Input::apart(shape.clone(), 0.3, 0.7), Input::unit(shape.clone()), Input::below([1], 2)];
        let k = key.clone();
        let clipped = move |x: &[Tensor]| {
            let size = x[2].mul_scalar(0.1).add_scalar(0.1);
            LangevinStep::new(&size, 0.001).coupling(0.1, &x[1]).clip(0.0, 1.0).apply(&x[0], &x[1], &k)
        };
        cases.push(Case::new(format!("clipped {label}"), inputs, clipped).ulps(16.0, 1.0).order(order));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    #[test]
    fn the_noise_is_the_normal_draw_of_the_key() {
        let Ok(device) = Device::open() else { return println!("skipped: no adapter") };
        let key = Key::new(4).named("chain").step(2);
        let x = Tensor::zeros(&device, [3, 67]);
        let y = LangevinStep::new(0.0, 1.0).apply(&x, &x, &key).to_vec().unwrap();
        assert_eq!(y, Tensor::normal(&device, [3, 67], &key).to_vec().unwrap());
    }

    /// The chain x' = (1 - e/2) x + sqrt(e) xi on E = x^2/2 has stationary variance 1 / (1 - e/4).
    #[test]
    fn a_chain_on_a_gaussian_reaches_its_stationary_variance() {
        let (device, n, e) = (Device::oracle(), 4096, 0.4);
        let mut x = Tensor::zeros(&device, [n, 1]);
        for k in 0..40 {
            x = LangevinStep::new(e / 2.0, e.sqrt()).apply(&x, &x, &Key::new(1).step(k));
        }
        let variance = x.square().mean().item().unwrap();
        // The sample variance of n normals has relative standard deviation sqrt(2/n); four of them.
        assert!((variance * (1.0 - e / 4.0) - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt(), "{variance}");
    }

    #[test]
    #[should_panic(expected = "noise must be a number, [1], or one number per sample")]
    fn a_coefficient_of_another_batch_size_is_refused() {
        let x = Tensor::zeros(&Device::oracle(), [3, 2]);
        let noise = Tensor::zeros(&Device::oracle(), [2]);
        LangevinStep::new(0.1, &noise).apply(&x, &x, &Key::new(0));
    }
}
