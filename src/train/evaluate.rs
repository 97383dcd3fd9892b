//! The scores of a model: for points all measures of the 2-D protocol, for images out-of-distribution detection,
//! inpainting, and whether samples have the class that was asked for.

use super::request::{Known, SampleRequest};
use super::trainer::Algorithm;
use crate::data::Dataset;
use crate::data::toy::Toy;
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::metrics::{Grid, auc, floor, mode_score, sliced_wasserstein, support_score};
use crate::plot::{self, Picture};
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

/// PSNR in dB of the right half of `data`'s first `n` images filled in from the left: of one sample, of the mean of
/// `MEAN_OF` samples (an estimate of the posterior mean), and of the mean image of `train` as the baseline. Also a picture:
/// original, known half, one sample, mean, baseline, a row each.
///
/// One sample cannot win against the mean: its squared error is the posterior variance counted twice.
pub fn inpainting(
    algorithm: &dyn Algorithm,
    device: &Device,
    [train, data]: [&Dataset; 2],
    n: usize,
    steps: Option<usize>,
    key: &Key,
) -> Result<(Map<String, Value>, Picture)> {
    const MEAN_OF: usize = 8;
    let &[h, w, c] = data.sample_shape.as_slice() else { panic!("inpainting wants images") };
    let (size, n) = (h * w * c, n.min(data.len()));
    let hidden = |i: usize| i / c % w >= w / 2;
    let truth = data.rows(&(0..n).collect::<Vec<_>>());
    let mask: Vec<f32> = (0..n * size).map(|i| if hidden(i % size) { 0.0 } else { 1.0 }).collect();
    let known =
        Known { values: Tensor::new(device, [n, h, w, c], &truth), mask: Tensor::new(device, [n, h, w, c], &mask) };
    let request = SampleRequest { known: Some(known), steps, ..SampleRequest::new(n) };
    let draws: Vec<Vec<f32>> =
        (0..MEAN_OF as u64).map(|i| algorithm.sample(&request, &key.index(i))?.x.to_vec()).collect::<Result<_>>()?;
    let mean = |i: usize| draws.iter().map(|d| d[i]).sum::<f32>() / MEAN_OF as f32;
    let mean: Vec<f32> = (0..n * size).map(mean).collect();

    let shown = train.rows(&(0..train.len().min(10_000)).collect::<Vec<_>>());
    let mut average = vec![0.0f64; size];
    shown.chunks_exact(size).for_each(|x| average.iter_mut().zip(x).for_each(|(a, &v)| *a += f64::from(v)));
    let images = (shown.len() / size) as f64;
    let filled = |i: usize| if hidden(i % size) { (average[i % size] / images) as f32 } else { truth[i] };
    let baseline: Vec<f32> = (0..n * size).map(filled).collect();

    let psnr = |x: &[f32]| {
        let errors = (0..n * size).filter(|&i| hidden(i % size)).map(|i| f64::from(x[i] - truth[i]).powi(2));
        let (count, sum) = errors.fold((0, 0.0), |(k, s), e| (k + 1, s + e));
        json!(-10.0 * (sum / f64::from(count)).log10())
    };
    let scores = [
        ("one_sample_psnr", psnr(&draws[0])),
        ("mean_of_8_psnr", psnr(&mean)),
        ("mean_fill_psnr", psnr(&baseline)),
        ("n", json!(n)),
    ];
    let halves: Vec<f32> = truth.iter().zip(&mask).map(|(v, m)| if *m == 1.0 { *v } else { 0.5 }).collect();
    let columns = n.min(16);
    let rows: Vec<f32> = [&truth, &halves, &draws[0], &mean, &baseline]
        .into_iter()
        .flat_map(|images| images[..columns * size].iter().copied())
        .collect();
    let picture = plot::grid(&rows, [5 * columns, h, w, c], columns);
    Ok((scores.into_iter().map(|(k, v)| (k.to_string(), v)).collect(), picture))
}

/// The fraction of images `[n, item...]` whose nearest neighbour among `references` (Euclidean, pixels) has the class
/// they were asked for.
pub fn class_agreement(images: &[f32], asked: &[u32], references: &Dataset) -> f64 {
    let size = references.sample_len();
    let labels = references.labels.as_deref().unwrap_or_default();
    let rows = references.rows(&(0..references.len()).collect::<Vec<_>>());
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
    let nearest = |x: &[f32]| {
        let all = rows.chunks_exact(size).map(|row| distance(x, row));
        let best = all.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(i, _)| labels[i])
    };
    let right = images.chunks_exact(size).zip(asked).filter(|(x, class)| nearest(x) == Some(**class)).count();
    right as f64 / asked.len() as f64
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
    let inside = energies(energy, device, &data.sample_shape, &rows(data), 250)?;
    let mut scores = Map::new();
    for (name, set) in others {
        if set.sample_shape != data.sample_shape {
            let (theirs, ours) = (&set.sample_shape, &data.sample_shape);
            return Err(Error::setting(format!("ood.{name} has items of shape {theirs:?}, the model of {ours:?}")));
        }
        let outside = energies(energy, device, &data.sample_shape, &rows(set), 250)?;
        scores.insert(name.clone(), json!(auc(&outside, &inside).value));
    }
    Ok(scores)
}
