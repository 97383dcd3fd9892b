//! `ebm compose`: samples of several runs put together.

use super::choose_device::choose_device;
use super::output::say;
use super::sample::{check_kind, square, write};
use crate::check;
use crate::error::Result;
use crate::io::atomic;
use crate::run::ais::Ais;
use crate::run::compose::{Composition, Operator, Term};
use crate::run::{Registry, Score, evaluation, pictures};
use crate::sample::{SamplerConfig, SamplerKind};
use crate::tensor::Key;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct ComposeArgs {
    /// `and`: what all find likely; `or`: what any does; `not`: what the first does and the second does not.
    operator: Word,
    /// Folders of runs, or DIR@CLASS for one class of a run.
    #[arg(required = true, value_name = "DIR[@CLASS]")]
    runs: Vec<String>,
    /// a of `not`: the density is p_1 / p_2^a on the box of the data.
    #[arg(long, default_value_t = 0.1)]
    strength: f64,
    /// b of `or`: 1 is the mixture, more comes nearer to the likeliest alone.
    #[arg(long, default_value_t = 1.0)]
    sharpness: f64,
    /// How many samples.
    #[arg(long, default_value_t = 1000)]
    n: usize,
    /// A .png or .npy file.
    #[arg(long, default_value = "composed.png")]
    out: PathBuf,
    /// What moves the chains at the end; or, in place of annealing them, rounds of moves and Langevin steps as after the first
    /// run's training (improved contrastive divergence of images).
    #[arg(long, default_value = "hmc")]
    sampler: Kind,
    /// Its moves.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Its step size, in units of the box: eps of hmc, eta of langevin and mala.
    #[arg(long)]
    step_size: Option<f64>,
    #[command(flatten)]
    ais: AisArgs,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

/// Annealed importance sampling; shared with `ebm eval --ais`.
#[derive(clap::Args)]
pub struct AisArgs {
    /// Chains of annealed importance sampling.
    #[arg(long, default_value_t = Ais::default().chains)]
    ais_chains: usize,
    /// Its temperatures.
    #[arg(long, default_value_t = Ais::default().temperatures)]
    ais_temperatures: usize,
    /// Its moves at each temperature.
    #[arg(long, default_value_t = Ais::default().moves)]
    ais_moves: usize,
}

impl AisArgs {
    /// As the library's settings.
    pub fn settings(&self) -> Ais {
        let AisArgs { ais_chains: chains, ais_temperatures: temperatures, ais_moves: moves } = *self;
        Ais { chains, temperatures, moves, ..Ais::default() }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Word {
    And,
    Or,
    Not,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Langevin,
    Mala,
    Hmc,
    Rounds,
}

impl ComposeArgs {
    fn operator(&self) -> Operator {
        match self.operator {
            Word::And => Operator::And,
            Word::Or => Operator::Or { sharpness: self.sharpness },
            Word::Not => Operator::Not { strength: self.strength },
        }
    }

    /// None for rounds.
    fn sampler(&self) -> Option<SamplerConfig> {
        let (kind, usual) = match self.sampler {
            Kind::Langevin => (SamplerKind::Langevin, 1e-5),
            Kind::Mala => (SamplerKind::Mala, 1e-4),
            Kind::Hmc => (SamplerKind::Hmc, 0.01),
            Kind::Rounds => return None,
        };
        let step_size = self.step_size.unwrap_or(usual);
        Some(SamplerConfig { kind, steps: self.steps, step_size, ..SamplerConfig::default() })
    }
}

pub fn run(registry: &Registry, args: &ComposeArgs) -> Result<()> {
    check_kind(&args.out)?;
    let (ais, sampler) = (args.ais.settings(), args.sampler());
    sampler.iter().try_for_each(|sampler| sampler.check("sampler"))?;
    check::within("n", args.n, 1..=check::MOST_COUNTED)?;
    let device = choose_device(args.device.as_deref())?;
    let terms: Vec<Term> = args.runs.iter().map(|text| Term::open(registry, text, &device)).collect::<Result<_>>()?;
    let shape = &terms[0].session.data.sample_shape;
    ais.check("ais", shape)?;
    check::memory("n", args.n, shape)?;
    let key = Key::new(args.seed).named("compose");
    let composition = Composition::new(&terms, args.operator(), &ais, &key)?;
    let (x, accepted) = match &sampler {
        Some(sampler) => composition.sample(args.n, &ais, sampler, &key)?,
        None => (composition.sample_in_rounds(args.n, &key)?, None),
    };
    let x = evaluation::checked(&x)?;
    write(&args.out, &x, square(args.n), &composition.bounds)?;
    let kl = composition.kl()?.map(|kl| Score::new("kl", kl).note("exact to composed density, on the box"));
    let rate = accepted.map(|rate| Score::new("acceptance", rate));
    let scores = composition.scores.iter().cloned().chain(kl.into_iter().chain(rate).map(|s| s.of(args.n)));
    for [name, value, note] in scores.map(|score| score.line()) {
        say!("{name:>24} {value:<10} {note}")?;
    }
    say!("{:>24} box {:?}", "", composition.bounds)?;
    if shape[..] == [2] {
        let path = args.out.with_extension("density.png");
        let picture = pictures::points(&*composition.energy, 1.0, &composition.bounds, &x)?;
        atomic::write_bytes(&path, &picture.png())?;
        say!("energy, density and samples -> {}", path.display())?;
    }
    say!("{} samples (EMA weights) -> {}", args.n, args.out.display())
}
