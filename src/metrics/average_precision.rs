//! Area under the precision-recall curve.

use super::mean_and_std;
use crate::tensor::Key;

/// An average precision with its Monte-Carlo error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePrecision {
    /// `AP = sum_k (R_k - R_(k-1)) P_k` over the thresholds between distinct scores, the largest first.
    pub value: f64,
    /// Standard error of `value`: the spread of its bootstrap copies.
    pub error: f64,
    /// What a score that knows nothing reaches: the share of positives.
    pub chance: f64,
}

/// Bootstrap copies.
const COPIES: u64 = 200;

/// The average precision (AUPRC) of a score that should be higher on `positive` than on `negative`. Equal scores are one
/// threshold; no interpolation between thresholds, which would flatter (Davis & Goadrich 2006).
///
/// The error is the standard deviation over 200 bootstrap copies, each with as many positives and negatives drawn with
/// replacement. Panics if either is empty.
#[track_caller]
pub fn average_precision(positive: &[f32], negative: &[f32], key: &Key) -> AveragePrecision {
    let (n, m) = (positive.len(), negative.len());
    assert!(n > 0 && m > 0, "average_precision: needs scores of both kinds");
    let chance = n as f64 / (n + m) as f64;
    let scores = || positive.iter().chain(negative);
    if scores().any(|s| s.is_nan()) {
        return AveragePrecision { value: f64::NAN, error: f64::NAN, chance };
    }
    // Highest score first, each with where it came from.
    let mut order: Vec<(f32, usize)> = scores().map(|&s| s + 0.0).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let of = |weights: &[u32]| -> f64 {
        let (mut hits, mut all, mut area) = (0u64, 0u64, 0.0);
        for tied in order.chunk_by(|a, b| a.0 == b.0) {
            let more: u64 = tied.iter().filter(|(_, i)| *i < n).map(|(_, i)| u64::from(weights[*i])).sum();
            all += tied.iter().map(|(_, i)| u64::from(weights[*i])).sum::<u64>();
            hits += more;
            if more > 0 {
                area += more as f64 / n as f64 * hits as f64 / all as f64;
            }
        }
        area
    };
    let copy = |b: u64| {
        let (positives, negatives) = (key.index(b).named("positives"), key.index(b).named("negatives"));
        let mut weights = vec![0; n + m];
        (0..n).for_each(|i| weights[positives.below(i as u64, n)] += 1);
        (0..m).for_each(|i| weights[n + negatives.below(i as u64, m)] += 1);
        of(&weights)
    };
    let copies: Vec<f64> = (0..COPIES).map(copy).collect();
    AveragePrecision { value: of(&vec![1; n + m]), error: mean_and_std(&copies).1, chance }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::auc;

    fn value(positive: &[f32], negative: &[f32]) -> f64 {
        average_precision(positive, negative, &Key::new(0)).value
    }

    #[test]
    fn small_cases_agree_with_the_sum_by_hand() {
        assert_eq!(value(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        // Ranks of the positives: 1 and 3. (1/2) (1/1) + (1/2) (2/3).
        assert!((value(&[0.35, 0.8], &[0.1, 0.4]) - 5.0 / 6.0).abs() < 1e-12);
        // All below: thresholds at ranks 3 and 4.
        assert!((value(&[1.0, 2.0], &[3.0, 4.0]) - 0.5 * (1.0 / 3.0 + 2.0 / 4.0)).abs() < 1e-12);
        // One threshold for all.
        let tied = average_precision(&[1.0, 1.0], &[1.0, 1.0, 1.0], &Key::new(0));
        assert!((tied.value - 0.4).abs() < 1e-12 && tied.error < 1e-12 && tied.chance == 0.4, "{tied:?}");
        assert!(value(&[f32::NAN, 1.0], &[0.0]).is_nan());
    }

    /// Positives N(d, 1), negatives N(0, 1): AUROC = Phi(d / sqrt 2), AUPRC = the integral of TPR / (TPR + FPR) dTPR.
    /// The stated errors are the spread over repetitions, and the means agree with the closed forms.
    #[test]
    fn two_normals_have_their_closed_form_and_the_error_is_honest() {
        let (n, d, repetitions) = (150, 1.2, 60);
        let phi = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let step = 1e-3;
        let (mut tpr, mut fpr, mut auprc, mut auroc) = (0.0, 0.0, 0.0, 0.0);
        for i in 0..16_000 {
            let t = 8.0 - (i as f64 + 0.5) * step;
            let more = phi(t - d) * step;
            auprc += more * (tpr + 0.5 * more) / (tpr + 0.5 * more + fpr + 0.5 * phi(t) * step);
            auroc += phi(t) * step * (tpr + 0.5 * more);
            (tpr, fpr) = (tpr + more, fpr + phi(t) * step);
        }
        assert!((auroc - 0.80193).abs() < 1e-4, "Phi(1.2 / sqrt 2) = {auroc}");
        let draws: Vec<[[f64; 2]; 2]> = (0..repetitions)
            .map(|r| {
                let key = Key::new(9).index(r);
                let normal = |name: &str, mean: f64| -> Vec<f32> {
                    (0..n).map(|i| (key.named(name).normal(i) + mean) as f32).collect()
                };
                let (positive, negative) = (normal("p", d), normal("n", 0.0));
                let (roc, pr) = (auc(&positive, &negative), average_precision(&positive, &negative, &key));
                [[roc.value, roc.error], [pr.value, pr.error]]
            })
            .collect();
        // The average precision of n = 150 is biased upwards by about 1 / n.
        for (k, (exact, bias)) in [(auroc, 0.0), (auprc, 1.0 / n as f64)].into_iter().enumerate() {
            let column = |c: usize| draws.iter().map(|d| d[k][c]).collect::<Vec<f64>>();
            let ((mean, spread), (error, _)) = (mean_and_std(&column(0)), mean_and_std(&column(1)));
            let bound = 4.0 * spread / (repetitions as f64).sqrt() + bias;
            assert!((mean - exact).abs() < bound, "{k}: {mean}, exactly {exact}");
            assert!((spread / error - 1.0).abs() < 0.35, "{k}: spread {spread}, stated {error}");
        }
    }
}
