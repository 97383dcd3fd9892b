//! `ebm sample`: draws from a trained energy.

use super::choose_device::choose_device;
use super::inpaint::read;
use super::output::say;
use super::progress::Ticker;
use crate::check;
use crate::error::{Error, Result};
use crate::io::{atomic, npy};
use crate::plot;
use crate::run::{Registry, Session, evaluation, pictures};
use crate::tensor::Tensor;
use crate::train::{Algorithm, SampleRequest};
use std::path::{Path, PathBuf};

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
    #[command(flatten)]
    how: How,
    /// A PNG of the size the model was trained on, for a model of pairs p(y | x): x is made of it, as in training.
    #[arg(long)]
    given: Option<PathBuf>,
    /// Also keep the states between the noise levels: trajectory.npy and, for images, trajectory.png beside the samples.
    #[arg(long)]
    trajectory: bool,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

/// How samples are drawn; shared with `ebm inpaint`.
#[derive(clap::Args)]
pub struct How {
    /// Langevin steps: what kept chains take, or K per noise level; the algorithm's own number by default.
    #[arg(long)]
    langevin_steps: Option<usize>,
    /// Langevin noise times m, drift times m^2 (recovery likelihood).
    #[arg(long, default_value_t = 1.0)]
    step_scale: f64,
    /// A class index, or `each` for one class after another; repeated, all conditions hold at once.
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// Weight of guidance: towards the classes (recovery likelihood), or along the values (GCD).
    #[arg(long, default_value_t = 0.0)]
    guidance: f64,
    /// Another seed than the run's.
    #[arg(long)]
    seed: Option<u64>,
}

impl How {
    /// The request for `n` samples of `model`, whose classes take turns for `each`.
    pub fn request(&self, n: usize, model: &dyn Algorithm) -> Result<SampleRequest> {
        let (steps, step_scale, guidance) = (self.langevin_steps, self.step_scale, self.guidance);
        let request = SampleRequest { steps, step_scale, guidance, ..SampleRequest::new(n) };
        request.check(model.sample_shape())?;
        let count = model.classes().max(1) as u32;
        let condition = |text: &String| match text.as_str() {
            "each" => Ok((0..n as u32).map(|i| i % count).collect()),
            text => match text.parse() {
                Ok(class) => Ok(vec![class]),
                Err(_) => Err(Error::setting(format!("--class {text}: use a class index, or each"))),
            },
        };
        Ok(SampleRequest { conditions: self.classes.iter().map(condition).collect::<Result<_>>()?, ..request })
    }

    /// The seed to use in place of `run`'s.
    pub fn seed(&self, run: u64) -> u64 {
        self.seed.unwrap_or(run)
    }
}

pub fn run(registry: &Registry, args: &SampleArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.dir.join("samples.png"));
    check_kind(&out)?;
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open_model(registry, &args.dir, &device)?;
    let key = crate::tensor::Key::new(args.how.seed(session.config.seed)).named("samples");
    let classes = session.algorithm().classes();
    let ticker = Ticker::new("samples");
    let (trajectory, watch) = (args.trajectory, ticker.watch());
    let given = args.given.as_ref().map(|path| copies(path, args.n, &session)).transpose()?;
    let request = SampleRequest { trajectory, watch, given, ..args.how.request(args.n, session.algorithm())? };
    let samples = session.algorithm().sample(&request, &key)?;
    let columns = if args.how.classes.iter().any(|c| c == "each") { classes } else { square(args.n) };
    let x = evaluation::checked(&samples.x)?; // waits for the device
    drop(ticker);
    write(&out, &x, columns, &session.bounds())?;
    say!("{} samples (EMA weights) -> {}", args.n, out.display())?;
    if args.trajectory {
        let states: Vec<&Tensor> = samples.trajectory.iter().collect();
        let path = out.with_file_name("trajectory.npy");
        let shape: Vec<usize> = [states.len()].into_iter().chain(samples.x.shape().iter().copied()).collect();
        npy::write(&path, &shape, &Tensor::concat(&states, 0).to_vec()?)?;
        say!("states at levels T to 0 -> {}", path.display())?;
        if samples.x.shape().rank() == 4 {
            let path = out.with_file_name("trajectory.png");
            atomic::write_bytes(&path, &pictures::trajectory(&samples.trajectory, 10)?.png())?;
            say!("ten of them as strips -> {}", path.display())?;
        }
    }
    Ok(())
}

/// A PNG as `n` images of the size of the model's.
fn copies(path: &Path, n: usize, session: &Session) -> Result<Tensor> {
    let shape = session.algorithm().sample_shape();
    let &[h, w, c] = shape else {
        return Err(Error::setting(format!("--given {}: this model is not one of images", path.display())));
    };
    check::memory("n", n, shape)?;
    Ok(Tensor::new(&session.device, [n, h, w, c], &read(path, [h, w, c])?.repeat(n)))
}

/// Refuses what [`write`] cannot write, before any work is done.
pub fn check_kind(out: &Path) -> Result<()> {
    match extension(out).as_str() {
        "png" | "npy" => Ok(()),
        _ => Err(Error::setting(format!("{}: samples are written as .png or .npy", out.display()))),
    }
}

/// Columns of a square grid of `n`.
pub fn square(n: usize) -> usize {
    (n as f64).sqrt().ceil() as usize
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase()
}

/// Writes samples `[n, item...]` as an array, a grid of images, or points on the data's box.
pub fn write(out: &Path, samples: &Tensor, columns: usize, bounds: &[[f64; 2]]) -> Result<()> {
    let (shape, values) = (samples.shape().to_vec(), samples.to_vec()?);
    match (extension(out).as_str(), shape.as_slice()) {
        ("npy", _) => npy::write(out, &shape, &values),
        (_, &[n, h, w, c]) => atomic::write_bytes(out, &plot::grid(&values, [n, h, w, c], columns).png()),
        (_, &[_, 2]) => {
            let points: Vec<[f32; 2]> = values.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
            let panel = plot::Panel::scatter("samples", pictures::square(bounds), &points);
            atomic::write_bytes(out, &plot::panels(&[panel]).png())
        }
        (_, shape) => Err(Error::setting(format!("samples of shape {shape:?} have no picture; write .npy"))),
    }
}
