//! `ebm tune`: measures which kernels are the fastest for the products of a training, and keeps that for later runs.

use super::choose_device::{choose_device, tuned_file};
use super::output::say;
use super::progress::Ticker;
use crate::check;
use crate::error::{Error, Result};
use crate::gpu::{Choices, Gpu, INSTALL_HINT, Tuned};
use crate::io::tuned;
use crate::run::{self, Registry, RunConfig};
use crate::tensor::Device;
use crate::train::Training;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// A preset (see `ebm presets`) or a .toml file.
    #[arg(required_unless_present = "forget")]
    preset: Option<String>,
    /// Change a setting, for example `--set algorithm.batch=64`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Seconds after which no further product is measured.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Forget what was found for this adapter.
    #[arg(long, conflicts_with = "preset")]
    forget: bool,
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

/// The longest time that may be asked for: a day.
const MOST_SECONDS: u64 = 86_400;

pub fn run(registry: &Registry, args: &Args) -> Result<()> {
    check::within("--seconds", args.seconds, 1..=MOST_SECONDS)?;
    let file = tuned_file().ok_or_else(|| Error::setting("no place to keep choices: set HOME or XDG_CACHE_HOME"))?;
    let device = choose_device(args.device.as_deref())?;
    let Some(gpu) = device.gpu() else {
        return Err(Error::NoAdapter(format!("only the kernels of a GPU adapter can be tuned; {INSTALL_HINT}")));
    };
    let Some(preset) = &args.preset else {
        tuned::save(&file, &gpu.describe(), &Choices::new())?;
        return say!("forgotten what was found for {}", gpu.describe());
    };
    let load = |capture: bool| {
        let overrides = [&args.overrides[..], &[format!("trainer.capture={capture}")]].concat();
        RunConfig::load(registry, preset, &overrides)
    };
    let (eager, config) = (load(false)?, load(true)?);
    say!("{} on {device}", config.preset)?;
    let mut kept = tuned::load(&file, &gpu.describe())?;
    gpu.choose_by(Choices::new());
    let mut training = run::build(registry, &eager, &device)?;
    let found = measure(gpu, Duration::from_secs(args.seconds), &mut training);
    drop(training);
    gpu.check()?;
    let choices = gpu.choices();
    let [usual, best] = compare(registry, &config, &device, &choices)?;
    kept.extend(choices);
    tuned::save(&file, &gpu.describe(), &kept)?;
    let better = found.iter().filter(|found| found.best > 0).count();
    let (n, file) = (found.len(), file.display());
    say!(
        "{better} of {n} products have a faster kernel; an iteration takes {best:.1} ms, before {usual:.1}; kept in {file}"
    )
}

/// The products of an iteration, told as they are found.
fn measure(gpu: &Gpu, budget: Duration, training: &mut Training) -> Vec<Tuned> {
    let ticker = Ticker::new("tune");
    let found = Rc::new(RefCell::new(Vec::new()));
    let list = found.clone();
    let (watch, print) = (ticker.watch(), ticker.printer());
    let told = move |tuned: &Tuned| {
        list.borrow_mut().push(tuned.clone());
        watch.say(&format!("{} products,", list.borrow().len()));
        if tuned.best > 0 {
            let [usual, best] = [0, tuned.best].map(|i| &tuned.candidates[i].0);
            print(&format!("{:>5.2} of the time by {best} for {usual}: {}", tuned.ratio(), tuned.task));
        }
    };
    gpu.tune(budget, told, || drop(pollster::block_on(training.advance())));
    found.take()
}

/// Rounds in which iterations of both kinds take turns, and how long each round is at least.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);

/// Milliseconds of an iteration without the choices and with them, medians.
fn compare(registry: &Registry, config: &RunConfig, device: &Device, choices: &Choices) -> Result<[f64; 2]> {
    let _ticker = Ticker::new("iterations without and with");
    let gpu = device.gpu().unwrap_or_else(|| unreachable!("only a GPU is tuned"));
    let mut trainings = Vec::new();
    for choices in [Choices::new(), choices.clone()] {
        gpu.choose_by(choices);
        let mut training = run::build(registry, config, device)?;
        // The first iteration is captured, with the choices of now.
        drop(pollster::block_on(training.advance()));
        gpu.wait()?;
        trainings.push(training);
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (training, times) in trainings.iter_mut().zip(&mut times) {
            let (start, mut iterations) = (Instant::now(), 0);
            while iterations == 0 || start.elapsed() < ROUND {
                drop(pollster::block_on(training.advance()));
                gpu.wait()?;
                iterations += 1;
            }
            times.push(1e3 * start.elapsed().as_secs_f64() / f64::from(iterations));
        }
    }
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    }))
}
