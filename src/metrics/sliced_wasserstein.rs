//! Sliced Wasserstein distances between two samples.

use super::mean_and_std;
use crate::tensor::Key;

/// SW_p = (mean over directions and sorted pairs of |a_(i) - b_(i)|^p)^(1/p) for p = 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlicedWasserstein {
    pub sw1: f64,
    pub sw2: f64,
    /// Points in each sample. The value depends on it: compare only at equal n, beside the [`floor`].
    pub n: usize,
    pub projections: usize,
}

/// What SW is between two independent samples of the truth: mean and deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// [mean, deviation] of SW1.
    pub sw1: [f64; 2],
    /// [mean, deviation] of SW2.
    pub sw2: [f64; 2],
    pub n: usize,
    pub seeds: usize,
}

/// SW_1 and SW_2 of `a` and `b`, both `[n, dim]` row-major, over `projections` directions uniform on the sphere.
///
/// Protocol: n = 10 000, 1000 projections, the mean of five seeds. The result does not depend on the number of threads.
/// Panics if the samples differ in size or are empty.
#[track_caller]
pub fn sliced_wasserstein(a: &[f32], b: &[f32], dim: usize, projections: usize, key: &Key) -> SlicedWasserstein {
    assert!(
        a.len() == b.len() && !a.is_empty() && a.len().is_multiple_of(dim) && projections > 0,
        "sliced_wasserstein: samples of {} and {} values in {dim} dimensions, {projections} projections",
        a.len(),
        b.len()
    );
    // Each direction's two means are kept and added in order, whoever computed them.
    let mut means = vec![[0.0; 2]; projections];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = projections.div_ceil(threads);
    let directions: Vec<Vec<f32>> = (0..projections as u64).map(|i| direction(dim, &key.index(i))).collect();
    let work = |directions: &[Vec<f32>], part: &mut [[f64; 2]]| {
        let (mut pa, mut pb) = (Vec::new(), Vec::new());
        for (direction, out) in directions.iter().zip(part) {
            project(a, direction, &mut pa);
            project(b, direction, &mut pb);
            *out = pair_means(&pa, &pb);
        }
    };
    if threads == 1 {
        work(&directions, &mut means);
    } else {
        std::thread::scope(|scope| {
            for (directions, part) in directions.chunks(share).zip(means.chunks_mut(share)) {
                scope.spawn(move || work(directions, part));
            }
        });
    }
    let mean = |p: usize| means.iter().map(|m| m[p]).sum::<f64>() / projections as f64;
    SlicedWasserstein { sw1: mean(0), sw2: mean(1).sqrt(), n: a.len() / dim, projections }
}

/// The noise floor: SW between pairs of independent samples `[n, dim]` of the truth, over `seeds` pairs.
#[track_caller]
pub fn floor(sample: impl Fn(&Key) -> Vec<f32>, dim: usize, projections: usize, seeds: usize, key: &Key) -> Floor {
    assert!(seeds > 1, "floor: a deviation needs at least two seeds");
    let score = |seed: usize| {
        let key = key.index(seed as u64);
        let (a, b) = (sample(&key.named("one")), sample(&key.named("other")));
        sliced_wasserstein(&a, &b, dim, projections, &key.named("directions"))
    };
    let scores: Vec<SlicedWasserstein> = (0..seeds).map(score).collect();
    let over_seeds = |value: fn(&SlicedWasserstein) -> f64| {
        let (mean, std) = mean_and_std(&scores.iter().map(value).collect::<Vec<_>>());
        [mean, std]
    };
    Floor { sw1: over_seeds(|s| s.sw1), sw2: over_seeds(|s| s.sw2), n: scores[0].n, seeds }
}

/// A direction uniform on the unit sphere: normalised standard normals.
fn direction(dim: usize, key: &Key) -> Vec<f32> {
    let v: Vec<f64> = (0..dim as u64).map(|i| key.normal(i)).collect();
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter().map(|x| (x / length) as f32).collect()
}

/// The sorted projections of all points on `direction`.
fn project(points: &[f32], direction: &[f32], out: &mut Vec<f32>) {
    let dot = |p: &[f32]| p.iter().zip(direction).map(|(x, d)| x * d).sum::<f32>();
    out.clear();
    out.extend(points.chunks_exact(direction.len()).map(dot));
    out.sort_unstable_by(f32::total_cmp);
}

/// Means of |a_i - b_i| and (a_i - b_i)^2.
fn pair_means(a: &[f32], b: &[f32]) -> [f64; 2] {
    let (mut first, mut second) = (0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let gap = f64::from(*x) - f64::from(*y);
        first += gap.abs();
        second += gap * gap;
    }
    [first / a.len() as f64, second / a.len() as f64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Toy;

    #[test]
    fn in_one_dimension_it_is_the_mean_gap_of_sorted_values() {
        let sw = sliced_wasserstein(&[0.0, 2.0, 5.0], &[6.0, 0.0, 1.0], 1, 3, &Key::new(0));
        assert!((sw.sw1 - 2.0 / 3.0).abs() < 1e-12 && (sw.sw2 - (2.0f64 / 3.0).sqrt()).abs() < 1e-12, "{sw:?}");
        let same = sliced_wasserstein(&[0.0, 2.0], &[2.0, 0.0], 1, 3, &Key::new(0));
        assert_eq!((same.sw1, same.sw2), (0.0, 0.0));
        assert!(sliced_wasserstein(&[0.0, f32::NAN], &[2.0, 0.0], 1, 3, &Key::new(0)).sw1.is_nan());
    }

    /// W_2 of N(0, 1) and N(m, s^2) is sqrt(m^2 + (s - 1)^2); W_1 of a pure shift is |m|.
    /// A quantile sum over n points has a deviation of about sqrt((1 + s^2) / n) in the shift.
    #[test]
    fn gaussians_have_their_closed_form_distance() {
        let n = 40_000;
        let normals = |name: &str, m: f64, s: f64| -> Vec<f32> {
            let key = Key::new(5).named(name);
            (0..n).map(|i| (m + s * key.normal(i)) as f32).collect()
        };
        let sw = sliced_wasserstein(&normals("a", 0.0, 1.0), &normals("b", 1.5, 2.0), 1, 1, &Key::new(0));
        assert!((sw.sw2 - (1.5f64 * 1.5 + 1.0).sqrt()).abs() < 5.0 * (5.0 / n as f64).sqrt(), "{sw:?}");
        let sw = sliced_wasserstein(&normals("a", 0.0, 1.0), &normals("b", 1.5, 1.0), 1, 1, &Key::new(0));
        assert!((sw.sw1 - 1.5).abs() < 5.0 * (2.0 / n as f64).sqrt(), "{sw:?}");
    }

    /// A shift by (1, 0): SW_1 = E|cos| = 2/pi, SW_2 = sqrt(E cos^2) = 1/sqrt(2).
    #[test]
    fn a_shift_in_the_plane_is_averaged_over_directions() {
        let a = Toy::EightGaussians.sample(500, &Key::new(1));
        let b: Vec<f32> = a.iter().enumerate().map(|(i, v)| v + if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
        let sw = sliced_wasserstein(&a, &b, 2, 4000, &Key::new(2));
        assert!((sw.sw1 - 2.0 / std::f64::consts::PI).abs() < 5.0 * 0.31 / 4000f64.sqrt(), "{sw:?}");
        assert!((sw.sw2 - 0.5f64.sqrt()).abs() < 5.0 * 0.25 / 4000f64.sqrt(), "{sw:?}");
    }

    /// The published floors at n = 10 000 with their deviations; a mean of five pairs must lie within one of them.
    #[test]
    fn true_against_true_gives_the_known_floors() {
        let cases = [
            (Toy::EightGaussians, [0.031, 0.011], [0.048, 0.019]),
            (Toy::CheckerboardB, [0.068, 0.015], [0.089, 0.020]),
        ];
        for (toy, sw1, sw2) in cases {
            let start = std::time::Instant::now();
            let floor = floor(|key| toy.sample(10_000, key), 2, 1000, 5, &Key::new(7));
            eprintln!("{} {floor:?}, {:?} a pair", toy.name(), start.elapsed() / 5);
            assert!((floor.sw1[0] - sw1[0]).abs() < sw1[1], "{}: {floor:?}", toy.name());
            assert!((floor.sw2[0] - sw2[0]).abs() < sw2[1], "{}: {floor:?}", toy.name());
        }
    }
}
