//! What a run is: its settings, the loop, what it leaves in its folder, and how it is scored and shown.
//!
//! The only place with clocks and run folders. [`Registry`] names the algorithms and data sets that settings may ask for,
//! your own too; [`Session`] is a run that is open; [`evaluation`] scores it, [`report`] shows it, [`study`] compares several.
//!
//! # An algorithm of your own
//!
//! Sliced score matching (Song et al. 2019), from outside this crate, in the same loop as the others: logs, checkpoints, resume,
//! pictures, scores and a report. Its loss has second derivatives of E in x, so its gradient is one of third order.
//!
//! ```
//! use ebm::energy::{MlpConfig, MlpEnergy};
//! use ebm::prelude::*;
//! use ebm::{data::Dataset, nn::Params, optim::AdamConfig, run::*, train::*};
//!
//! #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
//! #[serde(default)]
//! struct Config {
//!     energy: MlpConfig,
//!     optimizer: AdamConfig,
//! }
//!
//! struct ScoreMatching {
//!     energy: MlpEnergy,
//!     learner: Learner,
//!     data: Loader,
//! }
//!
//! impl Algorithm for ScoreMatching {
//!     /// `J = mean 1/2 |dE/dx|^2 - v . (d2E/dx2 v)`, v ~ N(0, I): eq. 8, with log p = -E + const.
//!     fn iteration(&self, it: &mut Iteration) {
//!         let x = self.data.batch(it).x.tracked(); // [N, D]
//!         let v = it.normal("v", x.shape());
//!         let slope = grad_graph(&self.energy.energy(&x), &[&x]).remove(0);
//!         let curvature = grad_graph(&(&slope * &v).sum(), &[&x]).remove(0);
//!         let loss = (0.5 * slope.square() - &v * &curvature).sum() / x.dim(0) as f64;
//!         self.learner.minimize(it, &loss);
//!         it.metric("loss", &loss).limit(1e6);
//!     }
//!     fn state(&self) -> Vec<(String, State)> {
//!         self.learner.state("energy")
//!     }
//!     fn sizes(&self) -> Vec<(&'static str, usize)> {
//!         vec![("energy", self.learner.params.numel())]
//!     }
//! }
//!
//! impl Model for ScoreMatching {
//!     fn sample_shape(&self) -> &[usize] {
//!         &self.data.data().sample_shape
//!     }
//!     fn energy(&self) -> Result<Box<dyn Energy + '_>> {
//!         Ok(Box::new(self.learner.ema(&self.energy)))
//!     }
//!     fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
//!         request.check_plain(self.sample_shape())?;
//!         let start = Tensor::normal(self.learner.params.device(), [request.n, self.sample_shape()[0]], key);
//!         let langevin = Langevin { steps: request.steps.unwrap_or(100), ..Langevin::default() };
//!         Ok(langevin.run(&*self.energy()?, &start, key).into())
//!     }
//! }
//!
//! fn build(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<ScoreMatching> {
//!     let params = Params::new(device, key.named("parameters"));
//!     let energy = MlpEnergy::new(&params.root(), data.sample_shape[0], &config.energy);
//!     let learner = Learner::new(&params, &config.optimizer, 0.99);
//!     Ok(ScoreMatching { energy, learner, data: Loader::new(device, data, 64, &key.named("batches"))? })
//! }
//!
//! // A program: fn main() -> std::process::ExitCode { ebm::cli::main_with(registry) }
//! let registry = Registry::standard().algorithm("score_matching", build);
//! # fn try_it(registry: Registry) -> Result<()> {
//! # let folder = std::env::temp_dir().join(format!("ebm-score-matching-{}", std::process::id()));
//! # let text = "data = 'toy:two-moons:500'\nseed = 1\n[trainer]\nsteps = 6\ncheckpoint_every = 3\nsample_every = 6\n\
//! #     [algorithm]\nkind = 'score_matching'\nenergy.hidden = [16, 16]";
//! # let device = Device::oracle();
//! # let quiet = &mut |_: &Progress| ();
//! # let stop = &std::sync::atomic::AtomicBool::new(true); // as if Ctrl-C were pressed at once
//! # let config = RunConfig::parse(&registry, "sm", text, &[])?;
//! # let mut session = Session::create(&registry, config, &device, Some(&folder))?;
//! # assert!(matches!(session.train(Control { stop, progress: quiet }), Err(Error::Interrupted(1))));
//! # drop(session);
//! # stop.store(false, std::sync::atomic::Ordering::Relaxed);
//! # let mut session = Session::open(&registry, &folder, &device)?;
//! # session.train(Control { stop, progress: quiet })?;
//! # let effort = evaluation::Effort { points: 200, steps: Some(5), ..Default::default() };
//! # assert!(evaluation::evaluate(&session, &effort)?.get("sw2").is_some());
//! # report::write(&session)?;
//! # let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
//! # assert!(page.contains("sm after 6 iterations") && page.contains("sw2") && page.contains("data:image/png"));
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok(())
//! # }
//! # try_it(registry).unwrap();
//! ```

pub mod ais;
mod classifier;
pub mod compose;
pub mod config;
pub mod evaluation;
pub mod film;
mod image_scores;
mod init;
mod latents;
pub mod measures;
pub mod outliers;
mod pairs;
mod patches;
pub mod pictures;
mod presets;
mod registry;
pub mod report;
mod saving;
mod scores;
mod session;
#[cfg(feature = "plots")]
pub mod study;
mod trainer;
pub mod watch;

pub use config::{InitConfig, RunConfig, TrainerConfig};
pub use presets::PRESETS;
pub use registry::{AlgorithmConfig, Registry};
pub use saving::{checkpoint, checkpoint_async, restore};
pub use scores::{Against, Score, Scores};
pub use session::{DataInfo, Session, build};
pub use trainer::{Control, Progress, Trainer};
