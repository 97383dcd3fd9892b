//! Curves that tell whether a training is healthy, for several trainings beside each other.

use crate::error::{Error, Result};
use crate::io::Metrics;
use crate::io::atomic::write_bytes;
use crate::plot::Curves;
use crate::run::Scores;
use std::fmt::Write;
use std::path::Path;

/// The curves of one training, its scores if it has any, and whether it came to its end.
pub struct Row {
    /// What sets it apart.
    pub name: String,
    /// Trainings of one group share a picture.
    pub group: &'static str,
    pub metrics: Metrics,
    pub scores: Option<Scores>,
    pub outcome: String,
}

/// Scores that stand in the table.
const SCORES: [&str; 4] = ["sw2", "auc", "grid_kl", "mode_mass_deviation"];

impl Row {
    fn column(&self, name: &str) -> &[f64] {
        self.metrics.column(name).unwrap_or_default()
    }

    /// Mean and largest magnitude over the last half of the logged iterations.
    fn last_half(&self, name: &str) -> [f64; 2] {
        let values = self.column(name);
        let half = &values[values.len() / 2..];
        let mean = half.iter().sum::<f64>() / half.len().max(1) as f64;
        [mean, half.iter().fold(0.0, |m: f64, v| m.max(v.abs()))]
    }

    fn score(&self, name: &str) -> Option<f64> {
        self.scores.as_ref()?.get(name)
    }

    /// A line of the table, with these scores.
    pub fn line(&self, scores: &[&str]) -> String {
        let [mean, most] = self.last_half("energy_gap");
        let [cd, kl] = ["gradient_norm_cd", "gradient_norm_kl"].map(|name| self.last_half(name)[0]);
        let (kl, ratio) = match self.column("gradient_norm_kl").is_empty() {
            true => Default::default(),
            false => (format!("{kl:.2e}"), format!("{:.3}", kl / cd)),
        };
        let score = |name: &&str| self.score(name).map_or(" |".to_string(), |value| format!(" {value:.3} |"));
        let scores: String = scores.iter().map(score).collect();
        format!("| {} | {mean:.4} | {most:.4} | {cd:.2e} | {kl} | {ratio} |{scores} {} |", self.name, self.outcome)
    }
}

/// Which scores a table of these trainings shows.
pub fn scores_of(rows: &[Row]) -> Vec<&'static str> {
    SCORES.into_iter().filter(|name| rows.iter().any(|row| row.score(name).is_some())).collect()
}

fn head(scores: &[&str]) -> String {
    let scores: String = scores.iter().map(|name| format!(" {name} |")).collect();
    let head = format!("| variant | mean gap | largest gap | gradient norm CD | KL | KL / CD |{scores} outcome |");
    format!("{head}\n|{}\n", "---|".repeat(head.matches('|').count() - 1))
}

/// Files, columns and titles of the pictures.
const PICTURES: [(&str, &str, &str); 3] = [
    ("gap", "energy_gap", "mean E(data) - mean E(chains)"),
    ("cd", "gradient_norm_cd", "gradient norm of the CD part"),
    ("kl", "gradient_norm_kl", "gradient norm of the KL part"),
];

/// `study.md` (over the last half of the iterations), `study.csv`, and for each group `gap-`, `cd-` and `kl-GROUP.svg`.
pub fn write(rows: &[Row], out: &Path) -> Result<()> {
    let scores = scores_of(rows);
    let lines: Vec<String> = rows.iter().map(|row| row.line(&scores)).collect();
    write_bytes(out.join("study.md"), format!("{}{}\n", head(&scores), lines.join("\n")).as_bytes())?;
    let mut csv = String::from("variant,step,energy_gap,gradient_norm_cd,gradient_norm_kl\n");
    for row in rows {
        let [steps, gap, cd, kl] =
            ["step", "energy_gap", "gradient_norm_cd", "gradient_norm_kl"].map(|n| row.column(n));
        for (i, step) in steps.iter().enumerate() {
            let number = |column: &[f64]| column.get(i).map(f64::to_string).unwrap_or_default();
            let (name, gap, cd, kl) = (&row.name, number(gap), number(cd), number(kl));
            writeln!(csv, "{name},{step},{gap},{cd},{kl}").map_err(Error::setting)?;
        }
    }
    write_bytes(out.join("study.csv"), csv.as_bytes())?;
    for part in rows.chunk_by(|a, b| a.group == b.group) {
        for (file, column, title) in PICTURES {
            let mut curves = Curves::new(title).smooth(0.8);
            for row in part.iter().filter(|row| !row.column(column).is_empty()) {
                curves = curves.series(&row.name, row.column("step"), row.column(column));
            }
            let curves = if column == "energy_gap" { curves } else { curves.log_y() };
            write_bytes(out.join(format!("{file}-{}.svg", part[0].group)), curves.svg().as_bytes())?;
        }
    }
    Ok(())
}
