//! `ebm ood`: whether a trained energy tells other data from its own.

use super::choose_device::choose_device;
use super::eval;
use super::output::say;
use crate::check;
use crate::error::Result;
use crate::run::{Registry, Session, outliers, report};
use crate::train::OutlierScore;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct OodArgs {
    /// The folder of the run.
    dir: PathBuf,
    /// The data that the model knows; held-out data of the run by default.
    #[arg(long = "in", value_name = "SPEC")]
    inside: Option<String>,
    /// Data that it does not know: a data set, or `interpolation`, `constant`, `uniform`.
    #[arg(long = "out", value_name = "SPEC", num_args = 1.., required = true)]
    outside: Vec<String>,
    /// What is higher for outliers: energy, gradient; of models with noise levels also levels (a sum over all), level-1 (the
    /// cleanest), level-2, ..., denoising-1, denoising-2, ... (what of the noise the slope does not find), typicality (whether that is as of training data at all levels), classes. Several give a table.
    #[arg(long, value_name = "SCORE", num_args = 1..)]
    score: Vec<OutlierScore>,
    /// Samples of each set.
    #[arg(long, default_value_t = 2000)]
    n: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

pub fn run(registry: &Registry, args: &OodArgs) -> Result<()> {
    check::within("n", args.n, 1..=check::MOST_COUNTED)?;
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open_model(registry, &args.dir, &device)?;
    check::memory("n", args.n, &session.data.sample_shape)?;
    let scores = outliers::detect(&session, args.inside.as_deref(), &args.outside, &args.score, args.n)?;
    if args.json {
        say!("{}", scores.to_json())?;
    } else {
        scores.scores.iter().try_for_each(|score| say!("{}", eval::line(score)))?;
        eval::end(&scores)?;
        say!("{:>24} AUROC: error by DeLong; AUPRC: by 200 bootstrap copies; outliers are the positives", "")?;
        say!("{:>24} histograms -> {}", "", session.run.plot("ood.svg").display())?;
        if session.data.sample_shape.len() == 3 {
            say!("{:>24} |dE/dx| by pixel -> {}", "", session.run.plot("ood-slopes.png").display())?;
        }
    }
    report::write(&session)
}
