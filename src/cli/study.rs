//! `ebm study`: trains several variants of an algorithm alike and compares them.

use super::choose_device::choose_device;
use super::output::say;
use super::progress;
use crate::error::{Error, Result};
use crate::run::study::{
    CdrlStudy, CompareStudy, DATA, GcdStudy, ImprovedCdStudy, McmcTeachingStudy, Net, Study, Switch,
};
use crate::run::{Registry, Session};
use crate::tensor::Device;
use crate::train::mcmc_teaching::Teaching;
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub enum Args {
    /// Initializer, shared noise and schedule on the checkerboard, sampled with fewer and fewer Langevin steps.
    Cdrl(CdrlArgs),
    /// Every algorithm on the same densities, for the same time.
    Compare(CompareArgs),
    /// Generalized contrastive divergence and DDPM on the eight Gaussians, beside the paper's table.
    Gcd(GcdArgs),
    /// The KL term, its entropy, moves of the memory and nets: curves of the energy difference and of gradient norms.
    ImprovedCd(ImprovedCdArgs),
    /// Who teaches whom, Langevin steps, noise and latent dimensions on eight Gaussians: tables with standard errors over seeds.
    McmcTeaching(McmcTeachingArgs),
}

/// What all studies are told.
#[derive(clap::Args)]
struct Common {
    /// Change a setting of all trainings; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept [default: runs/study-NAME].
    #[arg(long)]
    out: Option<PathBuf>,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

#[derive(clap::Args)]
pub struct CdrlArgs {
    /// Iterations of each of the eight trainings.
    #[arg(long, default_value_t = 600)]
    steps: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
pub struct CompareArgs {
    /// Seconds of each training.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Seeds of each row.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The densities: eight-gaussians, checkerboard, two-spirals. All of them by default.
    #[arg(long, value_delimiter = ',', value_parser = density)]
    data: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    #[arg(long, default_value = "runs/study-compare")]
    out: PathBuf,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

fn seconds(text: &str) -> std::result::Result<f64, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds.filter(|s| s.is_finite() && *s > 0.0).ok_or_else(|| "use more than 0".into())
}

fn density(name: &str) -> Result<String> {
    let known = DATA.join(", ");
    let found = DATA.into_iter().find(|known| *known == name);
    found.map(String::from).ok_or_else(|| Error::setting(format!("unknown density '{name}'; known: {known}")))
}

#[derive(clap::Args)]
pub struct GcdArgs {
    /// Seeds of each row.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Iterations of each training, if not the presets' own numbers.
    #[arg(long)]
    steps: Option<u64>,
    /// The rows, for example gcd-tau-.1,gcd-tau-0; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = row)]
    rows: Vec<String>,
    #[command(flatten)]
    common: Common,
}

fn row(name: &str) -> Result<String> {
    let known = || GcdStudy::names().collect::<Vec<_>>().join(", ");
    let found = GcdStudy::names().find(|known| *known == name);
    found.map(String::from).ok_or_else(|| Error::setting(format!("unknown row '{name}'; known: {}", known())))
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
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
pub struct McmcTeachingArgs {
    /// Iterations of each training.
    #[arg(long, default_value_t = 300)]
    steps: u64,
    /// vae, coopnets, data (a VAE alone), none (short-run Langevin from noise). All of them by default.
    #[arg(long, value_delimiter = ',', value_parser = teaching)]
    teaching: Vec<Teaching>,
    /// Langevin noise: on, off, or both.
    #[arg(long, default_value = "both")]
    noise: Noise,
    /// Langevin steps.
    #[arg(long, value_delimiter = ',', default_value = "5,10,20,40")]
    langevin: Vec<usize>,
    /// Latent dimensions.
    #[arg(long, value_delimiter = ',', default_value = "2,4,8")]
    latents: Vec<usize>,
    /// All combinations; without it one thing is changed at a time.
    #[arg(long)]
    full: bool,
    /// Seeds of each cell.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Noise {
    On,
    Off,
    Both,
}

fn teaching(name: &str) -> Result<Teaching> {
    let known = || Teaching::ALL.map(Teaching::name).join(", ");
    let found = Teaching::ALL.into_iter().find(|teaching| teaching.name() == name);
    found.ok_or_else(|| Error::setting(format!("unknown teaching '{name}'; known: {}", known())))
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

impl Common {
    fn out(&self, name: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| format!("runs/study-{name}").into())
    }

    fn run(&self, registry: &Registry, study: &impl Study) -> Result<()> {
        train_all(registry, &choose_device(self.device.as_deref())?, study)
    }
}

fn train_all(registry: &Registry, device: &Device, study: &impl Study) -> Result<()> {
    let mut train = |session: &mut Session| {
        let words = "interrupted; the same command goes on from here";
        progress::train(session, None).inspect(|()| progress::last_words(words))
    };
    study.run(registry, device, &mut |line| say!("{line}"), &mut train)
}

pub fn run(registry: &Registry, args: &Args) -> Result<()> {
    match args {
        Args::Cdrl(CdrlArgs { steps, common }) => {
            let (overrides, out) = (common.overrides.clone(), common.out("cdrl"));
            common.run(registry, &CdrlStudy { steps: *steps, overrides, out })
        }
        Args::Compare(CompareArgs { seconds, seeds, data, out, device }) => {
            let device = choose_device(device.as_deref())?;
            let told = (*seconds, *seeds, data.clone(), out.clone());
            train_all(registry, &device, &CompareStudy::new(told, registry, &device)?)
        }
        Args::Gcd(GcdArgs { seeds, steps, rows, common }) => {
            let (overrides, out) = (common.overrides.clone(), common.out("gcd"));
            common.run(registry, &GcdStudy { seeds: *seeds, steps: *steps, rows: rows.clone(), overrides, out })
        }
        Args::ImprovedCd(ImprovedCdArgs { preset, steps, switches, nets, seeds, common }) => {
            let study = ImprovedCdStudy {
                preset: preset.clone(),
                steps: *steps,
                switches: switches.clone(),
                nets: nets.clone(),
                seeds: seeds.clone(),
                overrides: common.overrides.clone(),
                out: common.out("improved-cd"),
            };
            common.run(registry, &study)
        }
        Args::McmcTeaching(McmcTeachingArgs { steps, teaching, noise, langevin, latents, full, seeds, common }) => {
            let study = McmcTeachingStudy {
                steps: *steps,
                teachings: if teaching.is_empty() { Teaching::ALL.into() } else { teaching.clone() },
                noises: match noise {
                    Noise::On => vec![true],
                    Noise::Off => vec![false],
                    Noise::Both => vec![true, false],
                },
                langevin: langevin.clone(),
                latents: latents.clone(),
                full: *full,
                seeds: *seeds,
                overrides: common.overrides.clone(),
                out: common.out("mcmc-teaching"),
            };
            common.run(registry, &study)
        }
    }
}
