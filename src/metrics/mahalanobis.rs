//! How far a vector lies from a sample of others, in units of their spread.

/// `(v - m)^T C^-1 (v - m)` with mean m and covariance C (divided by n - 1) of a sample.
pub struct Mahalanobis {
    mean: Vec<f64>,
    /// L with C = L L^T, its rows as far as the diagonal.
    factor: Vec<Vec<f64>>,
}

/// What is added to each variance, as a part of it: combinations that do not vary in the sample stay finite.
const RIDGE: f64 = 1e-9;

impl Mahalanobis {
    /// From a sample of two vectors or more, all as long.
    pub fn of(sample: &[Vec<f64>]) -> Mahalanobis {
        let (n, dims) = (sample.len() as f64, sample[0].len());
        let mean: Vec<f64> = (0..dims).map(|d| sample.iter().map(|v| v[d]).sum::<f64>() / n).collect();
        let product = |i: usize, j: usize| sample.iter().map(|v| (v[i] - mean[i]) * (v[j] - mean[j])).sum::<f64>();
        let covariance = |i: usize, j: usize| product(i, j) / (n - 1.0);
        // Cholesky, row by row.
        let mut factor: Vec<Vec<f64>> = Vec::new();
        for i in 0..dims {
            let mut row: Vec<f64> = Vec::new();
            for (j, above) in factor.iter().enumerate() {
                row.push((covariance(i, j) - dot(&row, above)) / above[j]);
            }
            let variance = covariance(i, i);
            row.push(((variance - dot(&row, &row)).max(0.0) + RIDGE * variance + f64::MIN_POSITIVE).sqrt());
            factor.push(row);
        }
        Mahalanobis { mean, factor }
    }

    /// The squared distance of `v`: that of the sample's own vectors is their number of dimensions on average, times (n - 1) / n.
    pub fn square(&self, v: &[f64]) -> f64 {
        let mut solved: Vec<f64> = Vec::new();
        for (i, row) in self.factor.iter().enumerate() {
            solved.push((v[i] - self.mean[i] - dot(row, &solved)) / row[i]);
        }
        solved.iter().map(|x| x * x).sum()
    }
}

/// Of as many elements as both have.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Key;

    fn sample() -> Vec<Vec<f64>> {
        let key = Key::new(4);
        let normal = |i: u64, d: u64| key.index(d).normal(i);
        (0..50).map(|i| vec![3.0 + normal(i, 0), 0.5 * normal(i, 0) - 2.0 * normal(i, 1), 0.1 * normal(i, 2)]).collect()
    }

    #[test]
    fn distances_are_in_units_of_the_spread() {
        // Uncorrelated: the sum of squared deviations.
        let square = [[1.0, 2.0], [1.0, -2.0], [-1.0, 2.0], [-1.0, -2.0]].map(|v| v.to_vec());
        let near = Mahalanobis::of(&square);
        let [a, b] = [4.0 / 3.0, 16.0 / 3.0];
        assert!((near.square(&[3.0, 5.0]) - (9.0 / a + 25.0 / b)).abs() < 1e-6);
        let sample = sample();
        let near = Mahalanobis::of(&sample);
        let mean = sample.iter().map(|v| near.square(v)).sum::<f64>() / 50.0;
        assert!((mean - 3.0 * 49.0 / 50.0).abs() < 1e-6, "{mean}");
        assert!(near.square(&[f64::NAN, 0.0, 0.0]).is_nan());
    }

    /// Other coordinates do not change distances.
    #[test]
    fn distances_do_not_depend_on_units_and_axes() {
        let turned = |v: &[f64]| vec![v[0] + v[1], 1e3 * (v[1] - v[2]), v[2] + 7.0];
        let sample = sample();
        let near = Mahalanobis::of(&sample);
        let other = Mahalanobis::of(&sample.iter().map(|v| turned(v)).collect::<Vec<_>>());
        for v in [[0.0, 0.0, 0.0], [4.0, -3.0, 0.5]] {
            let [a, b] = [near.square(&v), other.square(&turned(&v))];
            assert!((a - b).abs() < 1e-4 * a, "{a} {b}");
        }
    }

    /// What never varies is no division by zero, and what then does is far away.
    #[test]
    fn a_direction_without_spread_is_told() {
        let near = Mahalanobis::of(&[vec![1.0, 0.0], vec![1.0, 1.0], vec![1.0, 2.0]]);
        assert!(near.square(&[1.0, 1.0]) < 1e-9 && near.square(&[1.1, 1.0]) > 1e3);
    }
}
