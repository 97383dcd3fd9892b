//! Noise levels: samples mixed with noise by the row of a table that each sample's level chooses.
//!
//! The tables come from `diffusion::Schedule`.

use super::{Case, Input, Op, apply, elementwise_work};
use crate::gpu::{Gpu, Kernel, Uniform, Workgroups};
use crate::tensor::{Array, Key, Shape, Tensor, calling, normal_at};
use crate::{shader, uniforms};

/// How the kernels find a sample's coefficient; see `shaders/schedule/sample.wgsl`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lookup {
    /// It is a parameter.
    Params = 1,
    /// There is one for all samples, in a tensor.
    Common = 2,
    /// Four neighbouring elements always belong to one sample.
    Whole = 3,
    /// They may belong to several.
    Ragged = 4,
}

/// How elements of `x` `[N, ...]` find their entry in a tensor of shape `[N]` or `[1]`.
pub(crate) fn lookup(values: &Shape, x: &Shape) -> Lookup {
    match x.numel() / x.first().copied().unwrap_or(1).max(1) {
        _ if values.numel() == 1 => Lookup::Common,
        per_sample if per_sample.is_multiple_of(4) => Lookup::Whole,
        _ => Lookup::Ragged,
    }
}

/// y = table[t_n][column] x + table[t_n][1] e + table[t_n][2] xi on (table, level, x, e if any)
#[derive(Clone)]
struct LevelMix {
    /// The column of the table that weights x.
    column: usize,
    /// The draw of xi, if there is one.
    key: Option<Key>,
}

impl Op for LevelMix {
    fn name(&self) -> &'static str {
        "level_mix"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let batch = x[2].first().copied().unwrap_or(1);
        if x[0].rank() != 2 || x[0][1] != 4 {
            return Err("the table must be [levels, 4]".into());
        }
        if x[1].0 != [batch] && x[1].0 != [1] {
            return Err("the level must be [1] or one number per sample".into());
        }
        if x.get(3).is_some_and(|e| *e != x[2]) {
            return Err("the two inputs must have one shape".into());
        }
        Ok(x[2].clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let (table, level) = (&x[0], &x[1]);
        let per_sample = y.numel() / y.first().copied().unwrap_or(1).max(1);
        let clock = self.key.as_ref().and_then(|k| k.clock.as_ref()).map_or(0, |c| c.array()[0] as u32);
        let element = |i: usize| {
            let n = if level.len() == 1 { 0 } else { i / per_sample };
            let row = &table[level[n] as usize * 4..][..4];
            let second = x.get(3).map_or(0.0, |e| row[1] * e[i]);
            let noise = self.key.as_ref().map_or(0.0, |key| row[2] * normal_at(key, i as u64, clock));
            row[self.column] * x[2][i] + second + noise
        };
        (0..y.numel()).map(element).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let (quads, samples) = (y.numel().div_ceil(4), y.shape().first().copied().unwrap_or(1));
        let key = self.key.as_ref().map_or(Uniform::from([0u32; 5]), Uniform::from);
        let uniforms = uniforms![quads, samples, per_sample: y.numel() / samples, key];
        let kernel = Kernel::new(shader!("schedule/mix.wgsl"))
            .with("LEVEL", lookup(x[1].shape(), y.shape()) as u32)
            .with("COLUMN", self.column)
            .with("SECOND", x.len() == 4)
            .with("NOISE", self.key.is_some());
        let zero = gpu.zero();
        let second = x.get(3).map_or(&zero, Tensor::slice);
        let clock = self.key.as_ref().and_then(|k| k.clock.as_ref()).map_or(&zero, Tensor::slice);
        let slices = [x[2].slice(), second, x[0].slice(), x[1].slice(), clock, y.slice()];
        let work = elementwise_work(&x[2..], y, 3);
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(quads), work);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let scaled = |column| apply(LevelMix { column, key: None }, &[&x[0], &x[1], ct]);
        let mut grads = vec![None, None, need[2].then(|| scaled(self.column))];
        grads.extend(need.get(3).map(|needed| needed.then(|| scaled(1))));
        grads
    }
}

/// The noise of [`add_noise`].
pub enum Noise<'a> {
    /// This tensor, of the samples' shape; gradients flow into it.
    Given(&'a Tensor),
    /// `Tensor::normal(shape, key)`, drawn in registers.
    Drawn(&'a Key),
}

/// x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps: samples `x0` `[N, ...]` noised to `level` (`[N]`, or `[1]` for all).
///
/// `table` is `Schedule::noising`. Differentiable in `x0` and in given noise; levels and table are constants.
#[track_caller]
pub fn add_noise(x0: &Tensor, level: &Tensor, table: &Tensor, noise: Noise) -> Tensor {
    let _op = calling("add_noise");
    let (table, level) = (table.detach(), level.detach());
    match noise {
        Noise::Given(eps) => apply(LevelMix { column: 0, key: None }, &[&table, &level, x0, eps]),
        Noise::Drawn(key) => apply(LevelMix { column: 0, key: Some(key.clone()) }, &[&table, &level, x0]),
    }
}

/// x_{t-1} = A_t x_t + B_t eps_hat + S_t xi: one reverse step from `level` t (`[N]`, or `[1]` for all), noise drawn from
/// `key`; without a key only the mean.
///
/// `table` is `Schedule::denoising(eta)`: DDPM's posterior step for eta = 1, deterministic DDIM for eta = 0.
/// Differentiable in `x` and `eps_hat`.
#[track_caller]
pub fn denoise_step(x: &Tensor, eps_hat: &Tensor, level: &Tensor, table: &Tensor, key: Option<&Key>) -> Tensor {
    let _op = calling("denoise_step");
    let (table, level) = (table.detach(), level.detach());
    apply(LevelMix { column: 0, key: key.cloned() }, &[&table, &level, x, eps_hat])
}

/// Cases: samples that do and do not fill whole vec4s, own and common levels, with and without noise and second input.
pub fn cases() -> Vec<Case> {
    let key = Key::new(10).named("levels");
    let mut cases = Vec::new();
    for shape in [vec![3, 2], vec![2, 4], vec![1, 1], vec![0, 3], vec![4, 1, 3], vec![5, 1023], vec![4, 33_000]] {
        let order = if shape.iter().product::<usize>() <= 16 { 2 } else { 0 };
        for levels in [shape[0], 1] {
            let table = |x: &Tensor| {
                let rows = (0..28).map(|i| (i as f64 * 0.7).sin());
                Tensor::from_f64(x.device(), [7, 4], rows.collect())
            };
            let inputs = [Input::unit(shape.clone()), Input::unit(shape.clone()), Input::below([levels], 7)];
            let mut push = |label: &str, run: Box<dyn Fn(&[Tensor]) -> Tensor>| {
                let label = format!("{label} {shape:?} {levels}");
                cases.push(Case::new(label, inputs.clone(), run).ulps(64.0, 1.0).order(order));
            };
            let k = key.clone();
            let draw = move |x: &[Tensor]| add_noise(&x[0], &x[2], &table(&x[0]), Noise::Drawn(&k));
            push("noise drawn", Box::new(draw));
            let give = move |x: &[Tensor]| add_noise(&x[0], &x[2], &table(&x[0]), Noise::Given(&x[1]));
            push("noise given", Box::new(give));
            let k = key.clone();
            let step = move |x: &[Tensor]| denoise_step(&x[0], &x[1], &x[2], &table(&x[0]), Some(&k));
            push("reverse step", Box::new(step));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    #[test]
    fn drawn_and_given_noise_are_the_same_up_to_rounding() {
        let (device, key) = (Device::oracle(), Key::new(3));
        let table = Tensor::from_f64(&device, [2, 4], vec![0.8, 0.6, 0.6, 0.0, 0.6, 0.8, 0.8, 0.0]);
        let (x, level) = (Tensor::uniform(&device, [2, 5], &key), Tensor::new(&device, [2], &[1.0, 0.0]));
        let eps = Tensor::normal(&device, [2, 5], &key.named("eps"));
        let given = add_noise(&x, &level, &table, Noise::Given(&eps)).to_f64().unwrap();
        let drawn = add_noise(&x, &level, &table, Noise::Drawn(&key.named("eps"))).to_f64().unwrap();
        assert_eq!(given, drawn);
        let (x, eps) = (x.to_f64().unwrap(), eps.to_f64().unwrap());
        assert_eq!(given[0], 0.6 * x[0] + 0.8 * eps[0]);
        assert_eq!(given[9], 0.8 * x[9] + 0.6 * eps[9]);
    }
}
