//! Test and bench cases of an op: inputs, what to run, and how exact a device must be.

use crate::tensor::{Array, Device, Key, Shape, Tensor};

/// A case: a function of some inputs through the public API.
pub struct Case {
    /// What it tries.
    pub label: String,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// The op, applied.
    pub run: Box<dyn Fn(&[Tensor]) -> Tensor>,
    /// Highest order of derivative to check: 0 for functions without one.
    pub order: u32,
    /// How far a device may be from the oracle.
    pub bound: Bound,
}

/// The distance from 1 to the next f32.
const EPS: f64 = f32::EPSILON as f64;

/// The error allowed for element `i`, in units of eps = 2^-23.
#[derive(Clone, Copy)]
pub enum Bound {
    /// `ulps * (|y_i| + scale)`: for elementwise functions; `scale` absorbs the absolute part of WGSL's bounds.
    Ulps { ulps: f64, scale: f64 },
    /// `8 sqrt(terms) * f(|x|)_i`: for functions linear in each input, sums of `terms` products.
    Sum { terms: usize },
    /// The bits must agree.
    Exact,
}

/// One input of a case.
#[derive(Clone)]
pub struct Input {
    /// Its shape.
    pub shape: Shape,
    /// What its values are drawn from.
    pub values: Values,
}

/// How a case's input is drawn.
#[derive(Clone, Copy)]
pub enum Values {
    /// Uniform on an interval.
    Uniform(f64, f64),
    /// Uniform on the interval and its mirror image, so that no value is near zero.
    Apart(f64, f64),
    /// Whole numbers 0..n: constants that no gradient is asked for.
    Below(usize),
    /// A random order of spaced values: no two are closer than 0.1 (for max and sort).
    Distinct,
}

impl Input {
    /// Values uniform on (lo, hi).
    pub fn uniform(shape: impl Into<Shape>, lo: f64, hi: f64) -> Input {
        Input { shape: shape.into(), values: Values::Uniform(lo, hi) }
    }

    /// Values uniform on (-1, 1).
    pub fn unit(shape: impl Into<Shape>) -> Input {
        Input::uniform(shape, -1.0, 1.0)
    }

    /// Values with lo < |x| < hi.
    pub fn apart(shape: impl Into<Shape>, lo: f64, hi: f64) -> Input {
        Input { shape: shape.into(), values: Values::Apart(lo, hi) }
    }

    /// Whole numbers below `n`.
    pub fn below(shape: impl Into<Shape>, n: usize) -> Input {
        Input { shape: shape.into(), values: Values::Below(n) }
    }

    /// Values that are pairwise at least 0.1 apart.
    pub fn distinct(shape: impl Into<Shape>) -> Input {
        Input { shape: shape.into(), values: Values::Distinct }
    }

    /// Whether gradients with respect to it make sense.
    pub fn differentiable(&self) -> bool {
        !matches!(self.values, Values::Below(_))
    }

    /// The values: f32 numbers, so that every device starts from the same ones.
    pub fn draw(&self, key: &Key) -> Vec<f64> {
        let n = self.shape.numel();
        let order = match self.values {
            Values::Distinct => key.permutation(n),
            _ => Vec::new(),
        };
        let value = |i: usize| {
            let u = key.uniform(i as u64);
            match self.values {
                Values::Uniform(lo, hi) => lo + (hi - lo) * u,
                Values::Apart(lo, hi) => {
                    let v = lo + (hi - lo) * (2.0 * u).fract();
                    if u < 0.5 { -v } else { v }
                }
                Values::Below(n) => key.below(i as u64, n) as f64,
                Values::Distinct => (order[i] as f64 - n as f64 / 2.0) * 0.2 + 0.05 * u,
            }
        };
        (0..n).map(|i| value(i) as f32 as f64).collect()
    }
}

impl Case {
    /// A case with gradients of order 2 and a bound of 8 ulp.
    pub fn new(
        label: impl Into<String>,
        inputs: impl Into<Vec<Input>>,
        run: impl Fn(&[Tensor]) -> Tensor + 'static,
    ) -> Case {
        let bound = Bound::Ulps { ulps: 8.0, scale: 1.0 };
        Case { label: label.into(), inputs: inputs.into(), run: Box::new(run), order: 2, bound }
    }

    /// The result is a sum of `terms` products of inputs.
    pub fn sum(self, terms: usize) -> Case {
        Case { bound: Bound::Sum { terms }, ..self }
    }

    /// The result must be exact.
    pub fn exact(self) -> Case {
        Case { bound: Bound::Exact, ..self }
    }

    /// The result may be off by `ulps * eps * (|y| + scale)`.
    pub fn ulps(self, ulps: f64, scale: f64) -> Case {
        Case { bound: Bound::Ulps { ulps, scale }, ..self }
    }

    /// The highest order of derivative to check.
    pub fn order(self, order: u32) -> Case {
        Case { order, ..self }
    }

    /// The inputs' values.
    pub fn draw(&self, key: &Key) -> Vec<Vec<f64>> {
        self.inputs.iter().enumerate().map(|(i, input)| input.draw(&key.index(i as u64))).collect()
    }

    /// Whether a device's result `got` on the inputs `x` is as close to the oracle's as it must be.
    ///
    /// # Errors
    /// Names the first element that is too far off.
    pub fn judge(&self, x: &[Array], got: &[f64]) -> Result<(), String> {
        let run = |f: fn(f64) -> f64| {
            let one = |x: &Array| Tensor::from_f64(&Device::Oracle, x.shape.clone(), x.iter().map(|&v| f(v)).collect());
            (self.run)(&x.iter().map(one).collect::<Vec<_>>()).array()
        };
        let want = run(|v| v);
        if want.len() != got.len() {
            return Err(format!("{} elements instead of {}", got.len(), want.len()));
        }
        // For a sum: the same function of the absolute values bounds what rounding can do.
        let scale = matches!(self.bound, Bound::Sum { .. }).then(|| run(f64::abs));
        for (i, (&want, &got)) in want.iter().zip(got).enumerate() {
            let bound = match self.bound {
                Bound::Exact => 0.0,
                Bound::Ulps { ulps, scale } => ulps * EPS * (want.abs() + scale),
                Bound::Sum { terms } => {
                    let scale = scale.as_ref().map_or(0.0, |s| s[i].abs());
                    8.0 * EPS * (terms as f64).sqrt() * scale.max(f64::MIN_POSITIVE)
                }
            };
            // An exact result may still have to be rounded to f32 once.
            if !(want as f32 as f64 == got || (want - got).abs() <= bound) {
                return Err(format!("element {i} is {got}, the oracle says {want} (bound {bound:e})"));
            }
        }
        Ok(())
    }

    /// The inputs as tensors on `device`.
    pub fn tensors(&self, device: &Device, values: &[Vec<f64>]) -> Vec<Tensor> {
        let pairs = self.inputs.iter().zip(values);
        pairs.map(|(input, v)| Tensor::from_f64(device, input.shape.clone(), v.clone())).collect()
    }
}
