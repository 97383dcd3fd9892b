//! `ebm study`: trains several variants of an algorithm alike and compares them.

use super::choose_device::choose_device;
use super::output::say;
use super::progress;
use crate::error::Result;
use crate::run::study::CdrlStudy;
use crate::run::{Registry, Session};
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub enum Args {
    /// Initializer, shared noise and schedule on the checkerboard, sampled with fewer and fewer Langevin steps.
    Cdrl(CdrlArgs),
}

#[derive(clap::Args)]
pub struct CdrlArgs {
    /// Iterations of each of the eight trainings.
    #[arg(long, default_value_t = 600)]
    steps: u64,
    /// Change a setting of all trainings; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    #[arg(long, default_value = "runs/study-cdrl")]
    out: PathBuf,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

pub fn run(registry: &Registry, args: &Args) -> Result<()> {
    let Args::Cdrl(args) = args;
    let device = choose_device(args.device.as_deref())?;
    let study = CdrlStudy { steps: args.steps, overrides: args.overrides.clone(), out: args.out.clone() };
    let mut train = |session: &mut Session| {
        progress::train(session).inspect(|()| progress::last_words("interrupted; the same command goes on from here"))
    };
    study.run(registry, &device, &mut |line| say!("{line}"), &mut train)
}
