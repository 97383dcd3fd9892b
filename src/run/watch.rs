//! What is looked at while a training runs, in a browser or by `--serve`: chains on the map of the energy, their distance from the data, the kernels of an iteration. Nothing here changes the training.

use crate::data::Dataset;
use crate::error::Result;
use crate::gpu::ProfileReport;
use crate::metrics::sliced_wasserstein;
use crate::plot::{Bounds, Colormap, Picture, quantiles};
use crate::tensor::{Device, Key, Tensor, no_grad};
use crate::train::{Algorithm, Training};

/// Cells per side of a map.
pub const CELLS: usize = 96;
/// Points of a live score, and its projections.
const SCORED: usize = 2000;
const PROJECTIONS: usize = 100;

/// A training on points in the plane, as it is looked at.
pub struct View {
    /// What is drawn.
    pub bounds: Bounds,
    /// Points of the data's law.
    truth: Vec<f32>,
    seed: u64,
}

impl View {
    /// Looks at a training on `data [n, 2]` (held-out, where there are such) within `bounds`.
    pub fn new(data: &Dataset, bounds: Bounds, seed: u64) -> View {
        let shown = Key::new(seed).named("shown").permutation(data.len());
        View { bounds, truth: data.rows(&shown[..SCORED.min(shown.len())]), seed }
    }

    /// At most `n` points of the data.
    pub fn data(&self, n: usize) -> &[f32] {
        &self.truth[..self.truth.len().min(2 * n)]
    }

    /// Where chains are now; the same places of a memory every time.
    pub async fn chains(&self, model: &dyn Algorithm, n: usize) -> Result<Vec<f32>> {
        model.preview(n, &Key::new(self.seed).named("chains shown"))?.x.values().await
    }

    /// The energy on [`CELLS`] x [`CELLS`] cells, from below; nothing for a model that has none.
    pub async fn energies(&self, model: &dyn Algorithm, device: &Device) -> Result<Option<Vec<f32>>> {
        let Ok(energy) = model.energy() else { return Ok(None) };
        let grid = self.bounds.grid(CELLS, CELLS).concat();
        let map = no_grad(|| energy.energy(&Tensor::new(device, [CELLS * CELLS, 2], &grid)));
        map.values().await.map(Some)
    }

    /// SW2 of chains, as they are after `done` iterations, from the data. Other chains every time: of a memory, 2000 stand for
    /// all.
    pub async fn score(&self, model: &dyn Algorithm, done: u64) -> Result<f64> {
        let key = Key::new(self.seed).named("score").index(done);
        let samples = model.preview(self.truth.len() / 2, &key)?.x.values().await?;
        Ok(sliced_wasserstein(&samples, &self.truth, 2, PROJECTIONS, &key.named("directions")).sw2)
    }
}

/// The colours of a map of [`View::energies`]: the likely, low end in blue. White without energies.
pub fn map(energies: Option<&[f32]>) -> Picture {
    let mut picture = Picture::new(CELLS, CELLS, [255; 3]);
    let Some(energies) = energies else { return picture };
    let [low, high] = quantiles(energies, 0.0, 0.95);
    // The first cell is at the bottom, the first pixel at the top.
    for (row, line) in energies.chunks(CELLS).zip(picture.rgb.rchunks_mut(3 * CELLS)) {
        for (energy, pixel) in row.iter().zip(line.chunks_mut(3)) {
            let part = (energy - low) / (high - low).max(f32::MIN_POSITIVE);
            pixel.copy_from_slice(&Colormap::Diverging.color(part));
        }
    }
    picture
}

/// Something to do now and then, for which at most a part of the time is taken. Times are milliseconds.
pub struct Pace {
    every: f64,
    share: f64,
    next: f64,
    done: bool,
}

impl Pace {
    /// Due at once, and then every so many milliseconds, or less often, so that it takes at most `share` of the time.
    pub fn every(milliseconds: f64, share: f64) -> Pace {
        Pace { every: milliseconds, share, next: 0.0, done: false }
    }

    /// Whether it is due.
    pub fn due(&self, now: f64) -> bool {
        now >= self.next
    }

    /// It was done from `began` to `ended`. The first time is not charged: it compiles kernels.
    pub fn took(&mut self, began: f64, ended: f64) {
        let rest = if self.done { (ended - began) * (1.0 / self.share - 1.0) } else { 0.0 };
        self.next = ended + self.every.max(rest);
        self.done = true;
    }
}

/// A kernel of an iteration.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Dispatched {
    /// How often it runs.
    pub times: usize,
    /// What it is called, with its specialisation.
    pub name: String,
    /// The text that the adapter compiled.
    pub wgsl: String,
    /// Milliseconds of all its runs, where an iteration was timed.
    pub ms: Option<f64>,
}

impl Dispatched {
    /// In a list: `12 x gemm/tile, 0.35 ms`.
    pub fn line(&self) -> String {
        let ms = self.ms.map(|ms| format!(", {ms:.2} ms")).unwrap_or_default();
        format!("{} × {}{ms}", self.times, self.name)
    }
}

/// The kernels of an iteration; none before the first one has run. `profile` is of one iteration, and times of kernels that ran
/// more often in it, because of a picture or a checkpoint, are left out.
pub fn kernels(training: &Training, device: &Device, profile: Option<&ProfileReport>) -> Vec<Dispatched> {
    let dispatches = training.kernels();
    if dispatches.is_empty() {
        return Vec::new();
    }
    let compiled = device.gpu().map(|gpu| gpu.kernels()).unwrap_or_default();
    let dispatched = |(name, times): (String, usize)| {
        let rows = profile.iter().flat_map(|report| &report.rows).filter(|row| row.name == name);
        let (count, ms) = rows.fold((0, 0.0), |(count, ms), row| (count + row.count, ms + row.total_ms));
        Dispatched {
            times,
            wgsl: compiled.get(&name).map(|kernel| kernel.wgsl()).unwrap_or_default(),
            ms: (count == times as u64).then_some(ms),
            name,
        }
    };
    dispatches.into_iter().map(dispatched).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_the_first_row_of_cells_below_and_low_energies_in_blue() {
        let mut energies = vec![1.0; CELLS * CELLS];
        energies[0] = 0.0;
        let picture = map(Some(&energies));
        let [red, _, blue] = picture.get(0, CELLS - 1);
        assert!(blue > red, "the lower left corner is {:?}", picture.get(0, CELLS - 1));
        let [red, _, blue] = picture.get(CELLS - 1, 0);
        assert!(red > blue, "the upper right corner is {:?}", picture.get(CELLS - 1, 0));
        assert_eq!(map(None).get(3, 4), [255; 3]);
    }

    #[test]
    fn what_takes_long_is_done_seldom() {
        let mut pace = Pace::every(100.0, 0.1);
        let due = |pace: &Pace| (0..2000).find(|&ms| pace.due(f64::from(ms))).unwrap();
        assert_eq!(due(&pace), 0);
        pace.took(0.0, 12.0);
        assert_eq!(due(&pace), 112);
        pace.took(112.0, 152.0); // a tenth of 400
        assert_eq!(due(&pace), 512);
    }
}
