//! Where the time of a step goes: rows for kernels and copies, sums for phases, as JSON; `table` prints them.

#[cfg(doc)]
use super::Gpu;
use super::Work;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a device reaches at best; percentages of roof refer to these.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Roofs {
    /// GB/s of a plain copy.
    pub gbps: f64,
    /// GFLOP/s of multiply-adds in registers.
    pub gflops: f64,
}

impl Roofs {
    /// The rate as a percentage of the roof it is nearer to.
    pub fn percent(&self, gbps: f64, gflops: f64) -> f64 {
        100.0 * (gbps / self.gbps).max(gflops / self.gflops)
    }
}

/// Who took the time of each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The device: timestamps around each command.
    Device,
    /// The host: each command was submitted alone and waited for, which its time includes.
    Host,
}

/// All runs of one command: a kernel with its grid and work, or a copy of so many bytes, in one phase.
#[derive(Clone, Debug, Serialize)]
pub struct ProfileRow {
    /// The label of the innermost [`Gpu::phase`] it was recorded in.
    pub phase: &'static str,
    /// The kernel's name with its specialisation, or `copy`, or `copy to texels`.
    pub name: String,
    /// Workgroups in x and y; none for a copy.
    pub grid: Option<[u32; 2]>,
    /// Bytes one run must at least read and write.
    pub bytes: u64,
    /// Floating-point operations of one run; a multiply-add counts two.
    pub flops: u64,
    /// How often it ran.
    pub count: u64,
    /// Milliseconds of all runs.
    pub total_ms: f64,
    /// Milliseconds of one run on average.
    pub mean_ms: f64,
    /// GB/s over all runs; 0 where the clock saw no time pass.
    pub gbps: f64,
    /// GFLOP/s over all runs; 0 where the clock saw no time pass.
    pub gflops: f64,
    /// Percent of the nearer roof, where the roofs are known.
    pub percent_of_roof: Option<f64>,
}

impl ProfileRow {
    pub(super) fn new(
        phase: &'static str,
        name: String,
        grid: Option<[u32; 2]>,
        work: Work,
        count: u64,
        seconds: f64,
    ) -> ProfileRow {
        let rate = |each: u64| if seconds > 0.0 { (each * count) as f64 / seconds / 1e9 } else { 0.0 };
        ProfileRow {
            phase,
            name,
            grid,
            bytes: work.bytes,
            flops: work.flops,
            count,
            total_ms: seconds * 1e3,
            mean_ms: seconds * 1e3 / count as f64,
            gbps: rate(work.bytes),
            gflops: rate(work.flops),
            percent_of_roof: None,
        }
    }
}

/// The commands of one phase.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseRow {
    /// The label given to [`Gpu::phase`].
    pub phase: &'static str,
    /// Dispatches in all profiled steps.
    pub dispatches: u64,
    /// Copies in all profiled steps.
    pub copies: u64,
    /// Milliseconds of all of them.
    pub total_ms: f64,
}

/// Where time went between [`Gpu::profile_start`] and [`Gpu::profile_stop`], or in [`Gpu::profile_steps`].
#[derive(Clone, Debug, Serialize)]
pub struct ProfileReport {
    /// One line about the adapter.
    pub adapter: String,
    /// Who took the times.
    pub clock: Clock,
    /// Steps that were profiled; 1 if the report does not come from [`Gpu::profile_steps`].
    pub steps: u64,
    /// Wall-clock milliseconds of a step as it normally runs, not profiled.
    pub step_ms: Option<f64>,
    /// "Between kernels": milliseconds of a step that are in no row. `step_ms` less the rows of one step, so negative where
    /// commands overlap when they run normally; where `step_ms` is unknown, `profiled_ms` less the rows. The device waits
    /// for its last command or for the host. Zero with [`Clock::Host`], whose rows include the waiting.
    pub between_ms: f64,
    /// Milliseconds from the first command of each submission to the end of its last, over all profiled steps.
    pub profiled_ms: f64,
    /// Dispatches in all profiled steps.
    pub dispatches: u64,
    /// Copies in all profiled steps.
    pub copies: u64,
    /// Bytes of all pooled buffers; the pool gives none back, so this is the peak.
    pub memory_bytes: u64,
    /// What the percentages of roof refer to.
    pub roofs: Option<Roofs>,
    /// The phases, slowest first.
    pub phases: Vec<PhaseRow>,
    /// The commands, slowest first.
    pub rows: Vec<ProfileRow>,
}

impl ProfileReport {
    pub(super) fn new(
        adapter: String,
        clock: Clock,
        profiled_ms: f64,
        memory_bytes: u64,
        mut rows: Vec<ProfileRow>,
    ) -> ProfileReport {
        rows.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms).then_with(|| a.name.cmp(&b.name)));
        let mut phases = BTreeMap::new();
        for row in &rows {
            let empty = PhaseRow { phase: row.phase, dispatches: 0, copies: 0, total_ms: 0.0 };
            let sum: &mut PhaseRow = phases.entry(row.phase).or_insert(empty);
            *if row.grid.is_some() { &mut sum.dispatches } else { &mut sum.copies } += row.count;
            sum.total_ms += row.total_ms;
        }
        let mut phases: Vec<PhaseRow> = phases.into_values().collect();
        phases.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
        let rows_ms: f64 = rows.iter().map(|r| r.total_ms).sum();
        ProfileReport {
            adapter,
            clock,
            steps: 1,
            between_ms: profiled_ms - rows_ms,
            profiled_ms,
            dispatches: phases.iter().map(|p| p.dispatches).sum(),
            copies: phases.iter().map(|p| p.copies).sum(),
            memory_bytes,
            phases,
            rows,
            step_ms: None,
            roofs: None,
        }
    }

    /// The report of `steps` steps which normally take `step_ms` each.
    pub(super) fn of_steps(mut self, steps: u64, step_ms: f64, roofs: Option<Roofs>) -> ProfileReport {
        (self.steps, self.step_ms, self.roofs) = (steps, Some(step_ms), roofs);
        self.between_ms = match self.clock {
            Clock::Device => step_ms - self.rows_ms() / steps as f64,
            Clock::Host => 0.0,
        };
        for row in &mut self.rows {
            row.percent_of_roof = roofs.map(|r| r.percent(row.gbps, row.gflops));
        }
        self
    }

    /// Milliseconds of all rows.
    pub fn rows_ms(&self) -> f64 {
        self.rows.iter().map(|r| r.total_ms).sum()
    }

    /// Milliseconds of one step: its rows and what is between them.
    pub fn whole_ms(&self) -> f64 {
        self.rows_ms() / self.steps as f64 + self.between_ms
    }

    /// The report as JSON: the fields of this struct by their names.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|e| unreachable!("a report is plain data: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_no_time_has_no_rate_and_no_nan() {
        let row = ProfileRow::new("forward", "copy".into(), None, Work::bytes(8), 2, 0.0);
        assert_eq!((row.mean_ms, row.gbps, row.gflops), (0.0, 0.0, 0.0));
        let report = ProfileReport::new("test".into(), Clock::Device, 0.0, 0, vec![row]);
        let report = report.of_steps(1, 0.0, Some(Roofs { gbps: 10.0, gflops: 100.0 }));
        assert_eq!(report.rows[0].percent_of_roof, Some(0.0));
        let empty = ProfileReport::new("test".into(), Clock::Device, 0.0, 0, Vec::new());
        for text in [report.table(), report.json(), empty.table(), empty.json()] {
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }

    #[test]
    fn a_report_is_sorted_summed_and_complete() {
        let row = |phase, name: &str, grid, seconds| {
            ProfileRow::new(phase, name.into(), grid, Work { bytes: 3_000_000, flops: 60_000_000 }, 4, seconds)
        };
        let grid = Some([2, 3]);
        let rows = vec![
            row("chain", "a[T=f32][texels]", grid, 0.004),
            row("update", "copy", None, 0.008),
            row("chain", "b", grid, 0.002),
        ];
        let report = ProfileReport::new("test".into(), Clock::Device, 15.0, 1_000_000, rows);
        assert_eq!(report.between_ms, 15.0 - 14.0);
        let report = report.of_steps(2, 8.0, Some(Roofs { gbps: 12.0, gflops: 240.0 }));
        assert_eq!(report.rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["copy", "a[T=f32][texels]", "b"]);
        assert_eq!((report.dispatches, report.copies, report.between_ms), (8, 4, 1.0));
        let phases: Vec<_> = report.phases.iter().map(|p| (p.phase, p.dispatches, p.copies)).collect();
        assert_eq!(phases, [("update", 0, 4), ("chain", 8, 0)]);
        // 3 MB in 1 ms are 3 GB/s, a quarter of the roof; 60 MFLOP in 1 ms are 60 GFLOP/s, a quarter as well.
        assert_eq!(report.rows[1].percent_of_roof, Some(25.0));
        let table = report.table();
        let cells = table.lines().find(|l| l.contains("2x3") && l.contains("T=f32")).unwrap_or_default();
        let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
        let shape = "2x3, 3.00 MB, 60.0 MFLOP";
        let wanted = ["", "chain", "a", shape, "2", "2.00", "25.0", "1000", "3.00", "60.00", "25", "T=f32,texels", ""];
        assert_eq!(cells, wanted, "{table}");
        assert!(
            table.contains("between kernels") && table.contains("4 dispatches and 2 copies a step; 1.00 MB"),
            "{table}"
        );
    }
}
