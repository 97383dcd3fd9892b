//! Scores as values: computed once, printed, written as JSON, read back.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Every score of a run, with what they were computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Iterations that the model was trained for.
    pub step: u64,
    /// The run's seed.
    pub seed: u64,
    /// Which weights: `ema`.
    pub weights: String,
    /// The data set that the model is held against.
    pub reference: String,
    /// The scores.
    pub scores: Vec<Score>,
    /// What could not be scored, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// `sw2`, `ood.mnist`, ...
    pub name: String,
    /// The number; NaN is written as null.
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
    /// Its standard error, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// What to hold it against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// How many samples it was computed from.
    #[serde(default)]
    pub n: usize,
    /// How it is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The number that a perfect model would reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// `floor`, `ceiling`, ...
    pub what: String,
    /// The number.
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
}

fn number_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

impl Score {
    /// A bare number.
    pub fn new(name: impl Into<String>, value: f64) -> Score {
        Score { name: name.into(), value, error: None, against: None, n: 0, note: String::new() }
    }

    /// Beside what a perfect model would reach.
    pub fn against(self, what: &str, value: f64) -> Score {
        Score { against: Some(Against { what: what.into(), value }), ..self }
    }

    /// With its standard error.
    pub fn error(self, error: f64) -> Score {
        Score { error: Some(error), ..self }
    }

    /// From `n` samples.
    pub fn of(self, n: usize) -> Score {
        Score { n, ..self }
    }

    /// With a word on how it is meant.
    pub fn note(self, note: &str) -> Score {
        Score { note: note.into(), ..self }
    }

    /// Name, number, and what to compare it with, as text.
    pub fn line(&self) -> [String; 3] {
        let number = |x: f64| if x.fract() == 0.0 && x.abs() < 1e6 { format!("{x}") } else { format!("{x:.4}") };
        let against = self.against.as_ref().map(|a| format!("({} {})", a.what, number(a.value)));
        let note = (!self.note.is_empty()).then(|| format!("({})", self.note));
        let n = format!("n = {}", self.n);
        let words: Vec<String> = against.into_iter().chain(note).chain([n]).collect();
        let error = self.error.map(|e| format!(" +- {e:.4}")).unwrap_or_default();
        [self.name.clone(), number(self.value) + &error, words.join(" ")]
    }
}

impl Scores {
    /// The score called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.scores.iter().find(|s| s.name == name).map(|s| s.value)
    }

    /// What all scores have in common, in one line.
    pub fn caption(&self) -> String {
        let Scores { reference, weights, step, seed, .. } = self;
        format!("against {reference}, {weights} weights after {step} iterations, seed {seed}")
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|e| panic!("scores are always JSON: {e}"))
    }

    /// Reads what [`Scores::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Scores> {
        serde_json::from_str(text).map_err(|e| Error::setting(format!("scores: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_survive_a_round_trip_through_json() {
        let scores = Scores {
            step: 10,
            seed: 3,
            weights: "ema".into(),
            reference: "toy:rings".into(),
            scores: vec![
                Score::new("sw2", 0.125).against("floor", 0.0625).of(5),
                Score::new("ood.mnist", f64::NAN).note("AUROC of -E"),
                Score::new("log_z", 1.5).error(0.25).of(4),
            ],
            skipped: vec!["ood.x: missing".into()],
        };
        let back = Scores::from_json(&scores.to_json()).unwrap();
        assert_eq!((back.scores[0].clone(), back.skipped.clone()), (scores.scores[0].clone(), scores.skipped.clone()));
        assert!(back.get("ood.mnist").unwrap().is_nan() && back.get("sw2") == Some(0.125));
        assert_eq!(back.scores[0].line(), ["sw2", "0.1250", "(floor 0.0625) n = 5"]);
        assert_eq!(back.scores[2].line(), ["log_z", "1.5000 +- 0.2500", "n = 4"]);
    }
}
