//! `ebm eval`: every score that applies to a run.

use super::choose_device::choose_device;
use super::compose::AisArgs;
use super::output::say;
use super::progress::Ticker;
use crate::check;
use crate::error::Result;
use crate::run::ais::{Ais, Base};
use crate::run::evaluation::{Effort, Part, evaluate};
use crate::run::{Registry, Score, Scores, Session, report};
use crate::train::Watch;
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
    /// Samples of a score, at most [default: 10000 points, 2000 images, of which some scores take fewer]
    #[arg(long)]
    n: Option<usize>,
    /// Only this, and nothing else is kept: any of samples, guidance, inpainting, log-z, outliers.
    #[arg(long, num_args = 1.., value_parser = Part::ALL.map(|(_, name)| name))]
    only: Vec<String>,
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
    args.n.map_or(Ok(()), |n| check::within("n", n, 2..=check::MOST_COUNTED))?;
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open_model(registry, &args.dir, &device)?;
    args.n.map_or(Ok(()), |n| check::memory("n", n, &session.data.sample_shape))?;
    let (steps, step_scale, guidance, data) = (args.langevin_steps, args.step_scale, args.guidance, args.data.clone());
    let ticker = Ticker::new("scores");
    let watch = ticker.watch();
    let base = if matches!(args.ais_base, BaseName::Uniform) { Base::Uniform } else { Base::Normal };
    let only = Part::ALL.into_iter().filter(|(_, name)| args.only.iter().any(|only| only == name));
    let only = only.map(|(part, _)| part).collect::<Vec<_>>();
    let ais = args.ais || only.contains(&Part::LogZ);
    let ais = ais.then_some(Ais { base, ..args.ais_effort.settings() });
    let print = ticker.printer();
    let told = if args.json { Watch::default() } else { Watch::new(move |score: &Score| print(&line(score))) };
    let usual = Effort::default();
    let (points, images) = (args.n.unwrap_or(usual.points), args.n.unwrap_or(usual.images));
    let effort = Effort { steps, step_scale, guidance, points, images, only, data, ais, watch, told };
    let scores = evaluate(&session, &effort)?;
    drop(ticker);
    if args.json {
        say!("{}", scores.to_json())?;
    } else {
        end(&scores)?;
    }
    report::write(&session)
}

/// A score beside its floor or ceiling.
pub fn line(score: &Score) -> String {
    let [name, value, note] = score.line();
    format!("{name:>24} {value:<10} {note}")
}

/// What follows the last score: what could not be scored, and what all scores have in common.
pub fn end(scores: &Scores) -> Result<()> {
    for why in &scores.skipped {
        say!("{:>24} {why}", "skipped")?;
    }
    say!("{:>24} {}", "", scores.caption())
}
