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

    /// The chains `[size, sample...]`.
    pub fn chains(&self) -> Tensor {
        self.chains.get()
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
