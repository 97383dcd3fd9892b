//! Area under the ROC curve.

use super::mean_and_std;

/// An AUC with its Monte-Carlo error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auc {
    /// P(score of a positive > score of a negative) + P(equal) / 2.
    pub value: f64,
    /// Standard error of `value` (DeLong et al. 1988).
    pub error: f64,
    pub n_positive: usize,
    pub n_negative: usize,
}

/// The AUC of a score that should be higher on `positive` than on `negative`, exact, ties counted half.
///
/// Density: positive = -E(data), negative = -E(uniform points on the box). Out-of-distribution detection (AUROC):
/// positive = E(outliers), negative = E(data). O((n + m) log(n + m)). Panics if either is empty.
#[track_caller]
pub fn auc(positive: &[f32], negative: &[f32]) -> Auc {
    assert!(!positive.is_empty() && !negative.is_empty(), "auc: needs scores of both kinds");
    let (n_positive, n_negative) = (positive.len(), negative.len());
    if positive.iter().chain(negative).any(|s| s.is_nan()) {
        return Auc { value: f64::NAN, error: f64::NAN, n_positive, n_negative };
    }
    let (positive, negative) = (sorted(positive), sorted(negative));
    // For each score, the share of the other kind that it beats: their means are the AUC, their spread its error.
    let wins = shares_below(&positive, &negative);
    let losses = shares_below(&negative, &positive);
    let ((value, spread_p), (_, spread_n)) = (mean_and_std(&wins), mean_and_std(&losses));
    let error = (spread_p * spread_p / n_positive as f64 + spread_n * spread_n / n_negative as f64).sqrt();
    Auc { value, error, n_positive, n_negative }
}

fn sorted(scores: &[f32]) -> Vec<f32> {
    let mut s: Vec<f32> = scores.iter().map(|&v| v + 0.0).collect(); // -0 + 0 = 0: both zeros are equal
    s.sort_unstable_by(f32::total_cmp);
    s
}

/// For each of the sorted `scores`: (number of `others` below + half the number equal) / number of others.
fn shares_below(scores: &[f32], others: &[f32]) -> Vec<f64> {
    let (mut below, mut up_to) = (0, 0);
    let share = |&s: &f32| {
        while below < others.len() && others[below] < s {
            below += 1;
        }
        while up_to < others.len() && others[up_to] <= s {
            up_to += 1;
        }
        (below + up_to) as f64 / (2 * others.len()) as f64
    };
    scores.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Toy;
    use crate::tensor::Key;

    #[test]
    fn small_cases_agree_with_counting_by_hand() {
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]).value, 1.0);
        assert_eq!(auc(&[1.0, 2.0], &[3.0, 4.0]).value, 0.0);
        assert_eq!(auc(&[1.0, 1.0], &[1.0, 1.0, 1.0]).value, 0.5);
        // Pairs: 3 beats three and ties one; 2 beats 1, ties 2 and loses twice.
        assert_eq!(auc(&[3.0, 2.0], &[1.0, 2.0, 2.5, 3.0]).value, (3.5 + 1.5) / 8.0);
        assert_eq!(auc(&[f32::NEG_INFINITY, 0.0], &[f32::NEG_INFINITY, -0.0]).value, 0.5);
        assert!(auc(&[f32::NAN, 1.0], &[0.0]).value.is_nan());
    }

    /// The stated ceilings, within 4 standard errors of a Monte-Carlo estimate from the exact densities.
    #[test]
    fn exact_densities_reach_the_auc_ceilings() {
        let n = 10_000;
        for (toy, known) in [(Toy::EightGaussians, 0.903), (Toy::CheckerboardA, 0.75), (Toy::CheckerboardB, 0.75)] {
            let key = Key::new(11).named(toy.name());
            let [lo, hi] = toy.bounds();
            let score = |p: &[f32; 2]| toy.log_density(p.map(f64::from)).unwrap() as f32;
            let data = toy.sample(n, &key.named("data"));
            let uniform = key.named("uniform");
            let box_points: Vec<f32> =
                (0..2 * n as u64).map(|i| (lo + (hi - lo) * uniform.uniform(i)) as f32).collect();
            let scores = |points: &[f32]| points.as_chunks().0.iter().map(score).collect::<Vec<_>>();
            let auc = auc(&scores(&data), &scores(&box_points));
            assert!((auc.value - known).abs() < 4.0 * auc.error + 5e-4, "{}: {auc:?}", toy.name());
            assert!((0.001..0.004).contains(&auc.error), "{auc:?}");
        }
    }
}
