//! `report.html`: one file that shows a run.

use super::{Scores, Session};
use crate::error::{Error, Result};
use crate::io::{self, Metrics, Report, read_text};

/// Writes the report of a run: scores, pictures, curves, settings.
pub fn write(session: &Session) -> Result<()> {
    let run = &session.run;
    let mut report = Report::new(&format!("{} after {} iterations", session.config.preset, session.training.done()));
    report.text(&format!("{} on {}, seed {}", session.config.data, session.device, session.config.seed));

    if let Some(text) = run.read_scores()? {
        let scores = Scores::from_json(&text)?;
        let rows: Vec<Vec<String>> = scores.scores.iter().map(|s| s.line().to_vec()).collect();
        report.section("Scores").table(&["score", "value", "compare"], &rows);
        report.text(&scores.caption());
        for why in &scores.skipped {
            report.text(&format!("skipped {why}"));
        }
    }
    report.section("Pictures");
    for (file, caption) in pictures(session)? {
        let bytes = io::read(&file)?;
        report.png(&bytes, &caption);
    }
    let drawing = run.plot("ood.svg");
    if drawing.exists() {
        let svg = read_text(&drawing)?;
        report.section("Outliers").svg(&svg, "Energies of held-out data and of outliers, as scored by `ebm ood`");
    }
    report.section("Training");
    curves(&mut report, &Metrics::read(run.metrics())?);
    if run.distances().exists() {
        distances(&mut report, &Metrics::read(run.distances())?);
    }
    report.section("Settings").listing("config.toml", &session.config.to_toml());
    report.write(run.report())
}

/// A curve for each metric.
#[cfg(feature = "plots")]
fn curves(report: &mut Report, metrics: &Metrics) {
    let steps = metrics.column("step").unwrap_or_default();
    for (name, values) in metrics.columns.iter().filter(|(name, _)| name != "step" && name != "wall_s") {
        report.svg(&crate::plot::Curves::new(name).series(name, steps, values).smooth(0.9).svg(), name);
    }
}

/// The distances of all stages of the samples in one chart.
#[cfg(feature = "plots")]
fn distances(report: &mut Report, log: &Metrics) {
    let steps = log.column("step").unwrap_or_default();
    let columns = log.columns.iter().filter(|(name, _)| name != "step" && name != "wall_s");
    let chart = crate::plot::Curves::new("SW2 from the data, stage by stage").log_y();
    report.svg(&columns.fold(chart, |chart, (name, values)| chart.series(name, steps, values)).svg(), "distances.csv");
}

#[cfg(not(feature = "plots"))]
fn distances(report: &mut Report, log: &Metrics) {
    curves(report, log);
}

/// The last number of each metric, where nothing draws curves.
#[cfg(not(feature = "plots"))]
fn curves(report: &mut Report, metrics: &Metrics) {
    let last = |(name, values): &(String, Vec<f64>)| Some(vec![name.clone(), values.last()?.to_string()]);
    report.table(&["metric", "last"], &metrics.columns.iter().filter_map(last).collect::<Vec<_>>());
}

/// What `ebm eval` draws, with captions.
const PLOTS: [(&str, &str); 12] = [
    ("density.png", "Energy, normalised density and samples after training"),
    ("data.png", "The data"),
    ("stages.png", "How samples arise: from the first guess on the left to the end"),
    ("first-and-last.png", "First guesses on the left, the samples that became of them on the right"),
    ("reconstruction.png", "Held-out images, through encoder and decoder, and refined"),
    ("interpolation.png", "Lines between latent vectors: decoded, and below refined"),
    ("pairs.png", "Held-out pairs: x, first draws of y, refined ones, and y itself, a row each"),
    ("inpainting.png", "Originals, their left halves, one sample, the mean of eight, the mean image"),
    ("guidance-0.png", "Classes without guidance"),
    ("guidance-0.5.png", "Guidance 0.5"),
    ("guidance-1.png", "Guidance 1"),
    ("guidance-2.png", "Guidance 2"),
];

/// The pictures of the evaluation, then the newest sample pictures, with captions.
fn pictures(session: &Session) -> Result<Vec<(std::path::PathBuf, String)>> {
    let run = &session.run;
    let mut list = Vec::new();
    for (file, caption) in PLOTS {
        if run.plot(file).exists() {
            list.push((run.plot(file), caption.to_string()));
        }
    }
    let folder = run.root().join("samples");
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::file(&folder, e))?;
    let mut files: Vec<_> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "png")).collect();
    files.sort();
    let caption = |p: &std::path::PathBuf| p.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    list.extend(files.iter().rev().take(4).map(|p| (p.clone(), caption(p))));
    Ok(list)
}
