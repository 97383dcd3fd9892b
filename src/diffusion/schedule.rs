//! Noise schedules, tabulated in f64.

use crate::check;
use crate::error::Result;
use crate::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// A variance-preserving noise schedule over levels t = 0..=T, from almost clean to almost pure noise:
///
/// x_t = sqrt(abar_t) x_clean + sqrt(1 - abar_t) eps,  eps ~ N(0, I)
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    alpha_bar: Vec<f64>,
}

/// The schedules of recovery likelihood, as they stand in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelSchedule {
    /// [`Schedule::cdrl`], of CDRL.
    Cdrl,
    /// [`Schedule::drl_t6`], of DRL: six levels.
    DrlT6,
    /// [`Schedule::linear`]`(1000)`, respaced.
    Linear,
    /// [`Schedule::cosine`]`(1000)`, respaced.
    Cosine,
}

impl LevelSchedule {
    /// The schedule with `levels` transitions.
    pub fn build(self, levels: usize) -> Result<Schedule> {
        self.check("levels", levels)?;
        Ok(match self {
            LevelSchedule::Cdrl => Schedule::cdrl(levels),
            LevelSchedule::DrlT6 => Schedule::drl_t6(),
            LevelSchedule::Linear => Schedule::linear(1000).respaced(levels),
            LevelSchedule::Cosine => Schedule::cosine(1000).respaced(levels),
        })
    }

    /// Whether it can have so many levels; `name` is where their number stands.
    pub fn check(self, name: &str, levels: usize) -> Result<()> {
        check::within(name, levels, 1..=100)?;
        let why = "the schedule drl_t6 has 6 levels; use cdrl, linear or cosine";
        check::ensure(self != LevelSchedule::DrlT6 || levels == 6, name, levels, why)
    }
}

impl Schedule {
    /// A schedule from its cumulative signal abar_0 > abar_1 > ... > abar_T, all in (0, 1].
    ///
    /// # Panics
    /// When there are fewer than two levels, or they are not of that kind.
    #[track_caller]
    pub fn new(alpha_bar: Vec<f64>) -> Schedule {
        let falls = alpha_bar.windows(2).all(|w| w[0] > w[1] && w[1] > 0.0);
        assert!(alpha_bar.len() >= 2 && alpha_bar[0] <= 1.0 && falls, "abar must fall strictly inside (0, 1]");
        Schedule { alpha_bar }
    }

    /// abar_t = prod_{s <= t} (1 - beta_s), abar_0 = 1 (clean data).
    #[track_caller]
    pub fn from_betas(betas: impl IntoIterator<Item = f64>) -> Schedule {
        let mut alpha_bar = vec![1.0];
        for beta in betas {
            alpha_bar.push(alpha_bar[alpha_bar.len() - 1] * (1.0 - beta));
        }
        Schedule::new(alpha_bar)
    }

    /// DDPM (Ho et al. 2020): T betas from 1e-4 to 0.02 in equal steps. Meant for T = 1000.
    #[track_caller]
    pub fn linear(steps: usize) -> Schedule {
        let last = (steps.max(2) - 1) as f64;
        Schedule::from_betas((0..steps).map(|i| 1e-4 + (0.02 - 1e-4) * i as f64 / last))
    }

    /// Cosine (Nichol and Dhariwal 2021): abar_t = f(t)/f(0), f(t) = cos^2(pi/2 (t/T + s)/(1 + s)), s = 0.008, betas
    /// at most 0.999.
    #[track_caller]
    pub fn cosine(steps: usize) -> Schedule {
        let f = |t: usize| {
            let u = (t as f64 / steps as f64 + 0.008) / 1.008;
            (u * std::f64::consts::FRAC_PI_2).cos().powi(2)
        };
        Schedule::from_betas((0..steps).map(|t| (1.0 - f(t + 1) / f(t)).min(0.999)))
    }

    /// CDRL (Zhu et al. 2024): the cosine schedule in log SNR, cut off at both ends,
    ///
    /// log SNR_t = -2 log tan(A t/T + B), from 9.8 at t = 0 to -5.1 at t = T.
    #[track_caller]
    pub fn cdrl(steps: usize) -> Schedule {
        let (highest, lowest) = (9.8f64, -5.1f64);
        let b = (-highest / 2.0).exp().atan();
        let a = (-lowest / 2.0).exp().atan() - b;
        // sigmoid(-2 log tan u) = cos^2 u
        Schedule::new((0..=steps).map(|t| (a * t as f64 / steps as f64 + b).cos().powi(2)).collect())
    }

    /// DRL's T6 (Gao et al. 2021): levels 1, 101, 201, 301, 401, 501 and 1000 of [`Schedule::linear`]`(1000)`.
    pub fn drl_t6() -> Schedule {
        let fine = Schedule::linear(1000);
        Schedule::new([1, 101, 201, 301, 401, 501, 1000].map(|t| fine.alpha_bar(t)).to_vec())
    }

    /// `steps + 1` of its levels at equal distances, from the first noisy one to the last.
    #[track_caller]
    pub fn respaced(&self, steps: usize) -> Schedule {
        let last = self.steps() - 1;
        Schedule::new((0..=steps).map(|t| self.alpha_bar(1 + (last * t + steps / 2) / steps)).collect())
    }

    /// The schedule of some of its levels, in rising order.
    #[track_caller]
    pub fn at_levels(&self, levels: impl Iterator<Item = usize>) -> Schedule {
        Schedule::new(levels.map(|t| self.alpha_bar(t)).collect())
    }

    /// FastDPM's short quadratic schedule as DxMI uses it: beta_i = 1e-4 (1 + i x)^2 for i = 0..T, with x found by
    /// bisection in [0, 95/T] so that abar_T is that of [`Schedule::linear`]`(1000)`, or x at the end of the interval.
    #[track_caller]
    pub fn quadratic(steps: usize) -> Schedule {
        let beta = |i: usize, x: f64| 1e-4 * (1.0 + i as f64 * x).powi(2);
        let last = |x: f64| (0..steps).map(|i| 1.0 - beta(i, x)).product::<f64>();
        let target = Schedule::linear(1000).alpha_bar(1000);
        let (mut lo, mut hi) = (0.0, 95.0 / steps as f64);
        if last(hi) > target {
            lo = hi;
        }
        for _ in 0..100 {
            let middle = 0.5 * (lo + hi);
            if last(middle) > target { lo = middle } else { hi = middle }
        }
        Schedule::from_betas((0..steps).map(|i| beta(i, hi)))
    }

    /// The schedule of SFT-PG (Fan and Lee 2023) in the plane: beta_i = 1e-5 + (1e-2 - 1e-5) sigmoid(u_i), u from -6 to 6 in T
    /// equal steps. Few steps leave most of the signal: abar_T is .975 for T = 5 and .007 for T = 1000.
    #[track_caller]
    pub fn sigmoid(steps: usize) -> Schedule {
        let last = (steps.max(2) - 1) as f64;
        let sigmoid = |u: f64| 1.0 / (1.0 + (-u).exp());
        Schedule::from_betas((0..steps).map(|i| 1e-5 + (1e-2 - 1e-5) * sigmoid(-6.0 + 12.0 * i as f64 / last)))
    }

    /// T: the number of steps between levels.
    pub fn steps(&self) -> usize {
        self.alpha_bar.len() - 1
    }

    /// abar_t, the signal's share of the variance.
    #[track_caller]
    pub fn alpha_bar(&self, t: usize) -> f64 {
        self.alpha_bar[t]
    }

    /// sqrt(1 - abar_t), the standard deviation of the noise in x_t.
    #[track_caller]
    pub fn sigma(&self, t: usize) -> f64 {
        (1.0 - self.alpha_bar[t]).sqrt()
    }

    /// abar_t / (1 - abar_t)
    #[track_caller]
    pub fn snr(&self, t: usize) -> f64 {
        self.alpha_bar[t] / (1.0 - self.alpha_bar[t])
    }

    /// The logarithm of [`Schedule::snr`].
    #[track_caller]
    pub fn log_snr(&self, t: usize) -> f64 {
        self.snr(t).ln()
    }

    /// a_t = sqrt(abar_t / abar_{t-1}): x_t = a_t x_{t-1} + sigma_t eps, for t = 1..=T.
    #[track_caller]
    pub fn step_alpha(&self, t: usize) -> f64 {
        (self.alpha_bar[t] / self.alpha_bar[t - 1]).sqrt()
    }

    /// sigma_t = sqrt(1 - a_t^2), for t = 1..=T.
    #[track_caller]
    pub fn step_sigma(&self, t: usize) -> f64 {
        (1.0 - self.alpha_bar[t] / self.alpha_bar[t - 1]).sqrt()
    }

    /// The variance of q(x_{t-1} | x_t, x_clean), (1 - abar_{t-1}) / (1 - abar_t) sigma_t^2, for t = 1..=T.
    #[track_caller]
    pub fn posterior_variance(&self, t: usize) -> f64 {
        (1.0 - self.alpha_bar[t - 1]) / (1.0 - self.alpha_bar[t]) * self.step_sigma(t).powi(2)
    }

    /// The factors of x_t and x_0 in the mean of x_{t-1} for known x_t and x_0 (DDPM, eq. 7).
    #[track_caller]
    pub fn posterior_mean(&self, t: usize) -> [f64; 2] {
        let noise = 1.0 - self.alpha_bar[t];
        let of_noisy = self.step_alpha(t) * (1.0 - self.alpha_bar[t - 1]) / noise;
        [of_noisy, self.alpha_bar[t - 1].sqrt() * self.step_sigma(t).powi(2) / noise]
    }

    /// The coefficients `[A, B, S]` of a reverse step x_{t-1} = A x_t + B eps_hat + S xi, for t = 1..=T (DDIM, eq. 12):
    ///
    /// S = eta sqrt(posterior variance), A = 1/a_t, B = sqrt(1 - abar_{t-1} - S^2) - A sqrt(1 - abar_t)
    ///
    /// eta = 1 is DDPM's ancestral step, eta = 0 the deterministic DDIM step.
    #[track_caller]
    pub fn reverse(&self, t: usize, eta: f64) -> [f64; 3] {
        let (variance, signal) = (eta * eta * self.posterior_variance(t), 1.0 / self.step_alpha(t));
        let direction = (1.0 - self.alpha_bar[t - 1] - variance).max(0.0).sqrt();
        [signal, direction - signal * self.sigma(t), variance.sqrt()]
    }

    /// The table `[T + 1, 4]` of `ops::schedule::add_noise`: (sqrt(abar_t), sqrt(1 - abar_t), the same, 0).
    pub fn noising(&self, device: &Device) -> Tensor {
        let row = |t: usize| [self.alpha_bar[t].sqrt(), self.sigma(t), self.sigma(t), 0.0];
        self.table(device, row)
    }

    /// The table `[T + 1, 4]` of `ops::schedule::denoise_step`: [`Schedule::reverse`] by level; level 0 stays as it is.
    pub fn denoising(&self, device: &Device, eta: f64) -> Tensor {
        let row = |t: usize| match t {
            0 => [1.0, 0.0, 0.0, 0.0],
            _ => [self.reverse(t, eta).as_slice(), &[0.0]].concat().try_into().unwrap_or_default(),
        };
        self.table(device, row)
    }

    fn table(&self, device: &Device, row: impl Fn(usize) -> [f64; 4]) -> Tensor {
        Tensor::from_f64(device, [self.steps() + 1, 4], (0..=self.steps()).flat_map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::schedule::{Noise, add_noise, denoise_step};
    use crate::tensor::Key;

    /// Agreement to the last printed digit.
    #[track_caller]
    fn printed(got: impl IntoIterator<Item = f64>, want: &[f64], unit: f64) {
        for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
            assert!((got - want).abs() <= 0.5000001 * unit, "entry {i}: {got} printed as {want}");
        }
    }

    #[test]
    fn the_cooperative_schedule_has_the_printed_values() {
        let s = Schedule::cdrl(6);
        let t = 0..=6;
        printed(t.clone().map(|t| s.log_snr(t)), &[9.8, 2.6888, 1.1969, 0.1411, -0.8761, -2.1724, -5.1], 1e-4);
        let abar = [0.999945, 0.936364, 0.767969, 0.535209, 0.293992, 0.102258, 0.006060];
        printed(t.clone().map(|t| s.alpha_bar(t)), &abar, 1e-6);
        printed(t.map(|t| s.sigma(t)), &[0.00745, 0.25226, 0.48170, 0.68176, 0.84024, 0.94749, 0.99697], 1e-5);
    }

    #[test]
    fn the_recovery_schedule_has_the_printed_values() {
        let s = Schedule::drl_t6();
        let signal = [0.99995, 0.94612, 0.81015, 0.62770, 0.43997, 0.27892, 0.00635];
        printed((0..=6).map(|t| s.alpha_bar(t).sqrt()), &signal, 1e-5);
        let sigma = [0.3237, 0.5165, 0.6322, 0.7132, 0.7734, 0.9997];
        printed((1..=6).map(|t| s.step_sigma(t)), &sigma, 1e-4);
        printed([s.sigma(0)], &[0.0100], 1e-4);
    }

    #[test]
    fn the_quadratic_schedule_has_the_printed_values() {
        let betas = |s: &Schedule| (1..=s.steps()).map(|t| s.step_sigma(t).powi(2)).collect::<Vec<_>>();
        let ten = Schedule::quadratic(10);
        let eta = [1e-4, 0.011025, 0.04, 0.087025, 0.1521, 0.235225, 0.3364, 0.455625, 0.5929, 0.748225];
        printed(betas(&ten), &eta, 1e-6);
        printed([ten.alpha_bar(10), Schedule::quadratic(5).alpha_bar(5)], &[0.0208, 0.2199], 1e-4);
        printed(betas(&Schedule::quadratic(5)), &[1e-4, 0.04, 0.1521, 0.3364, 0.5929], 1e-4);
        let sigma = [0.83724, 0.71770, 0.59873, 0.48474, 0.37734, 0.27653, 0.18190, 0.09370, 0.00996, 0.0];
        printed((1..=10).rev().map(|t| ten.reverse(t, 1.0)[2]), &sigma, 1e-5);
        // With enough steps the target is met inside the interval.
        let target = Schedule::linear(1000).alpha_bar(1000);
        assert!((Schedule::quadratic(50).alpha_bar(50) / target - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_sigmoid_schedule_has_the_printed_values() {
        let last = [5, 10, 100, 1000].map(|steps| Schedule::sigmoid(steps).alpha_bar(steps));
        printed(last, &[0.975, 0.951, 0.605, 0.007], 1e-3);
        printed([Schedule::quadratic(4).alpha_bar(4)], &[0.3431], 1e-4);
        let betas = (1..=4).map(|t| Schedule::quadratic(4).step_sigma(t).powi(2));
        printed(betas, &[1e-4, 0.06126, 0.23523, 0.52201], 1e-5);
    }

    #[test]
    fn linear_and_cosine_end_where_their_papers_say() {
        let linear = Schedule::linear(1000);
        printed([linear.alpha_bar(1000)], &[4.04e-5], 1e-7);
        printed([1.0 - linear.alpha_bar(1), linear.step_sigma(1000).powi(2)], &[1e-4, 0.02], 1e-9);
        let cosine = Schedule::cosine(1000);
        let f = |u: f64| ((u + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
        printed([cosine.alpha_bar(500)], &[f(0.5) / f(0.0)], 1e-12);
        printed([cosine.step_sigma(1000).powi(2)], &[0.999], 1e-12);
    }

    #[test]
    fn respaced_schedules_keep_both_ends() {
        let fine = Schedule::linear(1000);
        let few = fine.respaced(6);
        let levels = [1, 168, 334, 501, 667, 834, 1000].map(|t| fine.alpha_bar(t));
        assert_eq!((0..=6).map(|t| few.alpha_bar(t)).collect::<Vec<_>>(), levels);
        assert!(LevelSchedule::DrlT6.build(5).is_err());
        assert_eq!(LevelSchedule::Cosine.build(1).unwrap().steps(), 1);
    }

    /// With the true noise, DDIM lands exactly on the next level, and DDPM's step has the posterior's mean.
    #[test]
    fn reverse_steps_follow_the_same_noise_and_keep_the_marginal() {
        let (s, device, key) = (Schedule::linear(50), Device::oracle(), Key::new(2));
        let x0 = Tensor::normal(&device, [3, 5], &key.named("x0"));
        let eps = Tensor::normal(&device, [3, 5], &key.named("eps"));
        let level = |values: [f32; 3]| Tensor::new(&device, [3], &values);
        let noised = |l: [f32; 3]| add_noise(&x0, &level(l), &s.noising(&device), Noise::Given(&eps));
        let (here, below) = (noised([50.0, 20.0, 1.0]), noised([49.0, 19.0, 0.0]));
        let t = level([50.0, 20.0, 1.0]);
        let ddim = denoise_step(&here, &eps, &t, &s.denoising(&device, 0.0), None);
        let error = (&ddim - &below).abs().max_axes(&[0, 1]).item().unwrap();
        assert!(error < 1e-13, "{error}");
        for t in 1..=50 {
            // Var x_{t-1} from unit-variance data: A^2 and B act on (x0, eps), S is independent.
            let [a, b, noise] = s.reverse(t, 1.0);
            let variance = a * a * s.alpha_bar(t) + (a * s.sigma(t) + b).powi(2) + noise * noise;
            assert!((variance - 1.0).abs() < 1e-12, "{t}: {variance}");
            // Ho et al., eq. 11: mean = (x - beta / sqrt(1 - abar) eps) / sqrt(1 - beta)
            let beta = s.step_sigma(t).powi(2);
            assert!((b + beta / s.sigma(t) / (1.0 - beta).sqrt()).abs() < 1e-11, "{t}");
        }
    }
}
