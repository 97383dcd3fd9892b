//! `ebm inpaint`: fills the masked part of an image.

use super::choose_device::choose_device;
use super::output::say;
use super::progress::Ticker;
use super::sample::{How, check_kind, square, write};
use crate::error::{Error, Result};
use crate::io::png;
use crate::run::{Registry, Session, evaluation};
use crate::tensor::{Key, Tensor};
use crate::train::{Known, SampleRequest};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct InpaintArgs {
    /// The folder of the run.
    dir: PathBuf,
    /// A PNG of the size the model was trained on.
    #[arg(long)]
    image: PathBuf,
    /// A PNG of that size: white where the image is to be filled in, black where it is kept.
    #[arg(long)]
    mask: PathBuf,
    /// How many ways to fill it.
    #[arg(long, default_value_t = 16)]
    n: usize,
    /// How often each noise level is visited: going back up lets the filled part fit the known one.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// A .png or .npy file; inpainted.png in the run's folder by default.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

pub fn run(registry: &Registry, args: &InpaintArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.dir.join("inpainted.png"));
    check_kind(&out)?;
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open_model(registry, &args.dir, &device)?;
    let shape = session.algorithm().sample_shape().to_vec();
    let &[h, w, c] = shape.as_slice() else {
        return Err(Error::setting(format!("{} was not trained on images", args.dir.display())));
    };
    let request = args.how.request(args.n, session.algorithm())?;
    let image = read(&args.image, [h, w, c])?;
    let mask = read(&args.mask, [h, w, 1])?.into_iter().map(|v| if v < 0.5 { 1.0 } else { 0.0 });
    let mask: Vec<f32> = mask.flat_map(|kept| std::iter::repeat_n(kept, c)).collect();
    let copies = |one: &[f32]| Tensor::new(&device, [args.n, h, w, c], &one.repeat(args.n));
    let known = Known { values: copies(&image), mask: copies(&mask) };
    let ticker = Ticker::new("samples");
    let request = SampleRequest { known: Some(known), rounds: args.rounds, watch: ticker.watch(), ..request };
    let key = Key::new(args.how.seed(session.config.seed)).named("inpainting");
    let samples = session.algorithm().sample(&request, &key)?;
    let x = evaluation::checked(&samples.x)?;
    drop(ticker);
    write(&out, &x, square(args.n), &session.bounds())?;
    say!("{} ways to fill {} -> {}", args.n, args.image.display(), out.display())
}

/// A PNG as `[h, w, c]` in [0, 1]; grey and colour are turned into each other.
pub fn read(path: &Path, [h, w, c]: [usize; 3]) -> Result<Vec<f32>> {
    let (bytes, shape) = png::read(path)?;
    if shape[..2] != [h, w] {
        let [height, width, _] = shape;
        return Err(Error::setting(format!("{} is {width} x {height}; the model has {w} x {h}", path.display())));
    }
    let channels = shape[2];
    let pixel = |p: &[u8]| -> Vec<f32> {
        let colour: Vec<f32> = p.iter().map(|&b| f32::from(b) / 255.0).collect();
        let grey = colour.iter().sum::<f32>() / colour.len() as f32;
        if c == colour.len() { colour } else { vec![grey; c] }
    };
    Ok(bytes.chunks_exact(channels).flat_map(pixel).collect())
}
