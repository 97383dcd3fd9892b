//! NaN and infinities: one rule (see `ebm::ops`), the same on both devices.

use crate::support;
use ebm::ops::list;
use ebm::prelude::*;

const INF: f32 = f32::INFINITY;

/// What a function gives on the oracle and on the GPU, where there is one.
fn on_both(test: &str, f: impl Fn(&Device) -> Tensor) -> Vec<Vec<f64>> {
    let devices = [Some(Device::oracle()), support::gpu(test, false), support::gpu(test, true)];
    devices.iter().flatten().map(|device| f(device).to_f64().unwrap()).collect()
}

/// Equal as numbers; NaN equals NaN. The GPU's smallest numbers may be 0.
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * a.abs().min(b.abs()) + 1e-34
}

#[track_caller]
fn expect(test: &str, want: &[f64], f: impl Fn(&Device) -> Tensor) {
    for got in on_both(test, f) {
        let agrees = got.len() == want.len() && got.iter().zip(want).all(|(&a, &b)| same(a, b));
        assert!(agrees, "{test}: {got:?}, not {want:?}");
    }
}

type Unary = fn(&Tensor) -> Tensor;

/// Every elementwise function with its values at -inf and inf.
const FUNCTIONS: [(&str, Unary, f64, f64); 24] = [
    ("affine", |x| x.affine(2.0, 1.0), -f64::INFINITY, f64::INFINITY),
    ("square", Tensor::square, f64::INFINITY, f64::INFINITY),
    ("sqrt", Tensor::sqrt, f64::NAN, f64::INFINITY),
    ("recip", Tensor::recip, 0.0, 0.0),
    ("exp", Tensor::exp, 0.0, f64::INFINITY),
    ("log", Tensor::log, f64::NAN, f64::INFINITY),
    ("abs", Tensor::abs, f64::INFINITY, f64::INFINITY),
    ("sin", Tensor::sin, f64::NAN, f64::NAN),
    ("cos", Tensor::cos, f64::NAN, f64::NAN),
    ("tanh", Tensor::tanh, -1.0, 1.0),
    ("sigmoid", Tensor::sigmoid, 0.0, 1.0),
    ("softplus", Tensor::softplus, 0.0, f64::INFINITY),
    ("silu", Tensor::silu, 0.0, f64::INFINITY),
    ("relu", Tensor::relu, 0.0, f64::INFINITY),
    ("leaky_relu", |x| x.leaky_relu(0.5), -f64::INFINITY, f64::INFINITY),
    ("elu", |x| x.elu(1.5), -1.5, f64::INFINITY),
    ("gelu", Tensor::gelu, 0.0, f64::INFINITY),
    ("gelu_erf", Tensor::gelu_erf, 0.0, f64::INFINITY),
    ("erf", Tensor::erf, -1.0, 1.0),
    ("clamp", |x| x.clamp(-1.0, 2.0), -1.0, 2.0),
    ("sign", Tensor::sign, -1.0, 1.0),
    ("floor", Tensor::floor, -f64::INFINITY, f64::INFINITY),
    ("pow 2", |x| x.pow(2.0), f64::INFINITY, f64::INFINITY),
    ("pow 3", |x| x.pow(3.0), -f64::INFINITY, f64::INFINITY),
];

#[test]
fn elementwise_functions_keep_nan_and_take_their_limits_at_infinity() {
    for (name, f, low, high) in FUNCTIONS {
        let input = |device: &Device| Tensor::new(device, [3], &[f32::NAN, -INF, INF]);
        expect(name, &[f64::NAN, low, high], |device| f(&input(device)));
    }
}

#[test]
fn derivatives_at_nan_are_nan_and_devices_agree_on_those_at_infinity() {
    // Derivatives of affine are constants; sign and floor have none.
    for (name, f, ..) in FUNCTIONS.into_iter().filter(|f| !["affine", "sign", "floor"].contains(&f.0)) {
        let slope = |device: &Device| {
            let x = Tensor::new(device, [5], &[f32::NAN, -INF, INF, -1.0, 1.0]).tracked();
            grad(&f(&x).sum(), &[&x]).remove(0)
        };
        let want = slope(&Device::oracle()).to_f64().unwrap();
        assert!(want[0].is_nan(), "{name}: {want:?}");
        let around: Vec<f64> = want.iter().map(|&v| if v.is_finite() { v as f32 as f64 } else { v }).collect();
        for got in on_both(name, slope) {
            let near = |(&a, &b): (&f64, &f64)| same(a, b) || (a - b).abs() < 1e-5;
            assert!(got.iter().zip(&around).all(near), "{name}': {got:?}, the oracle {want:?}");
        }
    }
}

#[test]
fn powers_of_zero_and_of_negative_numbers() {
    let x = |device: &Device| Tensor::new(device, [3], &[0.0, -2.0, 2.0]);
    for (a, want) in [
        (0.0, [1.0, 1.0, 1.0]),
        (2.0, [0.0, 4.0, 4.0]),
        (3.0, [0.0, -8.0, 8.0]),
        (-1.0, [f64::INFINITY, -0.5, 0.5]),
        (-2.0, [f64::INFINITY, 0.25, 0.25]),
        (0.5, [0.0, f64::NAN, std::f64::consts::SQRT_2]),
    ] {
        expect("pow", &want, |device| x(device).pow(a));
        expect("pow_tensor", &want, |device| x(device).pow_tensor(&Tensor::scalar(device, a)));
    }
    let slope = |device: &Device| {
        let (a, b) = (x(device).tracked(), Tensor::full(device, [3], 2.0).tracked());
        let g = grad(&a.pow_tensor(&b).narrow(0, 0, 1).sum(), &[&a, &b]);
        Tensor::concat(&[&g[0], &g[1]], 0)
    };
    for got in on_both("the slope of 0^2", slope) {
        assert_eq!((got[0], got[3]), (0.0, 0.0));
    }
}

#[test]
fn comparisons_with_nan_are_false_and_extremes_of_nan_are_nan() {
    let a = |device: &Device| Tensor::new(device, [4], &[f32::NAN, 1.0, f32::NAN, INF]);
    let b = |device: &Device| Tensor::new(device, [4], &[1.0, f32::NAN, f32::NAN, INF]);
    expect("less", &[0.0; 4], |d| a(d).less(&b(d)));
    expect("less_equal", &[0.0, 0.0, 0.0, 1.0], |d| a(d).less_equal(&b(d)));
    expect("greater", &[0.0; 4], |d| a(d).greater(&b(d)));
    expect("equal", &[0.0, 0.0, 0.0, 1.0], |d| a(d).equal(&b(d)));
    expect("is_nan", &[1.0, 0.0, 1.0, 0.0], |d| a(d).is_nan());
    let nan = [f64::NAN, f64::NAN, f64::NAN, f64::INFINITY];
    expect("maximum", &nan, |d| a(d).maximum(&b(d)));
    expect("minimum", &nan, |d| a(d).minimum(&b(d)));
}

/// Rows of -inf, with one NaN, with one inf, and with a single finite element; short, and long enough for workgroups.
fn rows(device: &Device, n: usize) -> Tensor {
    let mut values = vec![-INF; 4 * n];
    values[n..3 * n].fill(0.5);
    values[n + n / 2] = f32::NAN;
    values[3 * n - 1] = INF;
    values[3 * n + 1] = 0.5;
    Tensor::new(device, [4, n], &values)
}

#[test]
fn reductions_of_infinities_and_nan() {
    let [inf, nan] = [f64::INFINITY, f64::NAN];
    for n in [5, 8, 67, 40_000] {
        let half = (n / 2) as f64;
        for transposed in [false, true] {
            let x = |d: &Device| if transposed { rows(d, n).transpose() } else { rows(d, n) };
            let axis = if transposed { 0 } else { 1 };
            expect("max", &[-inf, nan, inf, 0.5], |d| x(d).max_axes(&[axis]));
            expect("min of the negative", &[inf, nan, -inf, -0.5], |d| (-x(d)).min_axes(&[axis]));
            expect("sum", &[-inf, nan, inf, -inf], |d| x(d).sum_axes(&[axis]));
            expect("argmax", &[0.0, half, (n - 1) as f64, 1.0], |d| x(d).argmax(axis));
            expect("logsumexp", &[-inf, nan, inf, 0.5], |d| x(d).logsumexp(&[axis]));
        }
        let x = |d: &Device| rows(d, n).narrow(0, 0, 1).tracked();
        // All elements tie, and share the gradient.
        let max_slope = |d: &Device| {
            let x = x(d);
            grad(&x.max_axes(&[1]), &[&x]).remove(0)
        };
        expect("the slope of max", &vec![1.0 / n as f64; n], max_slope);
        let slope = |d: &Device| {
            let x = x(d);
            grad(&x.logsumexp(&[1]), &[&x]).remove(0)
        };
        expect("the slope of logsumexp", &vec![0.0; n], slope);
    }
}

#[test]
fn extremes_of_nothing_are_infinite_and_its_mean_is_nan() {
    let none = |d: &Device| Tensor::zeros(d, [2, 0]);
    expect("max", &[-f64::INFINITY; 2], |d| none(d).max_axes(&[1]));
    expect("min", &[f64::INFINITY; 2], |d| none(d).min_axes(&[1]));
    expect("logsumexp", &[-f64::INFINITY; 2], |d| none(d).logsumexp(&[1]));
    expect("sum", &[0.0; 2], |d| none(d).sum_axes(&[1]));
    expect("mean", &[f64::NAN; 2], |d| none(d).mean_axes(&[1]));
}

#[test]
fn softmax_of_a_row_without_a_finite_element_is_zero() {
    let [inf, nan] = [f64::INFINITY, f64::NAN];
    for n in [5, 8, 67, 4096] {
        let row = |d: &Device, i: usize| rows(d, n).narrow(0, i, 1);
        let only = |value: f64, rest: f64| (0..n).map(|i| if i == 1 { value } else { rest }).collect::<Vec<_>>();
        expect("softmax", &vec![0.0; n], |d| row(d, 0).softmax(1));
        expect("log_softmax", &vec![-inf; n], |d| row(d, 0).log_softmax(1));
        expect("softmax", &only(1.0, 0.0), |d| row(d, 3).softmax(1));
        expect("log_softmax", &only(0.0, -inf), |d| row(d, 3).log_softmax(1));
        for i in [1, 2] {
            expect("softmax", &vec![nan; n], |d| row(d, i).softmax(1));
            expect("log_softmax", &vec![nan; n], |d| row(d, i).log_softmax(1));
        }
        let slope = |d: &Device| {
            let x = row(d, 0).tracked();
            grad(&(&x.softmax(1) * &Tensor::iota(d, n)).sum(), &[&x]).remove(0)
        };
        expect("the slope of softmax", &vec![0.0; n], slope);
    }
}

/// A NaN in any input of any op shows in the same elements of the result on both devices. (The padding of a convolution
/// may take part as zeros, and 0 NaN = NaN.)
#[test]
fn nan_spreads_alike_on_both_devices() {
    let name = "nan_spreads_alike_on_both_devices";
    let gpus = [
        support::gpu(name, false),
        support::gpu_as(name, |p| (p.software, p.subgroup) = (false, None)),
        support::gpu_as(name, |p| (p.software, p.subgroup) = (true, None)),
    ];
    let mut failures = Vec::new();
    for (entry, case) in list().iter().flat_map(|e| (e.cases)().into_iter().map(move |c| (e.name, c))) {
        let count = |case: &ebm::ops::Case| case.inputs.iter().map(|i| i.shape.numel()).sum::<usize>();
        if count(&case) > 100_000 {
            continue;
        }
        let values = case.draw(&Key::new(7).named(&case.label));
        for i in (0..values.len()).filter(|&i| case.inputs[i].differentiable() && !values[i].is_empty()) {
            let mut values = values.clone();
            let at = values[i].len() / 2;
            values[i][at] = f64::NAN;
            let nan = |device: &Device| -> Vec<bool> {
                let y = (case.run)(&case.tensors(device, &values)).to_f64().unwrap();
                y.iter().map(|v| v.is_nan()).collect()
            };
            let want = nan(&Device::oracle());
            for got in gpus.iter().flatten().map(nan) {
                let padded = ["conv2d", "conv_variants"].contains(&entry);
                let wrong = |&j: &usize| got[j] != want[j] && (want[j] || !padded);
                if let Some(j) = (0..want.len()).find(wrong) {
                    failures.push(format!("{entry} {}: input {i}, element {j}: oracle {}", case.label, want[j]));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
