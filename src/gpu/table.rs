//! The profile as text.

use super::{Clock, ProfileReport, ProfileRow};

/// The part of the rows' time that the rows of the table show one by one.
const SHOWN: f64 = 0.98;

impl ProfileRow {
    /// What one run works on: grid, bytes, operations.
    pub fn shape(&self) -> String {
        let grid = self.grid.map(|[x, y]| format!("{x}x{y}"));
        let bytes = (self.bytes > 0).then(|| amount(self.bytes, "B"));
        let flops = (self.flops > 0).then(|| amount(self.flops, "FLOP"));
        grid.into_iter().chain(bytes).chain(flops).collect::<Vec<_>>().join(", ")
    }
}

impl ProfileReport {
    /// Two Markdown tables with captions, phases and commands, all figures per step. Commands beyond the slowest that make
    /// up 98 % of the rows' time are one row; the JSON has them all.
    pub fn table(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.caption(), self.phase_table(), self.command_table(), self.footer())
    }

    fn caption(&self) -> String {
        let clock = match self.clock {
            Clock::Device => "each command by the device's timestamps",
            Clock::Host => {
                "each command by the host's clock, alone and waited for (the adapter has no timestamps), which its time \
                 includes"
            }
        };
        let wall = self.step_ms.map_or(String::new(), |ms| format!(" A step normally takes {} ms.", significant(ms)));
        format!("Profile on {}, steps: {}; {clock}. All figures per step.{wall}\n", self.adapter, self.steps)
    }

    fn phase_table(&self) -> String {
        let mut rows = vec![["phase", "dispatches", "copies", "ms", "% of step"].map(String::from)];
        for p in &self.phases {
            let [ms, percent] = self.time(p.total_ms / self.steps as f64);
            rows.push([p.phase.into(), self.per_step(p.dispatches), self.per_step(p.copies), ms, percent]);
        }
        markdown(&rows, &[0])
    }

    fn command_table(&self) -> String {
        let head = ["phase", "command", "grid, bytes, operations", "runs", "ms", "% of step", "us a run", "GB/s"];
        let head = [&head[..], &["GFLOP/s", "% of roof", "specialisation"]].concat();
        let mut rows = vec![std::array::from_fn::<String, 11, _>(|i| head[i].into())];
        let rate = |x: f64| if x > 0.0 { format!("{x:.2}") } else { String::new() };
        let (mut shown, mut left_ms) = (0, self.rows_ms());
        while shown < self.rows.len() && left_ms > (1.0 - SHOWN) * self.rows_ms() {
            let r = &self.rows[shown];
            let [ms, percent] = self.time(r.total_ms / self.steps as f64);
            let (name, specialisation) = r.name.split_once('[').unwrap_or((&r.name, ""));
            rows.push([
                r.phase.into(),
                name.into(),
                r.shape(),
                self.per_step(r.count),
                ms,
                percent,
                significant(r.mean_ms * 1e3),
                rate(r.gbps),
                rate(r.gflops),
                r.percent_of_roof.map_or(String::new(), |p| format!("{p:.0}")),
                specialisation.trim_end_matches(']').replace("][", ","),
            ]);
            (shown, left_ms) = (shown + 1, left_ms - r.total_ms);
        }
        let mut sum = |name: String, runs: u64, step_ms: f64| {
            let mut row: [String; 11] = Default::default();
            (row[1], row[3]) = (name, self.per_step(runs));
            [row[4], row[5]] = self.time(step_ms);
            row[6] = significant(step_ms * 1e3 * self.steps as f64 / runs.max(1) as f64);
            rows.push(row);
        };
        if shown < self.rows.len() {
            let rest = &self.rows[shown..];
            sum(format!("{} more rows", rest.len()), rest.iter().map(|r| r.count).sum(), left_ms / self.steps as f64);
        }
        sum("between kernels".into(), self.dispatches + self.copies, self.between_ms);
        sum("total".into(), self.dispatches + self.copies, self.whole_ms());
        markdown(&rows, &[0, 1, 2, 10])
    }

    fn footer(&self) -> String {
        let roofs = self.roofs.map_or(String::new(), |r| {
            format!(" Roofs: copy {} GB/s, multiply-adds {} GFLOP/s.", significant(r.gbps), significant(r.gflops))
        });
        let (dispatches, copies) = (self.per_step(self.dispatches), self.per_step(self.copies));
        let memory = amount(self.memory_bytes, "B");
        format!("{dispatches} dispatches and {copies} copies a step; {memory} of device buffers.{roofs}\n")
    }

    /// Milliseconds, and percent of the step.
    fn time(&self, ms: f64) -> [String; 2] {
        let whole = self.whole_ms();
        [significant(ms), if whole > 0.0 { format!("{:.1}", 100.0 * ms / whole) } else { String::new() }]
    }

    /// A count per step: whole if every step did the same.
    fn per_step(&self, count: u64) -> String {
        match count.is_multiple_of(self.steps) {
            true => (count / self.steps).to_string(),
            false => significant(count as f64 / self.steps as f64),
        }
    }
}

/// A Markdown table whose first row is the head; the columns in `words` are text, the others numbers.
fn markdown<const N: usize>(rows: &[[String; N]], words: &[usize]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            text += &if words.contains(&column) { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") };
        }
        text += "|\n";
        if i == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(width + 1);
                text += &if words.contains(&column) { format!("|:{line}") } else { format!("|{line}:") };
            }
            text += "|\n";
        }
    }
    text
}

/// An amount with three significant digits and a decimal prefix: `2.10 MB`.
fn amount(n: u64, unit: &str) -> String {
    let power = (n.max(1).ilog10() / 3).min(3);
    let digits = if power == 0 { n.to_string() } else { significant(n as f64 / 1e3f64.powi(power as i32)) };
    format!("{digits} {}{unit}", ["", "k", "M", "G"][power as usize])
}

/// Three significant digits.
pub(crate) fn significant(x: f64) -> String {
    let decimals = (2 - x.abs().max(1e-9).log10().floor() as i32).clamp(0, 6);
    if x == 0.0 { "0".into() } else { format!("{x:.*}", decimals as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        assert_eq!([0.01234, 1.234, -12.34, 1234.0, 0.0].map(significant), ["0.0123", "1.23", "-12.3", "1234", "0"]);
        assert_eq!([0, 999, 1000, 2_100_000].map(|n| amount(n, "B")), ["0 B", "999 B", "1.00 kB", "2.10 MB"]);
    }
}
