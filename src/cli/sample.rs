//! `ebm sample`: draws from a trained energy.

use super::choose_device::choose_device;
use super::output::say;
use super::session::Session;
use crate::data::npy;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::plot;
use crate::train::SampleRequest;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct SampleArgs {
    /// The folder of the run.
    dir: PathBuf,
    /// How many.
    #[arg(long)]
    n: usize,
    /// A .png or .npy file; samples.png in the run's folder by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Langevin steps: what kept chains take, or K per noise level; the algorithm's own number by default.
    #[arg(long)]
    langevin_steps: Option<usize>,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

pub fn run(args: &SampleArgs) -> Result<()> {
    if args.n == 0 {
        return Err(Error::setting("--n 0: ask for at least one sample"));
    }
    let out = args.out.clone().unwrap_or_else(|| args.dir.join("samples.png"));
    let kind = out.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if !["png", "npy"].contains(&kind.as_str()) {
        return Err(Error::setting(format!("{}: samples are written as .png or .npy", out.display())));
    }
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open(&args.dir, &device)?;
    let key = session.key().named("samples");
    let samples =
        session.algorithm.sample(&SampleRequest { steps: args.langevin_steps, ..SampleRequest::new(args.n) }, &key)?.x;
    let (shape, values) = (samples.shape().to_vec(), samples.to_vec()?);
    match (kind.as_str(), shape.as_slice()) {
        ("npy", _) => npy::write(&out, &shape, &values)?,
        (_, &[n, h, w, c]) => {
            let columns = (n as f64).sqrt().ceil() as usize;
            atomic::write_bytes(&out, &plot::grid(&values, [n, h, w, c], columns).png())?;
        }
        _ => {
            let points: Vec<[f32; 2]> = values.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
            let half = values.iter().fold(1.0f32, |m, v| m.max(v.abs()));
            let panel = plot::Panel::scatter(&session.config.preset, plot::Bounds::square(half), &points);
            atomic::write_bytes(&out, &plot::panels(&[panel]).png())?;
        }
    }
    say!("{} samples (EMA weights) -> {}", args.n, out.display())?;
    Ok(())
}
