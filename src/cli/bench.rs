//! `ebm bench`: checks and times the kernels on the chosen adapter.

use super::bench_scaling;
use super::choose_device::choose_device;
use super::output::{self, say};
use super::progress::Ticker;
use crate::bench::{Roofs, Row, Step, all, ladder, scaling, select};
use crate::error::{Error, Result};
use crate::gpu::{INSTALL_HINT, significant};
use crate::io::atomic;
use crate::plot::Roofline;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub struct Args {
    /// Print JSON: adapter, driver, commit, date, roofs, and rows with the kernels of each, iterations, times and rates
    #[arg(long)]
    pub(super) json: bool,
    /// Draw the roofline: what kernels reach beside what memory and arithmetic allow
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// Also write table, JSON and roofline to ./benches/results, under this adapter's name
    #[arg(long)]
    pub(super) save: bool,
    /// Only these benchmarks, separated by commas
    #[arg(long, value_name = "NAMES", num_args = 1..)]
    only: Vec<String>,
    /// Time the ladder of matrix products in shaders/matmul instead, each rung against the one before it
    #[arg(long, conflicts_with_all = ["json", "only", "readme", "svg", "save", "scaling"])]
    ladder: bool,
    /// Time whole iterations instead, as batch, Langevin steps, width, side of images and levels grow, with the memory they take;
    /// --svg draws them, --save keeps page and drawing
    #[arg(long, conflicts_with_all = ["only", "readme", "ladder"])]
    scaling: bool,
    /// Also write the table into ./README.md, between <!-- bench --> and <!-- /bench -->
    #[arg(long)]
    readme: bool,
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    let Some(gpu) = device.gpu() else {
        return Err(Error::NoAdapter(format!("benchmarks need a GPU adapter; {INSTALL_HINT}")));
    };
    let ticker = Ticker::new("bench");
    if args.ladder {
        ticker.at("the rungs of the ladder, in turn".into());
        let (n, steps) = ladder(&device)?;
        drop(ticker);
        return output::text(&ladder_table(n, &steps, &gpu.describe()));
    }
    if args.scaling {
        let open = || choose_device(args.device.as_deref());
        let sizes = scaling(&open, &|what| ticker.at(what))?;
        drop(ticker);
        return bench_scaling::show(args, &sizes, &gpu.describe());
    }
    let mut list = all(gpu.profile());
    if !args.only.is_empty() {
        list = select(list, &args.only.join(","))?;
    }
    ticker.at("the roofs".into());
    let roofs = Roofs::measure(&device)?;
    let mut rows = Vec::new();
    for (done, bench) in list.iter().enumerate() {
        ticker.at(format!("{}, {done} of {} done,", bench.name, list.len()));
        (bench.check)(&device)?;
        rows.push(bench.measure(&device, roofs)?);
    }
    drop(ticker);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        commit: commit(),
        adapter: gpu.describe(),
        date: today(),
        roofs,
        rows,
    };
    let table = table(&report.rows, &report.adapter, &report.date);
    if args.readme {
        write_readme(&table)?;
    }
    if let Some(file) = &args.svg {
        atomic::write_bytes(file, report.roofline().as_bytes())?;
    }
    if args.save {
        let file = |end: &str| PathBuf::from(format!("benches/results/bench-{}.{end}", slug(&report.adapter)));
        let page = format!("# Benchmark: {}\n\n{table}\n![roofline]({})\n", report.adapter, name(&file("svg")));
        for (end, text) in [("md", page), ("json", report.json() + "\n"), ("svg", report.roofline())] {
            atomic::write_bytes(file(end), text.as_bytes())?;
        }
    }
    match args.json {
        true => say!("{}", report.json()),
        false => output::text(&table),
    }
}

/// What was measured, where and when.
#[derive(serde::Serialize)]
struct Report {
    version: &'static str,
    /// Of the source tree that this program was built from, if it is there.
    commit: Option<String>,
    /// With its driver.
    adapter: String,
    date: String,
    roofs: Roofs,
    rows: Vec<Row>,
}

impl Report {
    fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|_| unreachable!())
    }

    fn roofline(&self) -> String {
        let kernels = self.rows.iter().map(|row| (row.name.to_string(), row.gflops / row.gbps, row.gflops)).collect();
        Roofline { gbps: self.roofs.gbps, gflops: self.roofs.gflops, kernels }.svg(&self.adapter)
    }
}

/// `git describe` of the source tree.
fn commit() -> Option<String> {
    let git = ["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"];
    let said = std::process::Command::new("git").args(git).output().ok().filter(|said| said.status.success())?;
    Some(String::from_utf8_lossy(&said.stdout).trim().into())
}

/// The letters and digits of an adapter's name, joined by hyphens.
pub(super) fn slug(adapter: &str) -> String {
    let lower = adapter.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-")
}

pub(super) fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into()
}

pub(super) fn today() -> String {
    date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()) / 86_400)
}

/// A Markdown table with its caption.
fn table(rows: &[Row], adapter: &str, date: &str) -> String {
    let width = rows.iter().map(|r| r.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "Measured with `ebm bench` on {adapter}, {date}. Medians; the roofs are a plain copy and multiply-adds in \
         registers.\n\n"
    );
    let head = ["ms", "min", "max", "GB/s", "GFLOP/s", "% of roof"];
    text += &format!("| {:<width$} |{}\n", "kernel", head.map(|h| format!(" {h:>9} |")).concat());
    text += &format!("|:{}-|{}\n", "-".repeat(width), "----------:|".repeat(head.len()));
    for r in rows {
        let cells = [
            significant(r.ms),
            significant(r.ms_min),
            significant(r.ms_max),
            rate(r.gbps),
            rate(r.gflops),
            format!("{:.0}", r.percent_of_roof),
        ];
        text += &format!("| {:<width$} |{}\n", r.name, cells.map(|c| format!(" {c:>9} |")).concat());
    }
    text
}

fn ladder_table(n: usize, steps: &[Step], adapter: &str) -> String {
    let mut text = format!("A product of {n} x {n} x {n} on {adapter}. Medians, the rungs in turn.\n\n");
    text += "| rung           |        ms |   GFLOP/s | times as fast |\n|:---------------|----------:|----------:|--------------:|\n";
    for step in steps {
        let gain = step.gain.map_or(String::new(), significant);
        let (ms, gflops) = (significant(step.ms), significant(step.gflops));
        text += &format!("| {:<14} | {ms:>9} | {gflops:>9} | {gain:>13} |\n", step.name);
    }
    text
}

/// A rate, or nothing where that work is not counted.
fn rate(x: f64) -> String {
    if x > 0.0 { significant(x) } else { String::new() }
}

/// The date of a day counted from 1970-01-01, as year-month-day (Hinnant, "chrono-compatible low-level date algorithms").
fn date(day: u64) -> String {
    let z = day + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months count from March.
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    format!("{}-{month:02}-{day:02}", era * 400 + year_of_era + u64::from(month <= 2))
}

const BEGIN: &str = "<!-- bench -->";
const END: &str = "<!-- /bench -->";

fn write_readme(table: &str) -> Result<()> {
    let text = std::fs::read_to_string("README.md").map_err(|e| Error::file("README.md", e))?;
    atomic::write_bytes("README.md", replace_table(&text, table)?.as_bytes())
}

/// `text` with everything between the two marks replaced.
fn replace_table(text: &str, table: &str) -> Result<String> {
    let places = text.find(BEGIN).zip(text.find(END)).map(|(a, b)| (a + BEGIN.len(), b)).filter(|(a, b)| a <= b);
    let missing = || Error::format("README.md", "README", format!("it has no {BEGIN} ... {END}"));
    let (from, to) = places.ok_or_else(missing)?;
    Ok(format!("{}\n{}{}", &text[..from], table, &text[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_across_leap_years() {
        let dates = [0, 59, 11_016, 11_017, 19_782, 20_788].map(date);
        assert_eq!(dates, ["1970-01-01", "1970-03-01", "2000-02-29", "2000-03-01", "2024-02-29", "2026-12-01"]);
    }

    #[test]
    fn a_page_is_named_after_its_adapter() {
        let adapter = "NVIDIA H200 (vulkan, discrete GPU, NVIDIA 570.1)";
        assert_eq!(slug(adapter), "nvidia-h200-vulkan-discrete-gpu-nvidia-570-1");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb";
        assert_eq!(replace_table(text, "new\n").unwrap(), "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb");
        assert!(replace_table("a", "new").is_err());
    }
}
