//! The Fréchet distance between two sets of features, each taken for a normal distribution (Heusel et al. 2017).

use crate::tensor::Key;

/// The distance between two sets of features `[n, dims]`, and the standard error of its estimate from these samples.
#[derive(Clone, Copy, Debug)]
pub struct Frechet {
    /// `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`; grows as n falls, so that only distances of one n compare.
    pub value: f64,
    /// The standard deviation over copies of the first set, drawn with replacement.
    pub error: f64,
}

/// Copies for the standard error.
const COPIES: u64 = 20;

/// The Fréchet distance of `a [n, dims]` from `b [m, dims]`.
pub fn frechet(a: &[f32], b: &[f32], dims: usize, key: &Key) -> Frechet {
    let truth = Normal::of(b.chunks_exact(dims), dims);
    let (root, n) = (truth.root(), a.len() / dims);
    let distance = |normal: &Normal| normal.distance(&truth, &root);
    let row = |i: usize| &a[i * dims..(i + 1) * dims];
    let copy = |k: u64| {
        let key = key.index(k);
        distance(&Normal::of((0..n as u64).map(|i| row(key.below(i, n))), dims))
    };
    let copies: Vec<f64> = (0..COPIES).map(copy).collect();
    let (_, error) = super::mean_and_std(&copies);
    Frechet { value: distance(&Normal::of(a.chunks_exact(dims), dims)), error }
}

/// Mean and covariance, row by row.
struct Normal {
    mean: Vec<f64>,
    covariance: Vec<f64>,
}

impl Normal {
    fn of<'a>(rows: impl Iterator<Item = &'a [f32]>, d: usize) -> Normal {
        let (mut n, mut sum, mut products) = (0.0, vec![0.0; d], vec![0.0; d * d]);
        for row in rows {
            n += 1.0;
            for i in 0..d {
                let x = f64::from(row[i]);
                sum[i] += x;
                for j in 0..=i {
                    products[i * d + j] += x * f64::from(row[j]);
                }
            }
        }
        let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
        let mut covariance = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..=i {
                let c = (products[i * d + j] - n * mean[i] * mean[j]) / (n - 1.0);
                (covariance[i * d + j], covariance[j * d + i]) = (c, c);
            }
        }
        Normal { mean, covariance }
    }

    /// The symmetric square root of the covariance.
    fn root(&self) -> Vec<f64> {
        let d = self.mean.len();
        let (values, vectors) = eigen(&self.covariance, d);
        let at = |i: usize, j: usize| -> f64 {
            (0..d).map(|k| vectors[i * d + k] * values[k].max(0.0).sqrt() * vectors[j * d + k]).sum()
        };
        (0..d * d).map(|ij| at(ij / d, ij % d)).collect()
    }

    /// The distance from `other`, whose covariance has this root R: `tr (C_a C_b)^(1/2)` is the trace of the root of R C_a R.
    fn distance(&self, other: &Normal, root: &[f64]) -> f64 {
        let d = self.mean.len();
        let shift: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let trace = |c: &[f64]| (0..d).map(|i| c[i * d + i]).sum::<f64>();
        let inner = product(&product(root, &self.covariance, d), root, d);
        let (values, _) = eigen(&inner, d);
        let common: f64 = values.iter().map(|v| v.max(0.0).sqrt()).sum();
        shift + trace(&self.covariance) + trace(&other.covariance) - 2.0 * common
    }
}

fn product(a: &[f64], b: &[f64], d: usize) -> Vec<f64> {
    let mut c = vec![0.0; d * d];
    for i in 0..d {
        for k in 0..d {
            let x = a[i * d + k];
            (0..d).for_each(|j| c[i * d + j] += x * b[k * d + j]);
        }
    }
    c
}

/// Eigenvalues and, in columns, eigenvectors of a symmetric matrix, by Jacobi's rotations.
fn eigen(matrix: &[f64], d: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let mut v: Vec<f64> = (0..d * d).map(|i| if i / d == i % d { 1.0 } else { 0.0 }).collect();
    let size: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..100 {
        let off: f64 = (0..d * d).filter(|i| i / d != i % d).map(|i| a[i] * a[i]).sum();
        if off <= 1e-24 * size {
            break;
        }
        for p in 0..d {
            for q in p + 1..d {
                if a[p * d + q] == 0.0 {
                    continue;
                }
                let theta = (a[q * d + q] - a[p * d + p]) / (2.0 * a[p * d + q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..d {
                    let (x, y) = (a[k * d + p], a[k * d + q]);
                    (a[k * d + p], a[k * d + q]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..d {
                    let (x, y) = (a[p * d + k], a[q * d + k]);
                    (a[p * d + k], a[q * d + k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (v[k * d + p], v[k * d + q]);
                    (v[k * d + p], v[k * d + q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..d).map(|i| a[i * d + i]).collect(), v)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Axis-aligned normals: `|m|^2 + sum (s_i - t_i)^2`, turned by 30 degrees so that covariances are not diagonal. Values beyond
    /// the third decimal are what 20 000 samples leave.
    #[test]
    fn distances_of_normals_are_the_closed_form() {
        let (n, key) = (20_000u64, Key::new(3));
        let (sine, cosine) = (0.5f64, 0.75f64.sqrt());
        let draw = |name: &str, shift: f64, [s, t]: [f64; 2]| -> Vec<f32> {
            let key = key.named(name);
            let point = |i: u64| {
                let (x, y) = (shift + s * key.normal(2 * i), t * key.normal(2 * i + 1));
                [(cosine * x - sine * y) as f32, (sine * x + cosine * y) as f32]
            };
            (0..n).flat_map(point).collect()
        };
        let a = draw("a", 0.0, [1.0, 0.3]);
        for (shift, scale) in [(0.0, [1.0, 0.3]), (0.7, [1.0, 0.3]), (0.2, [0.4, 1.1])] {
            let want = shift * shift + (scale[0] - 1.0f64).powi(2) + (scale[1] - 0.3f64).powi(2);
            let got = frechet(&draw("b", shift, scale), &a, 2, &key);
            assert!(
                (got.value - want).abs() < 5.0 * got.error + 1e-3,
                "{} +- {}, expected {want}",
                got.value,
                got.error
            );
            assert!(got.error < 0.03 && got.error > 0.0);
        }
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let (d, key) = (7, Key::new(5));
        let half: Vec<f64> = (0..d * d).map(|i| key.normal(i as u64)).collect();
        let matrix: Vec<f64> = (0..d * d).map(|ij| half[ij] + half[ij % d * d + ij / d]).collect();
        let (values, vectors) = eigen(&matrix, d);
        for ij in 0..d * d {
            let sum: f64 = (0..d).map(|k| vectors[ij / d * d + k] * values[k] * vectors[ij % d * d + k]).sum();
            assert!((sum - matrix[ij]).abs() < 1e-10, "{sum} {}", matrix[ij]);
        }
    }
}
