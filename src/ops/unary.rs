//! Elementwise functions of one tensor. Each is a row of [`FUNCTIONS`] and a case in two switches of
//! `elementwise/unary_functions.wgsl`.

use super::{Case, Input, Op, apply, elementwise_work};
use crate::gpu::{Gpu, Kernel, Workgroups};
use crate::tensor::{Array, Shape, Tensor};
use crate::{shader, uniforms};

/// An elementwise function y = f(x; a, b) with scalar attributes a, b.
pub struct Function {
    name: &'static str,
    /// The case label in the shader.
    code: u32,
    f: fn(f64, f64, f64) -> f64,
    /// The first derivative.
    df: fn(f64, f64, f64) -> f64,
    /// The second derivative from public ops; `None` where it is zero almost everywhere.
    d2f: Option<fn(&Tensor, f64, f64) -> Tensor>,
}

impl Function {
    /// The function called `name`.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(name: &str) -> &'static Function {
        FUNCTIONS.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no elementwise function {name}"))
    }

    /// `f(x; a)`, elementwise.
    pub fn apply(&'static self, x: &Tensor, a: f64) -> Tensor {
        apply(Unary { function: self, a, b: 0.0 }, &[x])
    }

    /// `f(x; a)`, NaN where x is.
    pub(super) fn value(&self, x: f64, a: f64) -> f64 {
        keep_nan(x, (self.f)(x, a, 0.0))
    }

    /// `f'(x; a)`, NaN where x is.
    pub(super) fn slope(&self, x: f64, a: f64) -> f64 {
        keep_nan(x, (self.df)(x, a, 0.0))
    }

    /// Its case in the shader, and its name.
    pub(super) fn op(&self) -> (u32, &'static str) {
        (self.code, self.name)
    }
}

const fn row(
    name: &'static str,
    code: u32,
    f: fn(f64, f64, f64) -> f64,
    df: fn(f64, f64, f64) -> f64,
    d2f: Option<fn(&Tensor, f64, f64) -> Tensor>,
) -> Function {
    Function { name, code, f, df, d2f }
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// The constants of GELU's tanh form, sqrt(2/pi) and 0.044715.
const GELU: (f64, f64) = (0.797_884_560_802_865_4, 0.044_715);

/// u = c (x + k x^3) and its derivative; GELU is x (1 + tanh u) / 2 = x sigmoid(2 u).
fn gelu_inner(x: f64) -> (f64, f64) {
    let (c, k) = GELU;
    (c * (x + k * x * x * x), c * (1.0 + 3.0 * k * x * x))
}

/// 1 - erf(x) without cancellation for x > 0.
fn erfc(x: f64) -> f64 {
    if x < 2.0 {
        return 1.0 - erf(x);
    }
    // exp(-x^2) / sqrt(pi) times the continued fraction 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...)))).
    let fraction = (1..=200).rev().fold(x, |below, k| x + 0.5 * k as f64 / below);
    (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
}

/// 2 / sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (1 3 5 ... (2n+1)): all terms of one sign.
fn erf(x: f64) -> f64 {
    if x.abs() >= 2.0 {
        return x.signum() * (1.0 - erfc(x.abs()));
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..60 {
        term *= 2.0 * x * x / (2 * n + 1) as f64;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// Where functions with a factor x have reached their limits: keeps infinity times 0 away.
const FAR: f64 = 1e3;

/// Every elementwise function of one tensor.
pub static FUNCTIONS: [Function; 23] = [
    row("affine", 0, |x, a, b| a * x + b, |_, a, _| a, None),
    row("square", 1, |x, _, _| x * x, |x, _, _| 2.0 * x, Some(|x, _, _| Tensor::full(x.device(), x.shape(), 2.0))),
    row(
        "sqrt",
        2,
        |x, _, _| x.sqrt(),
        |x, _, _| 0.5 / x.sqrt(),
        Some(|x, _, _| (x * &x.sqrt()).recip().mul_scalar(-0.25)),
    ),
    row(
        "recip",
        3,
        |x, _, _| 1.0 / x,
        |x, _, _| -1.0 / (x * x),
        Some(|x, _, _| (&x.square() * x).recip().mul_scalar(2.0)),
    ),
    row("exp", 4, |x, _, _| x.exp(), |x, _, _| x.exp(), Some(|x, _, _| x.exp())),
    row("log", 5, |x, _, _| x.ln(), |x, _, _| 1.0 / x, Some(|x, _, _| -x.square().recip())),
    row("abs", 6, |x, _, _| x.abs(), |x, _, _| sign(x), None),
    row("sin", 7, |x, _, _| x.sin(), |x, _, _| x.cos(), Some(|x, _, _| -x.sin())),
    row("cos", 8, |x, _, _| x.cos(), |x, _, _| -x.sin(), Some(|x, _, _| -x.cos())),
    row(
        "tanh",
        9,
        |x, _, _| x.tanh(),
        |x, _, _| 4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x),
        Some(|x, _, _| {
            let slope = x.mul_scalar(2.0).sigmoid() * x.mul_scalar(-2.0).sigmoid();
            (x.tanh() * slope).mul_scalar(-8.0)
        }),
    ),
    row(
        "sigmoid",
        10,
        |x, _, _| sigmoid(x),
        |x, _, _| sigmoid(x) * sigmoid(-x),
        Some(|x, _, _| {
            let (p, q) = (x.sigmoid(), (-x).sigmoid());
            &(&p * &q) * &(&q - &p)
        }),
    ),
    row(
        "softplus",
        11,
        |x, _, _| x.max(0.0) + (-x.abs()).exp().ln_1p(),
        |x, _, _| sigmoid(x),
        Some(|x, _, _| &x.sigmoid() * &(-x).sigmoid()),
    ),
    row(
        "silu",
        12,
        |x, _, _| x.max(-FAR) * sigmoid(x),
        |x, _, _| sigmoid(x) * (1.0 + x.clamp(-FAR, FAR) * sigmoid(-x)),
        Some(|x, _, _| {
            let (p, q) = (x.sigmoid(), (-x).sigmoid());
            &(&p * &q) * &(x * &(&q - &p)).add_scalar(2.0)
        }),
    ),
    row("relu", 13, |x, _, _| x.max(0.0), |x, _, _| f64::from(x > 0.0), None),
    row("leaky_relu", 14, |x, a, _| if x > 0.0 { x } else { a * x }, |x, a, _| if x > 0.0 { 1.0 } else { a }, None),
    row(
        "elu",
        15,
        |x, a, _| if x > 0.0 { x } else { a * x.exp_m1() },
        |x, a, _| if x > 0.0 { 1.0 } else { a * x.exp() },
        Some(|x, a, _| &x.clamp(-1e30, 0.0).exp().mul_scalar(a) * &x.less_equal(&Tensor::scalar(x.device(), 0.0))),
    ),
    row(
        "gelu",
        16,
        |x, _, _| x.max(-FAR) * sigmoid(2.0 * gelu_inner(x).0),
        |x, _, _| {
            let x = x.clamp(-FAR, FAR);
            let (u, du) = gelu_inner(x);
            sigmoid(2.0 * u) * (1.0 + 2.0 * x * du * sigmoid(-2.0 * u))
        },
        Some(|x, _, _| {
            // y'' = (1 - t^2) (u' - x t u'^2 + x u''/2), with u = c (x + k x^3) and t = tanh u.
            let (c, k) = GELU;
            let t = (&x.square().mul_scalar(c * k).add_scalar(c) * x).tanh();
            let du = x.square().mul_scalar(3.0 * c * k).add_scalar(c);
            let bracket = &(&du - &(&(x * &t) * &du.square())) + &x.square().mul_scalar(3.0 * c * k);
            &t.square().mul_scalar(-1.0).add_scalar(1.0) * &bracket
        }),
    ),
    row("clamp", 17, |x, a, b| x.max(a).min(b), |x, a, b| f64::from(x >= a && x <= b), None),
    row("sign", 18, |x, _, _| sign(x), |_, _, _| 0.0, None),
    row(
        "pow",
        19,
        |x, a, _| x.powf(a),
        |x, a, _| if a == 0.0 { 0.0 } else { a * x.powf(a - 1.0) },
        Some(|x, a, _| match a * (a - 1.0) {
            0.0 => Tensor::zeros(x.device(), x.shape()),
            factor => x.pow(a - 2.0).mul_scalar(factor),
        }),
    ),
    row("floor", 20, |x, _, _| x.floor(), |_, _, _| 0.0, None),
    row(
        "erf",
        21,
        |x, _, _| erf(x),
        |x, _, _| std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
        Some(|x, _, _| x * &(-x.square()).exp().mul_scalar(-2.0 * std::f64::consts::FRAC_2_SQRT_PI)),
    ),
    row(
        "gelu_erf",
        22,
        |x, _, _| x.max(-FAR) * normal_cdf(x),
        |x, _, _| {
            let x = x.clamp(-FAR, FAR);
            normal_cdf(x) + x * normal_density(x)
        },
        Some(|x, _, _| {
            let density = x.square().mul_scalar(-0.5).exp().mul_scalar(normal_density(0.0));
            &(-x.square()).add_scalar(2.0) * &density
        }),
    ),
];

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// y, or x where x is NaN.
fn keep_nan(x: f64, y: f64) -> f64 {
    if x.is_nan() { x } else { y }
}

/// y = f(x)
#[derive(Clone, Copy)]
struct Unary {
    function: &'static Function,
    a: f64,
    b: f64,
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.function.name
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        x[0].iter().map(|&v| keep_nan(v, (self.function.f)(v, self.a, self.b))).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let quads = y.numel().div_ceil(4);
        let kernel = Kernel::new(shader!("elementwise/unary.wgsl")).op(self.function.code, self.function.name);
        let uniforms = uniforms![quads, a: self.a, b: self.b];
        let slices = [x[0].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(quads), elementwise_work(x, y, 1));
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![match self.function.name {
            "affine" => Some(ct.affine(self.a, 0.0)),
            "sign" | "floor" => None,
            _ => Some(apply(UnaryGrad(*self), &[&x[0], ct])),
        }]
    }
}

/// dx = ct f'(x)
#[derive(Clone, Copy)]
struct UnaryGrad(Unary);

impl Op for UnaryGrad {
    fn name(&self) -> &'static str {
        "unary_grad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        if x[0] == x[1] { Ok(x[0].clone()) } else { Err("x and its cotangent differ in shape".into()) }
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let df = |v: f64| keep_nan(v, (self.0.function.df)(v, self.0.a, self.0.b));
        x[0].iter().zip(x[1].iter()).map(|(&v, &ct)| ct * df(v)).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let Unary { function, a, b } = self.0;
        let quads = y.numel().div_ceil(4);
        let kernel = Kernel::new(shader!("elementwise/unary_grad.wgsl")).op(function.code, function.name);
        let slices = [x[0].slice(), x[1].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms![quads, a, b], &slices, Workgroups::Elements(quads), elementwise_work(x, y, 2));
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let second = self.0.function.d2f.filter(|_| need[0]);
        vec![
            second.map(|d2f| &(ct * &x[1]) * &d2f(&x[0], self.0.a, self.0.b)),
            need[1].then(|| apply(*self, &[&x[0], ct])),
        ]
    }
}

impl Tensor {
    fn unary(&self, name: &str, a: f64, b: f64) -> Tensor {
        apply(Unary { function: Function::named(name), a, b }, &[self])
    }

    /// `a x + b`
    pub fn affine(&self, a: f64, b: f64) -> Tensor {
        self.unary("affine", a, b)
    }

    /// `x + b`
    pub fn add_scalar(&self, b: f64) -> Tensor {
        self.affine(1.0, b)
    }

    /// `a x`
    pub fn mul_scalar(&self, a: f64) -> Tensor {
        self.affine(a, 0.0)
    }

    /// `x` where positive, else `a x`.
    pub fn leaky_relu(&self, a: f64) -> Tensor {
        self.unary("leaky_relu", a, 0.0)
    }

    /// `x` where positive, else `a (exp(x) - 1)`.
    pub fn elu(&self, a: f64) -> Tensor {
        self.unary("elu", a, 0.0)
    }

    /// `min(max(x, lo), hi)`; the gradient passes where `lo <= x <= hi`.
    pub fn clamp(&self, lo: f64, hi: f64) -> Tensor {
        self.unary("clamp", lo, hi)
    }

    /// `x^a`, also of negative x where a is a whole number (else NaN); `0^0 = 1`.
    pub fn pow(&self, a: f64) -> Tensor {
        self.unary("pow", a, 0.0)
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident)*) => {
        impl Tensor {
            $($(#[$doc])* pub fn $name(&self) -> Tensor { self.unary(stringify!($name), 0.0, 0.0) })*
        }
    };
}

functions! {
    /// `x^2`
    square
    /// The square root.
    sqrt
    /// `1 / x`
    recip
    /// `e^x`
    exp
    /// The natural logarithm.
    log
    /// `|x|`; the gradient at 0 is 0.
    abs
    /// The sine; on a GPU within 2^-22 for |x| up to 8192.
    sin
    /// The cosine; on a GPU within 2^-22 for |x| up to 8192.
    cos
    /// The hyperbolic tangent.
    tanh
    /// `1 / (1 + e^-x)`
    sigmoid
    /// `log(1 + e^x)`
    softplus
    /// `x sigmoid(x)`, also called swish.
    silu
    /// `max(x, 0)`; the gradient at 0 is 0.
    relu
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`: the tanh form of the Gaussian error linear unit.
    gelu
    /// `x/2 (1 + erf(x / sqrt(2)))`: the Gaussian error linear unit itself.
    gelu_erf
    /// `2/sqrt(pi)` times the integral of `exp(-t^2)` from 0 to x.
    erf
    /// -1, 0 or 1.
    sign
    /// The largest whole number that is not above x; no gradient flows.
    floor
}

macro_rules! with_a_number {
    ($($tensor:ty)*) => { $(
        impl std::ops::Add<f64> for $tensor {
            type Output = Tensor;
            fn add(self, b: f64) -> Tensor {
                self.affine(1.0, b)
            }
        }
        impl std::ops::Sub<f64> for $tensor {
            type Output = Tensor;
            fn sub(self, b: f64) -> Tensor {
                self.affine(1.0, -b)
            }
        }
        impl std::ops::Mul<f64> for $tensor {
            type Output = Tensor;
            fn mul(self, a: f64) -> Tensor {
                self.affine(a, 0.0)
            }
        }
        impl std::ops::Div<f64> for $tensor {
            type Output = Tensor;
            fn div(self, a: f64) -> Tensor {
                self.affine(1.0 / a, 0.0)
            }
        }
    )* };
}

with_a_number!(Tensor & Tensor);

impl std::ops::Neg for &Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        self.affine(-1.0, 0.0)
    }
}

impl std::ops::Neg for Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        -&self
    }
}

/// Cases of every function, on a range clear of its kinks and poles.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for f in &FUNCTIONS {
        let (a, b) = match f.name {
            "affine" => (1.7, -0.3),
            "leaky_relu" => (0.2, 0.0),
            "elu" => (1.3, 0.0),
            "clamp" => (-1.0, 1.5),
            "pow" => (2.5, 0.0),
            _ => (0.0, 0.0),
        };
        let input = |n: usize| match f.name {
            "sqrt" | "log" | "pow" => Input::uniform([n], 0.3, 3.0),
            "clamp" => Input::apart([n], 1.6, 3.0),
            "floor" => Input::apart([n], 0.2, 0.8),
            "exp" => Input::unit([n]),
            _ => Input::apart([n], 0.2, 3.0),
        };
        // The last is read as texels on software adapters, in two rows of them.
        for n in [5, 0, 1, 1023, 4097, 20_001] {
            let run = move |x: &[Tensor]| x[0].unary(f.name, a, b);
            let case = Case::new(format!("{} {n}", f.name), [input(n)], run).ulps(16.0, 1.0);
            cases.push(case.order(if n == 5 { 2 } else { 0 }));
        }
    }
    // Whole exponents work for negative x; 2 and 3 also where a derivative meets a power of 0.
    for a in [0.0, 1.0, 2.0, 3.0, -1.0, -2.0] {
        let run = move |x: &[Tensor]| x[0].pow(a);
        cases.push(Case::new(format!("pow {a} of both signs"), [Input::apart([9], 0.4, 2.0)], run).ulps(16.0, 1.0));
    }
    // Digits near zero and far below it, with no absolute part in the bound (the smallest values are 1e-37).
    for (name, lo, hi) in [
        ("elu", 1e-6, 2.0),
        ("tanh", 1e-6, 2.0),
        ("erf", 1e-6, 3.0),
        ("sin", 1e-6, 0.7),
        ("softplus", 1.0, 80.0),
        ("sigmoid", 1.0, 80.0),
        ("silu", 1.0, 80.0),
    ] {
        let run = move |x: &[Tensor]| x[0].unary(name, 1.0, 0.0);
        // A function that falls as e^x has the relative error of x itself, here up to 80 eps.
        let ulps = 12.0 + hi;
        let case = Case::new(format!("{name} to the last digit"), [Input::uniform([257], -hi, -lo)], run);
        cases.push(case.ulps(ulps, 0.0).order(0));
        let df = move |x: &[Tensor]| {
            let one = Tensor::full(x[0].device(), x[0].shape(), 1.0);
            apply(UnaryGrad(Unary { function: Function::named(name), a: 1.0, b: 0.0 }), &[&x[0], &one])
        };
        let case = Case::new(format!("{name}'s derivative"), [Input::uniform([257], -hi.min(2.0), -lo)], df);
        cases.push(case.ulps(24.0, 0.1).order(0));
    }
    for name in ["sin", "cos"] {
        let run = move |x: &[Tensor]| x[0].unary(name, 0.0, 0.0);
        let case = Case::new(format!("{name} to 8192"), [Input::uniform([4096], -8192.0, 8192.0)], run);
        cases.push(case.ulps(2.0, 1.0).order(0));
    }
    let grad = |x: &[Tensor]| {
        apply(UnaryGrad(Unary { function: Function::named("leaky_relu"), a: 0.2, b: 0.0 }), &[&x[0], &x[1]])
    };
    let inputs = [Input::apart([20_001], 0.2, 3.0), Input::unit([20_001])];
    cases.push(Case::new("leaky_relu's gradient 20001", inputs, grad).ulps(4.0, 0.0).order(0));
    // Saturation: no NaN, no overflow far from zero.
    for name in ["tanh", "sigmoid", "softplus", "silu", "gelu", "gelu_erf", "erf", "elu"] {
        let run = move |x: &[Tensor]| x[0].unary(name, 0.0, 0.0);
        cases.push(Case::new(format!("{name} saturated"), [Input::apart([64], 50.0, 500.0)], run).order(0));
    }
    cases
}
