//! Where chains start, and what that place learns from where they end.

use super::{DataBox, Iteration, State};
use crate::check;
use crate::data::Shuffle;
use crate::error::Result;
use crate::tensor::{Device, Key, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// A source of starting points for the chains of contrastive divergence: a memory, noise, a generator.
///
/// One of your own, with an energy and data of your own, in the loop that all runs share:
///
/// ```
/// use ebm::data::{Dataset, Values};
/// use ebm::nn::{Init, Param, Params};
/// use ebm::prelude::*;
/// use ebm::{run::*, train::contrastive_divergence::Config, train::*};
///
/// /// E(x) = a |x|^2 / 2 with one parameter, and chains that start from fresh noise every time.
/// struct Spring(Param);
/// struct Noise(Device);
///
/// impl Energy for Spring {
///     fn energy(&self, x: &Tensor) -> Tensor {
///         0.5 * (x.square() * &self.0.get()).sum_axes(&[1])
///     }
/// }
///
/// impl Proposal for Noise {
///     fn propose(&self, it: &mut Iteration, n: usize) -> Start {
///         let x = it.normal("noise", [n, 2]);
///         Start { source: x.clone(), x }
///     }
///     fn learn(&self, _: &mut Iteration, _: &Start, _: &Tensor) {}
///     fn draw(&self, n: usize, key: &Key) -> Tensor {
///         Tensor::normal(&self.0, [n, 2], key)
///     }
///     fn state(&self) -> Vec<(String, State)> {
///         Vec::new()
///     }
/// }
///
/// let registry = Registry::standard()
///     .data("grid", |side, _| {
///         let side: u32 = side.parse().map_err(|_| Error::setting("write grid:SIDE"))?;
///         let points = (0..side * side).flat_map(|i| [(i % side) as f32, (i / side) as f32]).collect();
///         Ok(Dataset::new("grid", vec![2], Values::F32(points)))
///     })
///     .algorithm("spring", |config: &Config, data, device, key| {
///         let params = Params::new(device, key.named("parameters"));
///         let energy = Spring(params.root().param("a", [1], Init::Constant(1.0)));
///         let proposal = Box::new(Noise(device.clone()));
///         ContrastiveDivergence::with_parts(config, (Box::new(energy), params), proposal, data, key)
///     });
/// # let text = "data = 'grid:8'\nseed = 1\n[trainer]\nsteps = 4\nlog_every = 1\n[algorithm]\nkind = 'spring'\nbatch = 16";
/// # let folder = std::env::temp_dir().join(format!("ebm-spring-{}", std::process::id()));
/// # let config = RunConfig::parse(&registry, "spring", text, &[]).unwrap();
/// # let mut session = Session::create(&registry, config, &Device::oracle(), Some(&folder)).unwrap();
/// # let mut gaps = Vec::new();
/// # let mut keep = |p: &Progress| gaps.push(p.newest.and_then(|r| r.get("energy_gap")).unwrap());
/// # session.train(Control { stop: &std::sync::atomic::AtomicBool::new(false), progress: &mut keep }).unwrap();
/// # assert!(gaps.len() == 4 && gaps.iter().all(|gap| *gap > 1.0), "the grid reaches farther than the chains: {gaps:?}");
/// # assert!(session.algorithm().sizes() == [("energy", 1)]);
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub trait Proposal {
    /// Where the `n` chains of this iteration start.
    fn propose(&self, it: &mut Iteration, n: usize) -> Start;

    /// Learns from where they ended, `x_neg [n, sample...]`: keeps, regresses, or nothing.
    fn learn(&self, it: &mut Iteration, start: &Start, x_neg: &Tensor);

    /// Starting points for `n` chains outside of training.
    fn draw(&self, n: usize, key: &Key) -> Tensor;

    /// What a resumed run needs.
    fn state(&self) -> Vec<(String, State)>;
}

/// Starting points, and what [`Proposal::learn`] wants to know about them.
pub struct Start {
    /// The points `[n, sample...]`.
    pub x: Tensor,
    /// What made them: the slots of a memory, a latent vector, the mean of a proposal.
    pub source: Tensor,
}

/// Size of the memory and where chains start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayConfig {
    /// How many chains are kept.
    pub size: usize,
    /// The probability that a drawn chain restarts from noise.
    pub restart: f64,
    /// Fresh chains are uniform on this interval in every coordinate; without it on the box of the data.
    pub start: Option<(f64, f64)>,
}

impl Default for ReplayConfig {
    fn default() -> ReplayConfig {
        ReplayConfig { size: 10_000, restart: 0.05, start: None }
    }
}

impl ReplayConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        check::within(format!("{name}.size"), self.size, 1..=check::MOST_COUNTED)?;
        check::within(format!("{name}.restart"), self.restart, 0.0..=1.0)?;
        self.start.map_or(Ok(()), |ends| check::interval(format!("{name}.start"), ends))
    }
}

/// The replay memory: chains go on where they stopped (persistent contrastive divergence, Tieleman 2008), a few of them
/// restarted from noise at every draw (Du & Mordatch 2019).
pub struct ReplayMemory {
    restart: f64,
    /// Where fresh chains start.
    fresh: DataBox,
    /// `[size, sample...]`
    chains: Var,
    order: Rc<RefCell<Shuffle>>,
}

impl ReplayMemory {
    /// A memory of fresh chains for samples of shape `sample`, from which `batch` are drawn at a time. They start on `of`,
    /// the box of the data, if the settings name no other.
    pub fn new(
        device: &Device,
        sample: &[usize],
        of: &DataBox,
        batch: usize,
        config: &ReplayConfig,
        key: &Key,
    ) -> Result<ReplayMemory> {
        let (name, enough) = ("algorithm.replay.size", config.size >= batch);
        check::ensure(enough, name, config.size, format!("keep at least as many chains as algorithm.batch = {batch}"))?;
        check::memory(name, config.size, sample)?;
        let fresh = config.start.map_or_else(|| of.clone(), |(lo, hi)| DataBox::new(device, sample, &[[lo, hi]]));
        let all: Vec<usize> = [config.size].into_iter().chain(sample.iter().copied()).collect();
        Ok(ReplayMemory {
            restart: config.restart,
            chains: Var::new(&fresh.uniform(all, &key.named("first"))),
            fresh,
            order: Rc::new(RefCell::new(Shuffle::new(config.size, batch, &key.named("slots"))?)),
        })
    }
}

impl Proposal for ReplayMemory {
    fn propose(&self, it: &mut Iteration, n: usize) -> Start {
        let order = self.order.clone();
        let slots = it.feed([n], move |step| order.borrow_mut().indices(step).into_iter().map(|i| i as f32).collect());
        let kept = self.chains.get().gather(0, &slots);
        let coin = it.uniform("restart", [n]).less(&Tensor::scalar(it.device(), self.restart));
        let noise = self.fresh.uniform(kept.shape().clone(), &it.key("noise"));
        Start { x: coin.per_sample(&kept).where_(&noise, &kept), source: slots }
    }

    /// The chains go back to their slots.
    fn learn(&self, _: &mut Iteration, start: &Start, x_neg: &Tensor) {
        self.chains.write_rows(&start.source, x_neg);
    }

    /// Kept chains, the first ones again where there are too few.
    fn draw(&self, n: usize, _: &Key) -> Tensor {
        let chains = self.chains.get();
        let rows: Vec<f32> = (0..n).map(|i| (i % chains.dim(0)) as f32).collect();
        chains.gather(0, &Tensor::new(chains.device(), [n], &rows))
    }

    fn state(&self) -> Vec<(String, State)> {
        vec![("chains".into(), State::Value(self.chains.clone()))]
    }
}
