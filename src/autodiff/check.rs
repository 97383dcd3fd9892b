//! Gradient checks against central differences, in f64, to any order. Public: check your own energies with it.

use super::grad_graph;
use crate::tensor::{Array, Device, Key, Tensor};

/// Compares the analytic directional derivative of `f` at `xs` with a central difference, and recursively that of its
/// vector-Jacobian product as a function of `xs` and of the cotangent, up to `order`.
///
/// Returns the largest error found, relative to the size of the terms. Computed on the oracle: f64 throughout.
pub fn check_grads(f: &dyn Fn(&[Tensor]) -> Tensor, xs: &[Array], order: u32, key: &Key) -> f64 {
    let error = numeric_gradient_error(f, xs, key);
    if order <= 1 {
        return error;
    }
    // The vector-Jacobian product, contracted with fixed random directions, is a function of (xs, ct) to check again.
    let ct = random_like(&f(&tensors(xs)).array(), &key.named("cotangent"));
    let directions: Vec<Array> =
        xs.iter().enumerate().map(|(i, x)| random_like(x, &key.named("direction").index(i as u64))).collect();
    let n = xs.len();
    let product = |inputs: &[Tensor]| {
        let (x, ct) = (&inputs[..n], &inputs[n]);
        let x: Vec<Tensor> = x.iter().map(|x| if x.is_tracked() { x.clone() } else { x.tracked() }).collect();
        let scalar = (&f(&x) * ct).sum();
        let zero = Tensor::scalar(&Device::Oracle, 0.0);
        if !scalar.is_tracked() {
            return zero;
        }
        let grads = grad_graph(&scalar, &x.iter().collect::<Vec<_>>());
        grads.iter().zip(&directions).fold(zero, |sum, (g, d)| sum + (g * &tensor(d)).sum())
    };
    let inputs: Vec<Array> = xs.iter().cloned().chain([ct]).collect();
    error.max(check_grads(&product, &inputs, order - 1, &key.named("next order")))
}

/// The error of the first derivative of `f` along one random direction.
pub fn numeric_gradient_error(f: &dyn Fn(&[Tensor]) -> Tensor, xs: &[Array], key: &Key) -> f64 {
    let directions: Vec<Array> = xs.iter().enumerate().map(|(i, x)| random_like(x, &key.index(i as u64))).collect();
    let weights = random_like(&f(&tensors(xs)).array(), &key.named("weights"));
    let scalar = |xs: &[Tensor]| (&f(xs) * &tensor(&weights)).sum();

    let tracked: Vec<Tensor> = xs.iter().map(|x| tensor(x).tracked()).collect();
    let y = scalar(&tracked);
    let analytic = if y.is_tracked() {
        let grads = grad_graph(&y, &tracked.iter().collect::<Vec<_>>());
        let dot = |g: &Tensor, d: &Array| g.array().iter().zip(d.iter()).map(|(a, b)| a * b).sum::<f64>();
        grads.iter().zip(&directions).map(|(g, d)| dot(g, d)).sum()
    } else {
        0.0
    };
    let shifted = |h: f64| {
        let moved = |(x, d): (&Array, &Array)| {
            Array::new(x.shape.clone(), x.iter().zip(d.iter()).map(|(x, d)| x + h * d).collect())
        };
        let moved: Vec<Array> = xs.iter().zip(&directions).map(moved).collect();
        scalar(&tensors(&moved)).array()[0]
    };
    // Four points: the truncation error is O(h^4), the rounding error about 1e-16 / h.
    let h = 1e-3;
    let numeric = (8.0 * (shifted(h) - shifted(-h)) - (shifted(2.0 * h) - shifted(-2.0 * h))) / (12.0 * h);
    (analytic - numeric).abs() / analytic.abs().max(numeric.abs()).max(1.0)
}

fn tensor(x: &Array) -> Tensor {
    Tensor::from_f64(&Device::Oracle, x.shape.clone(), x.to_vec())
}

fn tensors(xs: &[Array]) -> Vec<Tensor> {
    xs.iter().map(tensor).collect()
}

fn random_like(x: &Array, key: &Key) -> Array {
    Array::new(x.shape.clone(), (0..x.len() as u64).map(|i| 2.0 * key.uniform(i) - 1.0).collect())
}
