//! `ebm eval`: every score that applies to a run.

use super::choose_device::choose_device;
use super::compose::AisArgs;
use super::output::say;
use super::progress::Ticker;
use crate::error::Result;
use crate::run::ais::{Ais, Base};
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
    /// Weight of guidance: towards the classes (recovery likelihood), or along the values (GCD).
    #[arg(long, default_value_t = 0.0)]
    guidance: f64,
    /// Of images only their distance from the data, with Langevin steps and without: no other weights of guidance, inpainting or outliers.
    #[arg(long)]
    brief: bool,
    /// Also estimate ln Z by annealed importance sampling, with its standard error.
    #[arg(long)]
    ais: bool,
    /// Where its chains start: `uniform` on the box of the data (Z is that of the box), or `normal` (of all space).
    #[arg(long, default_value = "uniform")]
    ais_base: BaseName,
    #[command(flatten)]
    ais_effort: AisArgs,
    /// Another data set to hold the model against than the run's own, or the same one elsewhere.
    #[arg(long)]
    data: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum BaseName {
    Uniform,
    Normal,
}

pub fn run(registry: &Registry, args: &EvalArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open_model(registry, &args.dir, &device)?;
    let (steps, step_scale, guidance, data) = (args.langevin_steps, args.step_scale, args.guidance, args.data.clone());
    let ticker = Ticker::new("scores");
    let watch = ticker.watch();
    let base = if matches!(args.ais_base, BaseName::Uniform) { Base::Uniform } else { Base::Normal };
    let ais = args.ais.then_some(Ais { base, ..args.ais_effort.settings() });
    let effort = Effort { steps, step_scale, guidance, brief: args.brief, data, ais, watch, ..Effort::default() };
    let scores = evaluate(&session, &effort)?;
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
