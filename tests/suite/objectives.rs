//! Training gradients against exact ones, where the normalising constant can be integrated on a grid.

use ebm::prelude::*;

/// E(x) = a x^2 + b x^4 on a fine grid over [-4, 4].
const N: usize = 8001;

fn grid() -> Vec<f64> {
    (0..N).map(|i| -4.0 + 8.0 * i as f64 / (N - 1) as f64).collect()
}

fn density(theta: [f64; 2]) -> Vec<f64> {
    let weights: Vec<f64> = grid().iter().map(|x| (-theta[0] * x * x - theta[1] * x.powi(4)).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Quantiles at evenly spaced levels: a sample of the density without Monte-Carlo noise.
fn sample(theta: [f64; 2], n: usize) -> Vec<f64> {
    let (p, x) = (density(theta), grid());
    let (mut i, mut cumulated) = (0, p[0]);
    let quantile = |k: usize| {
        let level = (k as f64 + 0.5) / n as f64;
        while cumulated < level && i + 1 < N {
            i += 1;
            cumulated += p[i];
        }
        x[i]
    };
    (0..n).map(quantile).collect()
}

#[test]
fn the_contrastive_gradient_is_the_gradient_of_the_likelihood() {
    let (truth, theta) = ([0.5, 0.1], [0.8, 0.3]);
    let device = Device::oracle();
    let leaf = Tensor::from_f64(&device, [2], theta.to_vec()).tracked();
    let energy = |x: Vec<f64>| {
        let x = Tensor::from_f64(&device, [x.len(), 1], x);
        Tensor::concat(&[&x.square(), &x.square().square()], 1).matmul(&leaf.reshape([2, 1]))
    };
    let loss = energy(sample(truth, 20_000)).mean() - energy(sample(theta, 20_000)).mean();
    let got = grad(&loss, &[&leaf])[0].to_f64().unwrap();

    // NLL(theta) = E_data[E_theta] + log Z(theta), differentiated numerically.
    let data = density(truth);
    let nll = |t: [f64; 2]| {
        let e = |x: f64| t[0] * x * x + t[1] * x.powi(4);
        let expected: f64 = data.iter().zip(grid()).map(|(p, x)| p * e(x)).sum();
        expected + grid().iter().map(|&x| (-e(x)).exp()).sum::<f64>().ln()
    };
    let h = 1e-5;
    let want = [
        (nll([theta[0] + h, theta[1]]) - nll([theta[0] - h, theta[1]])) / (2.0 * h),
        (nll([theta[0], theta[1] + h]) - nll([theta[0], theta[1] - h])) / (2.0 * h),
    ];
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() < 2e-3 * w.abs(), "{got:?} against {want:?}");
    }
}
