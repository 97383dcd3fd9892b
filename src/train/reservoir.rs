//! The replay memory of improved contrastive divergence: a reservoir sample of all chains that ever ended, moved at random before
//! they go on (Du et al. 2021).

use super::{DataBox, Iteration, Moves, Proposal, Start, State};
use crate::check;
use crate::error::{Error, Result};
use crate::tensor::{Device, Key, Tensor, Var};
use serde::{Deserialize, Serialize};

/// Size of the memory, how it stores, and where chains start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReservoirConfig {
    /// How many ends of chains are kept.
    pub size: usize,
    /// The probability that a chain starts from noise and not from the memory.
    pub restart: f64,
    /// Noise is uniform on this interval in every coordinate; without it on the box of the data.
    pub start: Option<(f64, f64)>,
    /// Keeps values of [0, 1] as bytes, and gives them back as `(byte + U(0, 1)) / 256`.
    pub bytes: bool,
    /// What happens to kept chains before they go on.
    pub moves: Moves,
}

impl Default for ReservoirConfig {
    fn default() -> ReservoirConfig {
        ReservoirConfig { size: 10_000, restart: 0.05, start: None, bytes: false, moves: Moves::None }
    }
}

impl ReservoirConfig {
    /// Whether the settings make sense for samples of this shape; `name` is where they stand.
    pub fn check(&self, name: &str, sample: &[usize], batch: usize) -> Result<()> {
        let (key, enough) = (format!("{name}.size"), self.size >= batch);
        check::within(&key, self.size, 1..=check::MOST_COUNTED)?;
        check::ensure(enough, &key, self.size, format!("keep at least as many chains as algorithm.batch = {batch}"))?;
        check::memory(&key, self.size.saturating_add(batch), sample)?;
        check::within(format!("{name}.restart"), self.restart, 0.0..=1.0)?;
        self.start.map_or(Ok(()), |ends| check::interval(format!("{name}.start"), ends))?;
        if self.bytes && sample.len() != 3 {
            return Err(Error::setting(format!("{name}.bytes = true: bytes are for images, the data are {sample:?}")));
        }
        self.moves.check(&format!("{name}.moves"), sample)
    }
}

/// Algorithm R (Vitter 1985): the first `size` ends are kept; the m-th one ever replaces a uniformly chosen one with
/// probability size / m. At any time each end so far is in the memory with the same probability.
pub struct Reservoir {
    config: ReservoirConfig,
    batch: usize,
    sample: Vec<usize>,
    /// Where fresh chains start.
    fresh: DataBox,
    /// `[size + batch, ...]`, as stored. The last rows take what is not kept: every batch writes as many rows.
    table: Var,
    /// The ends of the last iteration, `[batch, sample...]`, for pictures: rows of the table stay for long.
    newest: Var,
    slots: Slots,
}

impl Reservoir {
    /// An empty memory of samples of shape `sample`, `batch` of which move at a time. The settings are checked.
    pub fn new(
        device: &Device,
        sample: &[usize],
        of: &DataBox,
        batch: usize,
        config: &ReservoirConfig,
        key: &Key,
    ) -> Reservoir {
        let fresh = config.start.map_or_else(|| of.clone(), |(lo, hi)| DataBox::new(device, sample, &[[lo, hi]]));
        let packed = [sample.iter().product::<usize>().div_ceil(3)];
        let row = if config.bytes { &packed[..] } else { sample };
        let first = fresh.uniform([&[batch], sample].concat(), &key.named("first"));
        Reservoir {
            config: config.clone(),
            batch,
            sample: sample.to_vec(),
            fresh,
            table: Var::new(&Tensor::zeros(device, [&[config.size + batch], row].concat())),
            newest: Var::new(&first),
            slots: Slots { key: key.named("slots"), size: config.size as u64, batch: batch as u64 },
        }
    }

    /// `n` kept samples, drawn uniformly and moved: what the entropy of new ones is measured against.
    pub fn compare(&self, it: &mut Iteration, n: usize) -> Tensor {
        let slots = self.slots.clone();
        let drawn = it.feed([n], move |step| slots.drawn("compared", step, n));
        self.config.moves.apply(&self.read(&drawn, &it.key("compared bytes")), &it.key("compared moves"))
    }

    /// `weight` in iterations that find more than `least` samples of trained chains in the memory (or a full one), before them 0.
    pub fn once_filled(&self, it: &mut Iteration, least: usize, weight: f64) -> Tensor {
        let (slots, least) = (self.slots.clone(), least.min(self.config.size - 1) as u64);
        it.feed([1], move |step| vec![if slots.filled(step) > least { weight as f32 } else { 0.0 }])
    }

    /// `n` fresh chains.
    pub fn noise(&self, n: usize, key: &Key) -> Tensor {
        self.fresh.uniform([&[n], &self.sample[..]].concat(), key)
    }

    /// The rows `slots` as samples.
    fn read(&self, slots: &Tensor, key: &Key) -> Tensor {
        let rows = self.table.get().gather(0, slots);
        if self.config.bytes { unpacked(&rows, &self.sample, key) } else { rows }
    }
}

impl Proposal for Reservoir {
    fn propose(&self, it: &mut Iteration, n: usize) -> Start {
        let slots = self.slots.clone();
        let drawn = it.feed([n], move |step| slots.drawn("started", step, n));
        let kept = self.config.moves.apply(&self.read(&drawn, &it.key("bytes")), &it.key("moves"));
        // While the memory is empty every chain starts from noise.
        let p = self.config.restart as f32;
        let p = it.feed([1], move |step| vec![if step == 0 { 1.0 } else { p }]);
        let restarts = it.uniform("restart", [n]).less(&p);
        let noise = self.noise(n, &it.key("noise"));
        Start { x: restarts.per_sample(&kept).where_(&noise, &kept), source: drawn }
    }

    /// The ends go where algorithm R sends them.
    fn learn(&self, it: &mut Iteration, _: &Start, x_neg: &Tensor) {
        let slots = self.slots.clone();
        let places = it.feed([self.batch], move |step| slots.places(step));
        self.table.write_rows(&places, &if self.config.bytes { packed(x_neg) } else { x_neg.clone() });
        self.newest.set(x_neg.detach());
    }

    /// The ends of the last iteration, the first ones again where there are too few.
    fn draw(&self, n: usize, _: &Key) -> Tensor {
        let rows: Vec<f32> = (0..n).map(|i| (i % self.batch) as f32).collect();
        let newest = self.newest.get();
        newest.gather(0, &Tensor::new(newest.device(), [n], &rows))
    }

    fn state(&self) -> Vec<(String, State)> {
        vec![("memory".into(), State::Value(self.table.clone())), ("newest".into(), State::Value(self.newest.clone()))]
    }
}

/// Which rows an iteration reads and writes: a pure function of its number, so that a resumed run needs no more.
#[derive(Clone)]
struct Slots {
    key: Key,
    size: u64,
    batch: u64,
}

impl Slots {
    /// How many rows hold ends of chains when iteration `step` begins.
    fn filled(&self, step: u64) -> u64 {
        self.size.min(step * self.batch)
    }

    /// `n` filled rows, drawn with replacement; row 0 while there are none.
    fn drawn(&self, name: &str, step: u64, n: usize) -> Vec<f32> {
        let (key, filled) = (self.key.named(name).index(step), self.filled(step).max(1));
        (0..n as u64).map(|i| key.below(i, filled as usize) as f32).collect()
    }

    /// Where the ends of iteration `step` go: all different, those that are not kept to the rows from `size` on.
    fn places(&self, step: u64) -> Vec<f32> {
        let key = self.key.named("kept").index(step);
        let place = |i: u64| match step * self.batch + i {
            m if m < self.size => Some(m),
            m => Some(key.below(i, m as usize + 1) as u64).filter(|&slot| slot < self.size),
        };
        let places: Vec<Option<u64>> = (0..self.batch).map(place).collect();
        let last = |i: usize| places[i].filter(|_| !places[i + 1..].contains(&places[i]));
        (0..places.len()).map(|i| last(i).unwrap_or(self.size + i as u64) as f32).collect()
    }
}

/// Values of [0, 1] `[N, ...]` as bytes `floor(256 x)`, three to an element `a + 256 b + 65536 c`, which f32 holds exactly:
/// `[N, ceil(D / 3)]`. Four would fit 32 bits, but not a whole number of an f32, which is what tensors and checkpoints hold.
fn packed(x: &Tensor) -> Tensor {
    let (n, d) = (x.dim(0), x.numel() / x.dim(0));
    let bytes = x.detach().reshape([n, d]).mul_scalar(256.0).floor().clamp(0.0, 255.0);
    let thirds = bytes.pad(1, 0, d.next_multiple_of(3) - d, 0.0).reshape([n, d.div_ceil(3), 3]);
    (thirds * Tensor::new(x.device(), [3], &[1.0, 256.0, 65536.0])).sum_axes(&[2])
}

/// The values `(byte + U(0, 1)) / 256` of [`packed`] rows, `[N, sample...]`.
fn unpacked(rows: &Tensor, sample: &[usize], key: &Key) -> Tensor {
    let (n, d) = (rows.dim(0), sample.iter().product::<usize>());
    let over = |x: &Tensor| x.mul_scalar(1.0 / 256.0).floor();
    let (high, top) = (over(rows), over(&over(rows)));
    let parts = [rows - high.mul_scalar(256.0), high - top.mul_scalar(256.0), top].map(|part| part.unsqueeze(-1));
    let bytes = Tensor::concat(&parts.each_ref(), 2).reshape([n, d.next_multiple_of(3)]).narrow(1, 0, d);
    // Noise in steps of 2^-14: a byte and 15 more bits fit an f32, so that rounding never reaches the next byte.
    let noise = Tensor::uniform(rows.device(), [n, d], key)
        .mul_scalar(16384.0)
        .floor()
        .add_scalar(0.5)
        .mul_scalar(1.0 / 16384.0);
    (bytes + noise).mul_scalar(1.0 / 256.0).reshape([&[n], sample].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every end so far is kept with the same probability: counts over many keys against the binomial law.
    #[test]
    fn places_differ_and_every_end_is_kept_with_the_same_probability() {
        let (size, batch, steps, runs) = (12u64, 5u64, 8u64, 2000u64);
        let mut kept = vec![0.0; (batch * steps) as usize];
        for run in 0..runs {
            let slots = Slots { key: Key::new(run), size, batch };
            let mut memory = vec![None; size as usize];
            for step in 0..steps {
                let places = slots.places(step);
                let mut sorted = places.clone();
                sorted.sort_by(f32::total_cmp);
                sorted.dedup();
                assert_eq!(sorted.len(), places.len(), "{places:?}");
                for (i, &place) in places.iter().enumerate().filter(|(_, place)| **place < size as f32) {
                    memory[place as usize] = Some(step * batch + i as u64);
                }
                assert_eq!(memory.iter().flatten().count() as u64, slots.filled(step + 1));
            }
            memory.into_iter().flatten().for_each(|end| kept[end as usize] += 1.0);
        }
        let p = size as f64 / kept.len() as f64;
        let bound = 5.0 * (p * (1.0 - p) / runs as f64).sqrt();
        assert!(kept.iter().all(|k| (k / runs as f64 - p).abs() < bound), "{kept:?}");
    }

    #[test]
    fn bytes_survive_packing_on_every_device_and_come_back_inside_their_interval() {
        for device in [Ok(Device::oracle()), Device::open()].into_iter().flatten() {
            // 260 values: more than bytes, and no multiple of three.
            let x = Tensor::new(&device, [2, 13, 10, 1], &(0..260).map(|i| i as f32 / 256.0).collect::<Vec<_>>());
            let rows = packed(&x);
            assert_eq!(rows.shape()[..], [2, 44]);
            let y = unpacked(&rows, &[13, 10, 1], &Key::new(1)).to_vec().unwrap();
            for (i, y) in y.iter().enumerate() {
                let byte = (i as f32).min(255.0);
                assert!((byte / 256.0..=(byte + 1.0) / 256.0).contains(y), "{device}: byte {i} came back as {y}");
            }
            let again = packed(&Tensor::new(&device, [2, 13, 10, 1], &y)).to_vec().unwrap();
            assert_eq!(again, rows.to_vec().unwrap(), "{device}");
        }
    }
}
