//! `ebm film`: an animated picture of a training.

use super::choose_device::choose_device;
use super::output::say;
use super::progress::Ticker;
use crate::check;
use crate::error::Result;
use crate::io::{RunDir, atomic};
use crate::plot::animation;
use crate::run::{Registry, RunConfig, film};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run, a preset or a .toml file: it is trained again while it is filmed.
    run: String,
    /// Change a setting, for example `--set trainer.steps=500`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Pictures.
    #[arg(long, default_value_t = 60)]
    frames: usize,
    /// The animated PNG.
    #[arg(long, default_value = "film.png")]
    out: PathBuf,
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

/// How long a picture is shown, and the last one.
const MILLISECONDS: [u16; 2] = [100, 2000];

pub fn run(registry: &Registry, args: &Args) -> Result<()> {
    check::within("--frames", args.frames, 2..=1000)?;
    let folder = Path::new(&args.run);
    let config = match folder.is_dir() {
        true => RunConfig::parse(registry, "config.toml", &RunDir::open(folder)?.read_config()?, &args.overrides)?,
        false => RunConfig::load(registry, &args.run, &args.overrides)?,
    };
    let device = choose_device(args.device.as_deref())?;
    let ticker = Ticker::new("film");
    let pictures = film::film(registry, &config, &device, args.frames, &mut |done| {
        ticker.at(format!("picture {done} of {}", args.frames));
    })?;
    drop(ticker);
    atomic::write_bytes(&args.out, &animation(&pictures, MILLISECONDS))?;
    say!("{} pictures of {} iterations: {}", pictures.len(), config.trainer.steps, args.out.display())
}
