//! `ebm train`, `ebm resume` and `ebm demo`.

use super::choose_device::choose_device;
use super::config::RunConfig;
use super::output::say;
use super::session::Session;
use super::{eval, report};
use crate::error::{Error, Result};
use crate::tensor::Device;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct TrainArgs {
    /// A preset (see `ebm presets`) or a .toml file.
    preset: String,
    /// Change a setting, for example `--set algorithm.langevin.steps=30`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The data set, for example `fashion-mnist:DIR` or `toy:two-moons`.
    #[arg(long)]
    data: Option<String>,
    /// Iterations in all.
    #[arg(long)]
    steps: Option<u64>,
    /// The folder of the run; a fresh one under runs/ by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
    /// The seed of every random number.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(clap::Args)]
pub struct ResumeArgs {
    /// The folder of the run.
    dir: PathBuf,
    /// Iterations in all, if not as many as before.
    #[arg(long)]
    steps: Option<u64>,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

#[derive(clap::Args, Default)]
pub struct DemoArgs {
    /// The folder of the run; a fresh one under runs/ by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

pub fn train(args: &TrainArgs) -> Result<()> {
    let mut overrides = args.overrides.clone();
    overrides.extend(args.data.as_ref().map(|d| format!("data={d}")));
    overrides.extend(args.steps.map(|n| format!("trainer.steps={n}")));
    overrides.extend(args.seed.map(|s| format!("seed={s}")));
    let config = RunConfig::load(&args.preset, &overrides)?;
    let device = choose_device(args.device.as_deref())?;
    run(Session::create(config, &device, args.out.as_deref())?)
}

pub fn resume(args: &ResumeArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    let mut session = Session::open(&args.dir, &device)?;
    if let Some(steps) = args.steps {
        session.config.trainer.steps = steps;
        crate::io::atomic::write_bytes(session.run.config(), session.config.to_toml().as_bytes())?;
    }
    if session.done >= session.config.trainer.steps {
        let dir = args.dir.display();
        return Err(Error::setting(format!(
            "{dir} has done its {} iterations; ask for more with --steps",
            session.done
        )));
    }
    say!("continuing {} after {} iterations", args.dir.display(), session.done)?;
    run(session)
}

pub fn demo(args: &DemoArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    // The f64 host loops train a smaller net.
    let preset = if matches!(device, Device::Oracle) { "cd/eight-gaussians-small" } else { "cd/eight-gaussians" };
    run(Session::create(RunConfig::load(preset, &[])?, &device, args.out.as_deref())?)
}

/// Trains, then scores and reports.
fn run(mut session: Session) -> Result<()> {
    let folder = session.run.root().display().to_string();
    say!("{} on {} -> {folder}", session.config.preset, session.device)?;
    let sizes = session.algorithm.sizes().into_iter().map(|(net, count)| format!("{net} of {count} parameters"));
    say!("{}", sizes.collect::<Vec<_>>().join(", "))?;
    let (start, from) = (std::time::Instant::now(), session.done);
    let result = session.train();
    if let Err(Error::Interrupted(step)) = result {
        return say!("interrupted after {step} iterations; the state is saved, continue with: ebm resume {folder}");
    }
    result?;
    let seconds = start.elapsed().as_secs_f64();
    let memory = match &session.device {
        Device::Gpu(gpu) => format!(", {} MiB of device buffers", gpu.pool_stats().allocated_bytes >> 20),
        Device::Oracle => String::new(),
    };
    say!("{} iterations in {seconds:.1} s{memory}", session.done - from)?;
    if session.toy().is_some() {
        let scores = eval::scores(&session, &eval::Effort::default())?;
        eval::print(&scores)?;
    }
    report::write(&session)?;
    say!("report: {}", session.run.report().display())?;
    Ok(())
}
