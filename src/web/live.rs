//! A training without a folder: what `run::Session` is to the command line, here for a page, where nothing may wait.

use crate::data::{Dataset, Split, Toy, Values};
use crate::error::{Error, Result};
use crate::io::Checkpoint;
use crate::plot::Bounds;
use crate::run::watch::{self, Dispatched, View};
use crate::run::{self, Registry, RunConfig};
use crate::tensor::Device;
use crate::train::{Report, Training};
use std::cell::RefCell;
use std::rc::Rc;

/// Points that were drawn by hand, shared with the data set called [`DRAWN`].
pub type Drawing = Rc<RefCell<Vec<[f32; 2]>>>;

/// The data set of drawn points, as settings name it.
pub const DRAWN: &str = "drawn:here";
/// They are drawn on a square of this half width.
const CANVAS: f64 = 4.0;
/// They are repeated up to this many, so that there is a batch of them.
const LEAST_DRAWN: usize = 4096;

/// The standard registry, with drawn points as one more data set.
pub fn registry(drawing: &Drawing) -> Registry {
    let drawing = drawing.clone();
    Registry::standard().data("drawn", move |_, _| drawn(&drawing.borrow()))
}

fn drawn(points: &[[f32; 2]]) -> Result<Dataset> {
    if points.is_empty() {
        return Err(Error::setting("there are no points yet: draw some on the map"));
    }
    let values = points.iter().cycle().take(points.len().max(LEAST_DRAWN)).flatten().copied().collect();
    let bounds = vec![[-CANVAS, CANVAS]; 2];
    Ok(Dataset { told: Some((0, bounds)), ..Dataset::new("drawn points", vec![2], Values::F32(values)) })
}

/// A training under way, and what it is held against.
pub struct Live {
    pub config: RunConfig,
    pub view: View,
    training: Training,
    device: Device,
    registry: Registry,
}

impl Live {
    /// A fresh training with these settings.
    pub fn new(registry: &Registry, device: &Device, config: RunConfig) -> Result<Live> {
        let data = registry.load(&config.data, Split::Test)?;
        let bounds = toy(&config.data).map_or(canvas(), |toy| {
            let ends = toy.bounds().map(|end| end as f32);
            Bounds { x: ends, y: ends }
        });
        let view = View::new(&data, bounds, config.seed);
        let training = run::build(registry, &config, device)?;
        Ok(Live { config, view, training, device: device.clone(), registry: registry.clone() })
    }

    /// The same training with other settings: its state goes on where it fits them. Says whether it did.
    pub async fn change(&mut self, config: RunConfig) -> Result<bool> {
        let mut state = run::checkpoint_async(&self.training).await?;
        let mut next = Live::new(&self.registry, &self.device, config)?;
        let fits = next.restore(&mut state).is_ok();
        *self = if fits { next } else { Live::new(&self.registry, &self.device, next.config)? };
        Ok(fits)
    }

    /// Runs so many iterations; the numbers of the last one.
    pub async fn advance(&mut self, iterations: usize) -> Result<Report> {
        let mut metrics = self.training.advance().await;
        for _ in 1..iterations {
            metrics = self.training.advance().await;
        }
        let report = metrics.read().values().await?;
        report.check().map_err(|error| self.explain(error))?;
        Ok(report)
    }

    fn explain(&self, error: Error) -> Error {
        let Error::Diverged { step, what, .. } = error else { return error };
        Error::Diverged { step, seed: self.config.seed, what, advice: self.training.algorithm().advice() }
    }

    /// Iterations done.
    pub fn done(&self) -> u64 {
        self.training.done()
    }

    /// Where chains are now.
    pub async fn chains(&self, n: usize) -> Result<Vec<f32>> {
        self.view.chains(self.training.algorithm(), n).await
    }

    /// The energy on the cells of the map; nothing for a model that has none.
    pub async fn energies(&self) -> Result<Option<Vec<f32>>> {
        self.view.energies(self.training.algorithm(), &self.device).await
    }

    /// SW2 of chains, as they are, from the data.
    pub async fn score(&self) -> Result<f64> {
        self.view.score(self.training.algorithm(), self.done()).await
    }

    /// Whether an iteration has run, so that its metrics and kernels are known.
    pub fn captured(&self) -> bool {
        !self.training.kernels().is_empty()
    }

    /// The kernels of an iteration.
    pub fn kernels(&self) -> Vec<Dispatched> {
        watch::kernels(&self.training, &self.device, None)
    }

    /// The same with the times of an iteration, after one that compiles.
    pub async fn timed_kernels(&mut self) -> Result<Vec<Dispatched>> {
        let gpu = self.device.gpu().filter(|gpu| gpu.profile().timestamps).cloned();
        let gpu = gpu
            .ok_or_else(|| Error::setting("this browser does not tell how long kernels take (no timestamp queries)"))?;
        self.advance(1).await?; // the first one compiles
        gpu.profile_start();
        let metrics = self.training.advance().await;
        let profile = gpu.profile_stop_async().await;
        metrics.read().values().await?.check().map_err(|error| self.explain(error))?;
        Ok(watch::kernels(&self.training, &self.device, Some(&profile)))
    }

    /// The state, as the command line keeps it in `checkpoints/last.safetensors`.
    pub async fn save(&self) -> Result<Checkpoint> {
        let mut checkpoint = run::checkpoint_async(&self.training).await?;
        checkpoint.set_origin(self.config.seed, &self.config.origin());
        Ok(checkpoint)
    }

    /// Goes on from a state.
    pub fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<()> {
        let done = run::restore(checkpoint, self.training.algorithm())?;
        self.training.resume_after(done);
        Ok(())
    }
}

/// The box that points are painted in.
pub fn canvas() -> Bounds {
    Bounds::square(CANVAS as f32)
}

/// The preset for densities that have none of their own: its step sizes are in units of the data.
pub const ANY: &str = "cd/points";

/// The presets that train on points in the plane.
pub fn presets(registry: &Registry) -> Vec<String> {
    let plane = |text: &str| text.contains("data = \"toy:") || text.contains("data = \"npy:points");
    registry.presets().iter().filter(|(_, text)| plane(text)).map(|(name, _)| name.clone()).collect()
}

/// The first preset of contrastive divergence for a density, `toy:NAME:COUNT`.
pub fn preset_for(registry: &Registry, data: &str) -> String {
    let made_for = |(name, text): &&(String, String)| name.starts_with("cd/") && text.contains(&format!("\"{data}\""));
    registry.presets().iter().find(made_for).map_or(ANY, |(name, _)| name).to_string()
}

/// The density that a data set's name stands for.
pub fn toy(data: &str) -> Option<Toy> {
    Toy::by_name(data.strip_prefix("toy:")?.split(':').next()?).ok()
}
