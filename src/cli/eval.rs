//! `ebm eval`: every score that applies to a run.

use super::choose_device::choose_device;
use super::output::say;
use super::progress::Ticker;
use crate::error::Result;
use crate::run::evaluation::{Effort, evaluate};
use crate::run::{Registry, Scores, Session, report};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct EvalArgs {
    /// The folder of the run.
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
    /// Langevin steps: what kept chains take before they are scored, or K per noise level.
    #[arg(long)]
    langevin_steps: Option<usize>,
    /// Langevin noise times m, drift times m^2 (recovery likelihood, points).
    #[arg(long, default_value_t = 1.0)]
    step_scale: f64,
    /// Another data set to hold the model against than the run's own, or the same one elsewhere.
    #[arg(long)]
    data: Option<String>,
}

pub fn run(registry: &Registry, args: &EvalArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open_model(registry, &args.dir, &device)?;
    let (steps, step_scale, data) = (args.langevin_steps, args.step_scale, args.data.clone());
    let ticker = Ticker::new("scores");
    let watch = ticker.watch();
    let scores = evaluate(&session, &Effort { steps, step_scale, data, watch, ..Effort::default() })?;
    drop(ticker);
    if args.json {
        say!("{}", scores.to_json())?;
    } else {
        print(&scores)?;
    }
    report::write(&session)
}

/// One line per score, each beside its floor or ceiling.
pub fn print(scores: &Scores) -> Result<()> {
    for [name, value, note] in scores.scores.iter().map(|score| score.line()) {
        say!("{name:>24} {value:<10} {note}")?;
    }
    for why in &scores.skipped {
        say!("{:>24} {why}", "skipped")?;
    }
    say!("{:>24} {}", "", scores.caption())
}
