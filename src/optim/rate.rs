//! Learning-rate schedules: pure functions of the step.

use crate::check;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Linear warm-up, a constant rate, then a linear or cosine fall to a fraction of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateConfig {
    /// The rate between warm-up and fall.
    pub lr: f64,
    /// Updates of warm-up: update k has rate `lr (k + 1 + warmup_head) / warmup` at first.
    pub warmup: u64,
    /// How far the warm-up is ahead at the start.
    pub warmup_head: u64,
    /// Update at which the rate starts to fall.
    pub decay_from: u64,
    /// Update at which it has fallen; 0 for never.
    pub decay_until: u64,
    /// The fraction that is left then.
    pub decay_to: f64,
    /// Whether it falls along half a cosine in place of a line.
    pub cosine: bool,
}

/// The last update that a schedule can name.
const MOST_UPDATES: u64 = u32::MAX as u64;

impl Default for RateConfig {
    fn default() -> RateConfig {
        RateConfig { lr: 1e-3, warmup: 0, warmup_head: 0, decay_from: 0, decay_until: 0, decay_to: 0.01, cosine: false }
    }
}

impl RateConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        let RateConfig { lr, warmup, warmup_head, decay_from, decay_until, decay_to, cosine: _ } = *self;
        check::positive(format!("{name}.lr"), lr)?;
        check::not_negative(format!("{name}.decay_to"), decay_to)?;
        let updates = [
            ("warmup", warmup),
            ("warmup_head", warmup_head),
            ("decay_from", decay_from),
            ("decay_until", decay_until),
        ];
        for (key, count) in updates {
            check::within(format!("{name}.{key}"), count, 0..=MOST_UPDATES)?;
        }
        let falls = decay_until == 0 || decay_until > decay_from;
        let why = format!("use 0, or more than decay_from ({decay_from})");
        check::ensure(falls, format!("{name}.decay_until"), decay_until, why)
    }

    /// The rate of update `step` (from 0).
    pub fn at(&self, step: u64) -> f64 {
        let warm = ((step + 1 + self.warmup_head) as f64 / self.warmup.max(1) as f64).min(1.0);
        let span = self.decay_until.saturating_sub(self.decay_from) as f64;
        let progress = if self.decay_until == 0 || step < self.decay_from {
            0.0
        } else if step >= self.decay_until {
            1.0
        } else {
            (step - self.decay_from) as f64 / span
        };
        let fallen = if self.cosine { (1.0 - (std::f64::consts::PI * progress).cos()) / 2.0 } else { progress };
        self.lr * warm * (1.0 - (1.0 - self.decay_to) * fallen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_stays_and_falls() {
        let rate = RateConfig {
            lr: 2.0,
            warmup: 4,
            warmup_head: 0,
            decay_from: 10,
            decay_until: 20,
            decay_to: 0.1,
            cosine: false,
        };
        assert_eq!([0, 1, 3, 9, 10].map(|k| rate.at(k)), [0.5, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!([0, 1, 2].map(|k| RateConfig { warmup_head: 2, ..rate.clone() }.at(k)), [1.5, 2.0, 2.0]);
        assert!((rate.at(15) - 1.1).abs() < 1e-12 && (rate.at(20) - 0.2).abs() < 1e-12 && rate.at(99) == rate.at(20));
        let cosine = RateConfig { cosine: true, ..rate };
        assert!((cosine.at(15) - 1.1).abs() < 1e-12 && cosine.at(12) > 1.64);
        assert_eq!(RateConfig::default().at(1_000_000), 1e-3);
    }
}
