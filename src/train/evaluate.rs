//! The scores of an energy: for points all measures of the 2-D protocol, for images out-of-distribution detection.

use crate::data::Dataset;
use crate::data::toy::Toy;
use crate::energy::Energy;
use crate::error::Result;
use crate::metrics::{Grid, auc, floor, mode_score, sliced_wasserstein, support_score};
use crate::tensor::{Device, Key, Tensor, no_grad};
use serde_json::{Map, Value, json};

/// Projections and repetitions of the sliced Wasserstein protocol, and the side of the grid.
const PROJECTIONS: usize = 1000;
const SEEDS: usize = 5;
const GRID: usize = 400;

/// Energies of host rows `[n, item...]`, computed in parts of `at_once` rows.
pub fn energies(
    energy: &dyn Energy,
    device: &Device,
    item: &[usize],
    rows: &[f32],
    at_once: usize,
) -> Result<Vec<f32>> {
    let size: usize = item.iter().product();
    let mut out = Vec::with_capacity(rows.len() / size);
    for part in rows.chunks(size * at_once) {
        let shape: Vec<usize> = [part.len() / size].into_iter().chain(item.iter().copied()).collect();
        out.extend(no_grad(|| energy.energy(&Tensor::new(device, shape, part))).to_vec()?);
    }
    Ok(out)
}

/// Scores of a 2-D energy (in units of its temperature) and of `samples [n, 2]` drawn from it.
///
/// `sw1`, `sw2` are means over five fresh reference sets, beside the floors that two true samples reach; `auc` is that of
/// -E between data and uniform points on the box; `grid_kl` is KL(true || model) and `nll` that of fresh data, in nats,
/// with both normalised on the grid.
pub fn points(
    energy: &dyn Energy,
    temperature: f64,
    device: &Device,
    toy: Toy,
    samples: &[f32],
    key: &Key,
) -> Result<Map<String, Value>> {
    let n = samples.len() / 2;
    let [lo, hi] = toy.bounds();
    let at_temperature = |rows: &[f32]| -> Result<Vec<f32>> {
        let e = energies(energy, device, &[2], rows, 8192)?;
        Ok(e.into_iter().map(|e| e / temperature as f32).collect())
    };
    let mut scores = Map::new();
    let mut put = |name: &str, value: Value| scores.insert(name.to_string(), value);

    let score = |i: usize| {
        let key = key.index(i as u64);
        sliced_wasserstein(samples, &toy.sample(n, &key.named("reference")), 2, PROJECTIONS, &key.named("directions"))
    };
    let all: Vec<_> = (0..SEEDS).map(score).collect();
    let mean = |f: fn(&crate::metrics::SlicedWasserstein) -> f64| all.iter().map(f).sum::<f64>() / SEEDS as f64;
    let least = floor(|k| toy.sample(n, k), 2, PROJECTIONS, SEEDS, &key.named("floor"));
    put("sw1", json!(mean(|s| s.sw1)));
    put("sw1_floor", json!(least.sw1[0]));
    put("sw2", json!(mean(|s| s.sw2)));
    put("sw2_floor", json!(least.sw2[0]));

    let data = at_temperature(&toy.sample(n, &key.named("data")))?;
    let box_key = key.named("box");
    let uniform: Vec<f32> = (0..2 * n as u64).map(|i| (lo + (hi - lo) * box_key.uniform(i)) as f32).collect();
    let likely = |e: Vec<f32>| e.into_iter().map(|e| -e).collect::<Vec<f32>>();
    put("auc", json!(auc(&likely(data.clone()), &likely(at_temperature(&uniform)?)).value));
    put("auc_ceiling", json!(toy.auc_ceiling()));

    let grid = Grid { bounds: [lo, hi], n: GRID };
    let on_grid = at_temperature(&grid.points())?;
    if toy.log_density([0.0, 0.0]).is_some() {
        let truth = |x| toy.log_density(x).unwrap_or(f64::NEG_INFINITY);
        put("grid_kl", json!(grid.kl(&on_grid, truth)));
    }
    put("nll", json!(grid.nll(&on_grid, &data).value));
    put("entropy", json!(toy.entropy()));
    if let Some(modes) = toy.modes() {
        let score = mode_score(samples, &modes);
        put("modes", json!(score.covered));
        put("mode_mass_deviation", json!(score.mass_deviation));
    }
    if let Some(squares) = toy.squares() {
        let score = support_score(samples, &squares);
        put("inside", json!(score.inside));
        put("mode_mass_deviation", json!(score.mass_deviation));
    }
    put("n", json!(n));
    Ok(scores)
}

/// AUROC of -E telling images of `data` from those of each other set: 1 when every outlier has the higher energy.
pub fn out_of_distribution(
    energy: &dyn Energy,
    device: &Device,
    data: &Dataset,
    others: &[(String, Dataset)],
    n: usize,
) -> Result<Map<String, Value>> {
    let rows = |set: &Dataset| set.rows(&(0..n.min(set.len())).collect::<Vec<_>>());
    let inside = energies(energy, device, &data.item, &rows(data), 250)?;
    let mut scores = Map::new();
    for (name, set) in others {
        let outside = energies(energy, device, &data.item, &rows(set), 250)?;
        scores.insert(name.clone(), json!(auc(&outside, &inside).value));
    }
    Ok(scores)
}
