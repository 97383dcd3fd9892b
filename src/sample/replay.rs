//! The replay memory: chains that go on where they stopped (persistent contrastive divergence, Tieleman 2008), a few
//! of them restarted from noise at every draw (Du & Mordatch 2019).

use crate::data::Shuffle;
use crate::error::Result;
use crate::tensor::{Device, Feed, Key, Shape, Tensor, Var};
use serde::{Deserialize, Serialize};

/// Size of the memory and where chains start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayConfig {
    /// How many chains are kept.
    pub size: usize,
    /// The probability that a drawn chain restarts from noise.
    pub restart: f64,
    /// Fresh chains are uniform on this interval in every coordinate.
    pub start: (f64, f64),
}

impl Default for ReplayConfig {
    fn default() -> ReplayConfig {
        ReplayConfig { size: 10_000, restart: 0.05, start: (-4.0, 4.0) }
    }
}

/// A memory of chains `[size, item...]` on the device.
pub struct ReplayBuffer {
    config: ReplayConfig,
    /// The chains.
    pub chains: Var,
    /// Which chains this step moves: distinct, fed by the host.
    slots: Feed,
    order: Shuffle,
    key: Key,
}

impl ReplayBuffer {
    /// A memory of fresh chains, from which `batch` are drawn at a time.
    pub fn new(
        device: &Device,
        item: &[usize],
        batch: usize,
        config: &ReplayConfig,
        key: &Key,
    ) -> Result<ReplayBuffer> {
        let shape: Vec<usize> = [config.size].into_iter().chain(item.iter().copied()).collect();
        Ok(ReplayBuffer {
            chains: Var::new(&fresh(device, shape.into(), config, &key.named("first"))),
            slots: Feed::new(device, [batch]),
            order: Shuffle::new(config.size, batch, &key.named("slots"))?,
            key: key.clone(),
            config: config.clone(),
        })
    }

    /// Chooses the chains of step `step`; call before the step runs.
    pub fn feed(&mut self, step: u64) {
        let slots: Vec<f32> = self.order.indices(step).into_iter().map(|i| i as f32).collect();
        self.slots.write(&slots);
    }

    /// Where this step's chains start `[batch, item...]`, a few of them afresh; `clock` holds the step number.
    pub fn draw(&self, clock: &Tensor) -> Tensor {
        let old = self.chains.get().gather(0, self.slots.tensor());
        let key = self.key.clocked(clock);
        let mut each = vec![1; old.shape().rank()];
        each[0] = old.dim(0);
        let coin = Tensor::uniform(old.device(), each, &key.named("coin"));
        let restart = coin.less(&Tensor::scalar(old.device(), self.config.restart));
        restart.where_(&fresh(old.device(), old.shape().clone(), &self.config, &key.named("start")), &old)
    }

    /// Puts the moved chains back.
    pub fn put(&self, x: &Tensor) {
        self.chains.set(self.chains.get().scatter_rows(self.slots.tensor(), x));
    }
}

fn fresh(device: &Device, shape: Shape, config: &ReplayConfig, key: &Key) -> Tensor {
    let (lo, hi) = config.start;
    Tensor::uniform(device, shape, key).affine(hi - lo, lo)
}
