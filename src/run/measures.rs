//! How each score is computed: for points the measures of the 2-D protocol and those that need no known density, for images
//! out-of-distribution detection, inpainting, and whether samples have the class that was asked for.

use super::scores::Score;
use crate::data::{Dataset, Toy};
use crate::energy::Energy;
use crate::error::Result;
use crate::metrics::{Grid, SlicedWasserstein, auc, floor, mode_score, sliced_wasserstein, support_score};
use crate::plot::{self, Picture};
use crate::tensor::{Device, Key, Tensor, no_grad};
use crate::train::{Known, Model, SampleRequest};

/// Projections and repetitions of the sliced Wasserstein protocol, and the side of the grid.
const PROJECTIONS: usize = 1000;
const SEEDS: usize = 5;
const GRID: usize = 400;

/// What a model of points is held against.
pub enum Reference<'a> {
    /// A known density: every measure applies.
    Density(Toy),
    /// Training and held-out points, and the box of the data.
    Points { train: &'a Dataset, test: &'a Dataset, bounds: &'a [[f64; 2]] },
}

impl Reference<'_> {
    /// `n` true points for seed `i`; `held_out` ones, or those of the training set.
    fn draw(&self, n: usize, key: &Key, held_out: bool) -> Vec<f32> {
        match self {
            Reference::Density(toy) => toy.sample(n, key),
            Reference::Points { train, test, .. } => {
                let set = if held_out { test } else { train };
                let order = key.permutation(set.len());
                set.rows(&order[..n.min(set.len())])
            }
        }
    }

    fn bounds(&self, dims: usize) -> Vec<[f64; 2]> {
        match self {
            Reference::Density(toy) => vec![toy.bounds(); dims],
            Reference::Points { bounds, .. } => (0..dims).map(|d| bounds[d.min(bounds.len() - 1)]).collect(),
        }
    }

    /// The most points that two disjoint true samples can have.
    fn most(&self) -> usize {
        match self {
            Reference::Density(_) => usize::MAX,
            Reference::Points { train, test, .. } => train.len().min(test.len()),
        }
    }
}

/// Energies of host rows `[n, sample...]`, computed in parts of `at_once` rows.
pub fn energies(
    energy: &dyn Energy,
    device: &Device,
    sample: &[usize],
    rows: &[f32],
    at_once: usize,
) -> Result<Vec<f32>> {
    let size: usize = sample.iter().product();
    let mut out = Vec::with_capacity(rows.len() / size);
    for part in rows.chunks(size * at_once) {
        let shape: Vec<usize> = [part.len() / size].into_iter().chain(sample.iter().copied()).collect();
        out.extend(no_grad(|| energy.energy(&Tensor::new(device, shape, part))).to_vec()?);
    }
    Ok(out)
}

/// Scores of `samples [n, D]` of a model of points, and of its energy E with density exp(-E), if it has one: those of
/// [`distances`], [`of_energy`] and, for a known density, of the modes or squares that samples hit.
pub fn points(energy: Option<&dyn Energy>, reference: &Reference, samples: &Tensor, key: &Key) -> Result<Vec<Score>> {
    let (device, dims) = (samples.device(), samples.dim(1));
    let samples = samples.to_vec()?;
    let n = (samples.len() / dims).min(reference.most());
    let mut scores = distances(&samples[..n * dims], dims, reference, key).to_vec();
    if let Some(energy) = energy {
        scores.extend(of_energy(energy, device, [n, dims], reference, key)?);
    }
    if let Reference::Density(toy) = reference {
        if let Some(modes) = toy.modes() {
            let score = mode_score(&samples, &modes);
            scores.push(Score::new("modes", score.covered as f64).against("all", modes.centres.len() as f64));
            scores.push(Score::new("mode_mass_deviation", score.mass_deviation));
        }
        if let Some(squares) = toy.squares() {
            let score = support_score(&samples, &squares);
            let within = score.mass.iter().map(|m| (m / score.inside - 1.0 / score.mass.len() as f64).abs());
            scores.push(Score::new("inside", score.inside).against("all", 1.0));
            scores.push(Score::new("mode_mass_deviation", score.mass_deviation).note("shares of all samples"));
            scores.push(Score::new("mass_deviation_inside", within.fold(0.0, f64::max)).note("of the samples inside"));
        }
    }
    Ok(scores.into_iter().map(|score| score.of(n)).collect())
}

/// `sw1`, `sw2` of samples `[n, dims]`, beside the floors that two true samples reach.
pub fn distances(samples: &[f32], dims: usize, reference: &Reference, key: &Key) -> [Score; 2] {
    let (n, found) = (samples.len() / dims, mean_distances(samples, dims, reference, key));
    let least = match reference {
        Reference::Density(toy) => {
            let least = floor(|k| toy.sample(n, k), dims, PROJECTIONS, SEEDS, &key.named("floor"));
            [least.sw1[0], least.sw2[0]]
        }
        Reference::Points { .. } => mean_over_seeds(|i| {
            let key = key.named("floor").index(i);
            let (a, b) = (reference.draw(n, &key.named("a"), false), reference.draw(n, &key.named("b"), true));
            sliced_wasserstein(&a, &b, dims, PROJECTIONS, &key.named("directions"))
        }),
    };
    [0, 1].map(|i| Score::new(["sw1", "sw2"][i], found[i]).against("floor", least[i]))
}

/// SW1 and SW2 of `samples [n, dims]` from held-out sets of as many points.
fn mean_distances(samples: &[f32], dims: usize, reference: &Reference, key: &Key) -> [f64; 2] {
    mean_over_seeds(|i| {
        let (n, key) = (samples.len() / dims, key.index(i));
        let truth = reference.draw(n, &key.named("reference"), true);
        sliced_wasserstein(samples, &truth, dims, PROJECTIONS, &key.named("directions"))
    })
}

/// The means of SW1 and SW2 over [`SEEDS`] repetitions.
fn mean_over_seeds(of: impl Fn(u64) -> SlicedWasserstein) -> [f64; 2] {
    let all: Vec<_> = (0..SEEDS as u64).map(of).collect();
    let parts: [fn(&SlicedWasserstein) -> f64; 2] = [|s| s.sw1, |s| s.sw2];
    parts.map(|f| all.iter().map(f).sum::<f64>() / SEEDS as f64)
}

/// `sw2` of images as vectors of pixels: five sets of `n` samples that `draw` makes against the first `n` of the test set, with
/// the standard error of their mean, beside the same of five parts of the training set.
pub fn image_distance(
    draw: impl Fn(&Key) -> Result<Vec<f32>>,
    [train, test]: [&Dataset; 2],
    n: usize,
    key: &Key,
) -> Result<Score> {
    let held_out = test.rows(&(0..n).collect::<Vec<_>>());
    let directions = key.named("directions");
    let to_test = |x: &[f32]| sliced_wasserstein(x, &held_out, test.sample_len(), PROJECTIONS, &directions).sw2;
    let keys = (0..SEEDS as u64).map(|i| key.index(i));
    let found: Vec<f64> = keys.clone().map(|key| Ok(to_test(&draw(&key)?))).collect::<Result<_>>()?;
    let part = |key: Key| to_test(&train.rows(&key.permutation(train.len())[..n]));
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let floor = mean(&keys.map(part).collect::<Vec<_>>());
    let value = mean(&found);
    let squares: f64 = found.iter().map(|f| (f - value).powi(2)).sum();
    let error = (squares / (SEEDS * (SEEDS - 1)) as f64).sqrt();
    Ok(Score::new("sw2", value).error(error).against("floor", floor).note("of pixels").of(n))
}

/// `auc`, that of -E between `n` data and uniform points on the box. For a known density in the plane also `grid_kl`,
/// KL(true || model), and `nll`, that of fresh data, in nats, both normalised on a grid that reaches one unit beyond the box; for a
/// density on squares `energy_inside`, the share of exp(-E) there.
pub fn of_energy(
    energy: &dyn Energy,
    device: &Device,
    [n, dims]: [usize; 2],
    reference: &Reference,
    key: &Key,
) -> Result<Vec<Score>> {
    let of = |rows: &[f32]| energies(energy, device, &[dims], rows, 8192);
    let data = of(&reference.draw(n, &key.named("data"), true))?;
    let (bounds, box_key) = (reference.bounds(dims), key.named("box"));
    let inside =
        |i: usize| bounds[i % dims][0] + (bounds[i % dims][1] - bounds[i % dims][0]) * box_key.uniform(i as u64);
    let uniform: Vec<f32> = (0..dims * n).map(|i| inside(i) as f32).collect();
    let likely = |e: &[f32]| e.iter().map(|e| -e).collect::<Vec<f32>>();
    let told = Score::new("auc", auc(&likely(&data), &likely(&of(&uniform)?)).value);
    let Reference::Density(toy) = reference else {
        return Ok(vec![told.note("of -E between held-out points and uniform ones on their box")]);
    };
    let told = match toy.auc_ceiling() {
        Some(ceiling) => told.against("ceiling", ceiling),
        None => told,
    };

    let [lo, hi] = toy.bounds();
    let grid = Grid { bounds: [lo - 1.0, hi + 1.0], n: GRID };
    let on_grid = of(&grid.points())?;
    let truth = |x| toy.log_density(x).unwrap_or(f64::NEG_INFINITY);
    let known = toy.log_density([0.0, 0.0]).is_some();
    let kl = known.then(|| Score::new("grid_kl", grid.kl(&on_grid, truth)));
    let nll = Score::new("nll", grid.nll(&on_grid, &data).value);
    let nll = match toy.entropy() {
        Some(entropy) => nll.against("entropy of the data", entropy),
        None => nll,
    };
    // Beside the share of the samples: whether missing mass is the energy's or the chains'.
    let squares = toy.squares();
    let share = squares.map(|squares| grid.share(&on_grid, |x| squares.locate(x).is_some()));
    let share =
        share.map(|share| Score::new("energy_inside", share).against("all", 1.0).note("of exp(-E) on the grid"));
    Ok([told].into_iter().chain(kl).chain([nll]).chain(share).collect())
}

/// SW2 of the first guess of a model whose samples arise in [stages](Model::stages), beside which their own is to be seen.
pub fn first_guess(model: &dyn Model, reference: &Reference, n: usize, key: &Key) -> Result<Option<Score>> {
    let dims = model.sample_shape().iter().product();
    let n = n.min(reference.most());
    let Some((name, x)) = model.stages(n, &key.named("stages"))?.into_iter().next() else { return Ok(None) };
    let [_, sw2] = mean_distances(&x.to_vec()?, dims, reference, key);
    Ok(Some(Score::new(format!("sw2.{name}"), sw2).note("before it is refined").of(n)))
}

/// SW2 between `n` samples of a model and of `toy` at each stage that they arise by, with the `floor` of two true samples; by a
/// quick protocol: 100 projections, one true sample for all.
pub fn stage_distances(model: &dyn Model, toy: Toy, n: usize, key: &Key) -> Result<Vec<(String, f64)>> {
    let truth = toy.sample(n, &key.named("truth"));
    let distance = |x: &[f32]| sliced_wasserstein(x, &truth, 2, 100, &key.named("directions")).sw2;
    let others = (0..SEEDS as u64).map(|i| distance(&toy.sample(n, &key.named("floor").index(i))));
    let mut list = vec![("floor".to_string(), others.sum::<f64>() / SEEDS as f64)];
    for (name, x) in model.stages(n, &key.named("stages"))? {
        list.push((name, distance(&x.to_vec()?)));
    }
    Ok(list)
}

/// PSNR in dB of the right half of `data`'s first `like.n` images filled in from the left, the mean over images of each one's own:
/// of one sample, of the mean of [`MEAN_OF`] samples (an estimate of the posterior mean), and of the mean image of `train` as
/// the baseline. Also a picture: original, known half, one sample, mean, baseline, a row each.
///
/// One sample cannot win against the mean: its squared error is the posterior variance counted twice.
pub fn inpainting(
    model: &dyn Model,
    device: &Device,
    [train, data]: [&Dataset; 2],
    like: &SampleRequest,
    key: &Key,
) -> Result<(Vec<Score>, Picture)> {
    let &[h, w, c] = data.sample_shape.as_slice() else { panic!("inpainting wants images") };
    let (size, n) = (h * w * c, like.n.min(data.len()));
    let hidden = |i: usize| i / c % w >= w / 2;
    let truth = data.rows(&(0..n).collect::<Vec<_>>());
    let mask: Vec<f32> = (0..n * size).map(|i| if hidden(i % size) { 0.0 } else { 1.0 }).collect();
    let known =
        Known { values: Tensor::new(device, [n, h, w, c], &truth), mask: Tensor::new(device, [n, h, w, c], &mask) };
    let request = SampleRequest { n, known: Some(known), ..like.clone() };
    let draws: Vec<Vec<f32>> =
        (0..MEAN_OF as u64).map(|i| model.sample(&request, &key.index(i))?.x.to_vec()).collect::<Result<_>>()?;
    let mean = |i: usize| draws.iter().map(|d| d[i]).sum::<f32>() / MEAN_OF as f32;
    let mean: Vec<f32> = (0..n * size).map(mean).collect();

    let shown = train.rows(&(0..train.len().min(10_000)).collect::<Vec<_>>());
    let mut average = vec![0.0f64; size];
    shown.chunks_exact(size).for_each(|x| average.iter_mut().zip(x).for_each(|(a, &v)| *a += f64::from(v)));
    let images = (shown.len() / size) as f64;
    let filled = |i: usize| if hidden(i % size) { (average[i % size] / images) as f32 } else { truth[i] };
    let baseline: Vec<f32> = (0..n * size).map(filled).collect();

    // A perfect image would have an infinite PSNR: an error of one part in 1000 counts as 60 dB.
    let psnr_of = |x: &[f32], image: usize| {
        let errors =
            (image * size..(image + 1) * size).filter(|&i| hidden(i % size)).map(|i| f64::from(x[i] - truth[i]));
        let (count, sum) = errors.fold((0.0, 0.0), |(k, s), e| (k + 1.0, s + e * e));
        -10.0 * (sum / count).max(1e-6).log10()
    };
    let baseline_psnr = (0..n).map(|image| psnr_of(&baseline, image)).sum::<f64>() / n as f64;
    let psnr = |name: &str, x: &[f32]| {
        let all: Vec<f64> = (0..n).map(|image| psnr_of(x, image)).collect();
        let value = all.iter().sum::<f64>() / n as f64;
        let squares: f64 = all.iter().map(|v| (v - value).powi(2)).sum();
        let score = Score::new(name, value).error((squares / (n * n.max(2) - n) as f64).sqrt());
        score.against("mean image", baseline_psnr).note("right half from the left; PSNR in dB").of(n)
    };
    let scores = vec![psnr("inpainting.one_sample", &draws[0]), psnr("inpainting.mean_of_8", &mean)];
    let halves: Vec<f32> = truth.iter().zip(&mask).map(|(v, m)| if *m == 1.0 { *v } else { 0.5 }).collect();
    let columns = n.min(16);
    let rows: Vec<f32> = [&truth, &halves, &draws[0], &mean, &baseline]
        .into_iter()
        .flat_map(|images| images[..columns * size].iter().copied())
        .collect();
    Ok((scores, plot::grid(&rows, [5 * columns, h, w, c], columns)))
}

/// Samples whose mean estimates the posterior mean of an inpainted image.
pub const MEAN_OF: usize = 8;
