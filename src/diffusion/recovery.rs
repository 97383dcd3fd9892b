//! The steps of diffusion recovery likelihood (DRL, CDRL): every constant of a transition from one number.

use super::Schedule;
use crate::check;
use crate::error::Result;
use crate::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// How the Langevin step size follows the noise level; `b2` is the one constant everything else derives from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepRule {
    /// Images: s_t^2 = b2 sigma_t^2 sqrt(1 - abar_{t-1}) / sqrt(1 - abar_0). CDRL: b2 = 4e-4, DRL: 2e-4.
    Growing { b2: f64 },
    /// Two dimensions: s_t^2 = b2 sigma_t^2 / sqrt(1 - abar_0). CDRL: b2 = 2e-3.
    Level { b2: f64 },
}

impl StepRule {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        let (StepRule::Growing { b2 } | StepRule::Level { b2 }) = *self;
        check::positive(format!("{name}.b2"), b2)
    }
}

/// The transition between levels t and t - 1. The chain moves y = a x_{t-1}, started from x_t:
///
/// p(y | x_t) ~ exp( -E(y, lambda_{t-1}) / s^2 - c |y - x_t|^2 / s^2 )
/// y <- y - 1/2 dE/dy - c (y - x_t) + s xi
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecoveryStep {
    /// a: x_t = a x_{t-1} + sigma eps; taken as 1 at t = T.
    pub a: f64,
    /// sigma: the noise of the forward step.
    pub sigma: f64,
    /// s: the Langevin noise; s^2 also turns E into the negative log density.
    pub s: f64,
    /// c = s^2 / (2 sigma^2): the coupling to x_t; 0 at t = T, where the model is not conditional.
    pub coupling: f64,
    /// v = a^2 posterior variance: that of y for known x_t and x.
    pub variance: f64,
    /// The factors of x_t and x in the mean of y for known x_t and x:
    /// `a (a_true (1 - abar_{t-1}) x_t + sqrt(abar_{t-1}) sigma^2 x) / (1 - abar_t)`, a_true = sqrt(abar_t / abar_{t-1}).
    pub mean: [f64; 2],
    /// w = sigma_1 / sigma_t: the weight of the energy loss.
    pub weight: f64,
}

/// The transitions t = 1..=T of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveryTable(Vec<RecoveryStep>);

impl RecoveryTable {
    /// Derives every constant from the schedule and the rule.
    pub fn new(schedule: &Schedule, rule: StepRule) -> RecoveryTable {
        let first = schedule.step_sigma(1);
        let step = |t: usize| {
            let sigma = schedule.step_sigma(t);
            let growth = match rule {
                StepRule::Growing { b2 } => b2 * schedule.sigma(t - 1) / schedule.sigma(0),
                StepRule::Level { b2 } => b2 / schedule.sigma(0),
            };
            // The model of the last level is a marginal: no scaling, no coupling.
            let top = t == schedule.steps();
            let a = if top { 1.0 } else { schedule.step_alpha(t) };
            RecoveryStep {
                a,
                sigma,
                s: growth.sqrt() * sigma,
                coupling: if top { 0.0 } else { growth / 2.0 },
                variance: a * a * schedule.posterior_variance(t),
                mean: schedule.posterior_mean(t).map(|factor| a * factor),
                weight: first / sigma,
            }
        };
        RecoveryTable((1..=schedule.steps()).map(step).collect())
    }

    /// The transition from level t to t - 1, for t = 1..=T.
    ///
    /// # Panics
    /// For t = 0 or t > T.
    #[track_caller]
    pub fn step(&self, t: usize) -> RecoveryStep {
        assert!((1..=self.0.len()).contains(&t), "transition {t} of {}", self.0.len());
        self.0[t - 1]
    }

    /// One constant of each transition t = 1..=T as a list by level, 0 at level 0: for lookups by t.
    pub fn column(&self, field: fn(&RecoveryStep) -> f64) -> Vec<f64> {
        std::iter::once(0.0).chain(self.0.iter().map(field)).collect()
    }

    /// The constants on a device, to be looked up by level.
    pub fn on(&self, device: &Device, schedule: &Schedule) -> Transitions {
        let columns: [fn(&RecoveryStep) -> f64; 7] =
            [|s| s.a, |s| s.sigma, |s| s.s, |s| s.coupling, |s| s.weight, |s| s.mean[0], |s| s.mean[1]];
        let alpha = (0..=schedule.steps()).map(|t| if t == 0 { 1.0 } else { schedule.step_alpha(t) }).collect();
        let columns: Vec<Vec<f64>> = [alpha].into_iter().chain(columns.map(|field| self.column(field))).collect();
        let values: Vec<f64> = columns.iter().flatten().copied().collect();
        Transitions(Tensor::from_f64(device, [columns.len(), schedule.steps() + 1], values))
    }
}

/// The constants of all transitions on a device, `[8, T + 1]`.
pub struct Transitions(Tensor);

/// The constants of each sample's transition, `[N]` each; see [`RecoveryStep`].
pub struct Transition {
    /// sqrt(abar_t / abar_{t-1}), also at t = T, where `a` is 1.
    pub alpha: Tensor,
    /// a_t
    pub a: Tensor,
    /// sigma_t
    pub sigma: Tensor,
    /// s_t
    pub s: Tensor,
    /// c_t
    pub coupling: Tensor,
    /// w_t
    pub weight: Tensor,
    /// The factors of x_t and x in the mean of y for known x_t and x.
    pub mean: [Tensor; 2],
}

impl Transitions {
    /// The constants of samples at levels `t [N]`, 1 to T.
    pub fn of(&self, t: &Tensor) -> Transition {
        let all = self.0.gather(1, t); // [8, N]
        let of = |i: usize| all.narrow(0, i, 1).reshape([t.numel()]);
        let [alpha, a, sigma, s, coupling, weight, of_noisy, of_clean] = std::array::from_fn(of);
        Transition { alpha, a, sigma, s, coupling, weight, mean: [of_noisy, of_clean] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agreement to one unit of the last of `digits` significant digits (the tables were made from rounded factors).
    #[track_caller]
    fn printed(table: &RecoveryTable, field: fn(&RecoveryStep) -> f64, want: [f64; 6], digits: i32) {
        for (t, (got, want)) in table.column(field)[1..].iter().zip(want).enumerate() {
            let unit = 10f64.powi(want.log10().floor() as i32 + 1 - digits);
            assert!((got - want).abs() <= unit, "transition {}: {got} printed as {want}", t + 1);
        }
    }

    #[test]
    fn the_image_table_has_the_printed_values() {
        let table = RecoveryTable::new(&Schedule::cdrl(6), StepRule::Growing { b2: 4e-4 });
        printed(&table, |s| s.a, [0.96769, 0.90563, 0.83481, 0.74115, 0.58977, 1.0], 5);
        printed(&table, |s| s.sigma, [0.25216, 0.42407, 0.55053, 0.67134, 0.80757, 0.96992], 5);
        printed(&table, |s| s.s * s.s, [2.543e-5, 2.437e-3, 7.843e-3, 1.651e-2, 2.944e-2, 4.788e-2], 4);
        printed(&table, |s| s.s, [0.00504, 0.04937, 0.08856, 0.12847, 0.17157, 0.21882], 3);
        printed(&table, |s| s.variance.sqrt(), [0.00720, 0.20113, 0.32473, 0.40371, 0.42237, 0.92179], 3);
        printed(&table, |s| s.weight, [1.0, 0.5946, 0.4580, 0.3756, 0.3122, 0.2600], 4);
        // ct2 = 1, 33.88, 64.69, ...: the coupling is 2e-4 ct2, and none at the top.
        let ct2 = [1.0, 33.88, 64.69, 91.56, 112.84];
        for (t, ct2) in ct2.into_iter().enumerate() {
            assert!((table.step(t + 1).coupling - 2e-4 * ct2).abs() < 2e-4 * 0.00501);
        }
        assert_eq!(table.step(6).coupling, 0.0);
    }

    #[test]
    fn the_plane_and_drl_tables_have_the_printed_values() {
        let plane = RecoveryTable::new(&Schedule::cdrl(6), StepRule::Level { b2: 2e-3 });
        printed(&plane, |s| s.s * s.s, [0.01708, 0.04830, 0.08141, 0.12105, 0.17517, 0.25267], 4);
        assert!((plane.step(3).coupling - 0.13429).abs() < 0.5e-5);
        let drl = RecoveryTable::new(&Schedule::drl_t6(), StepRule::Growing { b2: 2e-4 });
        printed(&drl, |s| s.s * s.s, [2.10e-5, 1.73e-3, 4.69e-3, 7.92e-3, 1.07e-2, 1.92e-2], 3);
        printed(&drl, |s| s.weight, [1.0, 0.627, 0.512, 0.454, 0.418, 0.324], 3);
    }

    /// The law of y for known x_t and x by Bayes' rule: x_{t-1} ~ N(sqrt(abar) x, 1 - abar), x_t = a x_{t-1} + sigma eps.
    #[test]
    fn mean_and_variance_are_those_of_the_posterior() {
        let schedule = Schedule::cdrl(6);
        let table = RecoveryTable::new(&schedule, StepRule::Level { b2: 2e-3 });
        let (x, x_t) = (0.7, -0.4);
        for t in 1..=6 {
            let (step, a, sigma) = (table.step(t), schedule.step_alpha(t), schedule.step_sigma(t));
            let prior = schedule.sigma(t - 1).powi(2);
            let precision = 1.0 / prior + (a / sigma).powi(2);
            let mean = (schedule.alpha_bar(t - 1).sqrt() * x / prior + a * x_t / sigma.powi(2)) / precision;
            let got = step.mean[0] * x_t + step.mean[1] * x;
            assert!((got - step.a * mean).abs() < 1e-12, "transition {t}: {got} {}", step.a * mean);
            assert!((step.variance - step.a.powi(2) / precision).abs() < 1e-12, "transition {t}");
        }
    }

    /// s^2 = 2 sigma^2 c makes the chain exact Langevin for the conditional density.
    #[test]
    fn coupling_and_step_agree() {
        let table = RecoveryTable::new(&Schedule::drl_t6(), StepRule::Growing { b2: 2e-4 });
        for t in 1..6 {
            let step = table.step(t);
            let ratio = step.s.powi(2) / (2.0 * step.sigma.powi(2) * step.coupling);
            assert!((ratio - 1.0).abs() < 8.0 * f64::EPSILON, "{t}: {ratio}");
        }
    }
}
