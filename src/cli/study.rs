//! `ebm study`: trains several variants of an algorithm alike and compares them.

use super::choose_device::choose_device;
use super::output::say;
use super::progress;
use crate::error::{Error, Result};
use crate::run::study::{CdrlStudy, ImprovedCdStudy, Net, Switch};
use crate::run::{Registry, Session};
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub enum Args {
    /// Initializer, shared noise and schedule on the checkerboard, sampled with fewer and fewer Langevin steps.
    Cdrl(CdrlArgs),
    /// The KL term, its entropy, moves of the memory and nets: curves of the energy difference and of gradient norms.
    ImprovedCd(ImprovedCdArgs),
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

#[derive(clap::Args)]
pub struct ImprovedCdArgs {
    /// The preset that the variants are made of.
    #[arg(long, default_value = "improved-cd/fashion-mnist")]
    preset: String,
    /// Iterations of each training.
    #[arg(long, default_value_t = 100)]
    steps: u64,
    /// What is switched on and off, in all combinations: kl (both its parts), energy, entropy, moves.
    #[arg(long = "switch", value_name = "SWITCHES", value_delimiter = ',', value_parser = switch, default_value = "energy,entropy,moves")]
    switches: Vec<Switch>,
    /// The nets: plain, group-norm, attention, spectral-norm, or preset for the one that it has.
    #[arg(long, value_delimiter = ',', value_parser = net, default_value = "plain,group-norm,attention,spectral-norm")]
    nets: Vec<Net>,
    /// The seeds.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    seeds: Vec<u64>,
    /// Change a setting of all trainings; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    #[arg(long, default_value = "runs/study-improved-cd")]
    out: PathBuf,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

fn net(name: &str) -> Result<Net> {
    choice("net", Net::ALL.map(|net| (net.name(), net)), name)
}

fn switch(name: &str) -> Result<Switch> {
    choice("switch", Switch::ALL.map(|switch| (switch.name(), switch)), name)
}

fn choice<T: Copy, const N: usize>(what: &str, all: [(&str, T); N], name: &str) -> Result<T> {
    let known = || all.map(|(name, _)| name).join(", ");
    let found = all.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, of)| of).ok_or_else(|| Error::setting(format!("unknown {what} '{name}'; known: {}", known())))
}

pub fn run(registry: &Registry, args: &Args) -> Result<()> {
    let mut train = |session: &mut Session| {
        progress::train(session).inspect(|()| progress::last_words("interrupted; the same command goes on from here"))
    };
    match args {
        Args::Cdrl(args) => {
            let device = choose_device(args.device.as_deref())?;
            let study = CdrlStudy { steps: args.steps, overrides: args.overrides.clone(), out: args.out.clone() };
            study.run(registry, &device, &mut |line| say!("{line}"), &mut train)
        }
        Args::ImprovedCd(args) => {
            let device = choose_device(args.device.as_deref())?;
            let study = ImprovedCdStudy {
                preset: args.preset.clone(),
                steps: args.steps,
                switches: args.switches.clone(),
                nets: args.nets.clone(),
                seeds: args.seeds.clone(),
                overrides: args.overrides.clone(),
                out: args.out.clone(),
            };
            study.run(registry, &device, &mut |line| say!("{line}"), &mut train)
        }
    }
}
