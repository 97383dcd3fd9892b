//! `ebm train`, `ebm resume` and `ebm demo`.

use super::choose_device::choose_device;
use super::eval;
use super::output::say;
use super::progress;
use super::serve::{Listening, ServeArgs};
use crate::bench::Roofs;
use crate::check;
use crate::error::{Error, Result};
use crate::run::evaluation::{self, Effort};
use crate::run::{Registry, RunConfig, Score, Session, report};
use crate::tensor::Device;
use crate::train::Watch;
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
    /// Show where the time of an iteration goes, from N of them, in place of training.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3")]
    profile: Option<u64>,
    /// With --profile: print JSON.
    #[arg(long, requires = "profile")]
    json: bool,
    #[command(flatten)]
    serve: ServeArgs,
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
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(clap::Args, Default)]
pub struct DemoArgs {
    /// The folder of the run; a fresh one under runs/ by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

pub fn train(registry: &Registry, args: &TrainArgs) -> Result<()> {
    let mut overrides = args.overrides.clone();
    overrides.extend(args.data.as_ref().map(|d| format!("data={}", quoted(d))));
    overrides.extend(args.steps.map(|n| format!("trainer.steps={n}")));
    overrides.extend(args.seed.map(|s| format!("seed={s}")));
    let config = RunConfig::load(registry, &args.preset, &overrides)?;
    let device = choose_device(args.device.as_deref())?;
    let page = args.serve.listen()?;
    match args.profile {
        Some(_) if page.is_some() => Err(Error::setting("--serve shows a training, and --profile does not train")),
        Some(steps) => profile(registry, &config, &device, steps, args.json),
        None => run(Session::create(registry, config, &device, args.out.as_deref())?, page),
    }
}

/// The most iterations that `--profile` takes.
const MOST_PROFILED: u64 = 1000;

/// Prints where the time of an iteration goes: every kernel with its shape, count, time and rate beside the roofs.
fn profile(registry: &Registry, config: &RunConfig, device: &Device, steps: u64, json: bool) -> Result<()> {
    let Some(gpu) = device.gpu() else {
        return Err(Error::setting("--profile needs a GPU adapter; the oracle has no kernels"));
    };
    check::within("--profile", steps, 1..=MOST_PROFILED)?;
    let roofs = Roofs::measure(device)?;
    let mut training = crate::run::build(registry, config, device)?;
    let report = gpu.profile_steps(steps, Some(roofs), || {
        drop(pollster::block_on(training.advance()));
        Ok(())
    })?;
    if json { say!("{}", report.json()) } else { say!("{} on {device}\n\n{}", config.preset, report.table()) }
}

/// A TOML string, so that a path is never read as a number.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

pub fn resume(registry: &Registry, args: &ResumeArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    let page = args.serve.listen()?;
    let mut session = Session::open(registry, &args.dir, &device)?;
    let done = session.training.done();
    let steps = args.steps.unwrap_or(session.config.trainer.steps);
    if done > steps {
        let dir = args.dir.display();
        return Err(Error::setting(format!("{dir} has done {done} iterations; ask for more with --steps")));
    }
    if steps != session.config.trainer.steps {
        let changed =
            RunConfig::parse(registry, "config.toml", &session.config.to_toml(), &[format!("trainer.steps={steps}")])?;
        session.run.rewrite_config(&changed.to_toml())?;
        session.config = changed;
    }
    if session.changed {
        super::output::note(
            "note: the settings differ from those of the checkpoint; the run goes on with the new ones",
        );
    }
    match done {
        _ if done == steps => say!("{} has done its {done} iterations", args.dir.display())?,
        _ => say!("continuing {} after {done} iterations", args.dir.display())?,
    }
    run(session, page)
}

pub fn demo(registry: &Registry, args: &DemoArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    // The f64 host loops train a smaller net.
    let preset = if matches!(device, Device::Oracle) { "cd/eight-gaussians-small" } else { "cd/eight-gaussians" };
    let config = RunConfig::load(registry, preset, &[])?;
    let page = args.serve.listen()?;
    run(Session::create(registry, config, &device, args.out.as_deref())?, page)
}

/// Trains, then scores and reports.
fn run(mut session: Session, page: Option<Listening>) -> Result<()> {
    let folder = session.run.root().display().to_string();
    say!("{} on {} -> {folder}", session.config.preset, session.device)?;
    let sizes = session.algorithm().sizes().into_iter().map(|(net, count)| format!("{net} of {count} parameters"));
    say!("{}", sizes.collect::<Vec<_>>().join(", "))?;
    let (start, from) = (std::time::Instant::now(), session.training.done());
    let page = page.map(|page| page.show(&session)).transpose()?;
    progress::train(&mut session, page)?;
    let seconds = start.elapsed().as_secs_f64();
    let memory = match &session.device {
        Device::Gpu(gpu) => format!(", {} MiB of device buffers", gpu.pool_stats().allocated_bytes >> 20),
        Device::Oracle => String::new(),
    };
    let done = session.training.done() - from;
    say!("{done} iteration{} in {seconds:.1} s{memory}", if done == 1 { "" } else { "s" })?;
    let ticker = progress::Ticker::new("scores");
    let print = ticker.printer();
    let told = Watch::new(move |score: &Score| print(&eval::line(score)));
    let effort = Effort { watch: ticker.watch(), told, ..Effort::default() };
    let scores = evaluation::is_quick(&session).then(|| evaluation::evaluate(&session, &effort));
    drop(ticker);
    // The report is worth having without scores, too.
    report::write(&session)?;
    if let Some(scores) = scores {
        eval::end(&scores?)?;
    }
    say!("report: {}", session.run.report().display())
}
