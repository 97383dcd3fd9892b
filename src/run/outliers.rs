//! Out-of-distribution detection: whether the energy of a trained model tells other data from its own.

use super::measures::energies;
use super::{Score, Scores, Session, patches};
use crate::data::{Dataset, Split, Values};
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::metrics::{Mahalanobis, auc, average_precision};
#[cfg(feature = "plots")]
use crate::plot::{Curves, quantiles};
use crate::tensor::Key;
use crate::train::OutlierScore;

/// Samples whose energies are computed at once.
const AT_ONCE: usize = 250;

/// The set that `spec` names: a data set, or `n` samples that are made: `interpolation`, means of two samples of held-out
/// `data`; `constant`, images of one colour; `uniform`, independent uniform numbers on the box of the data.
///
/// # Errors
/// Its samples have another shape than the data, or it cannot be loaded.
pub fn set(session: &Session, spec: &str, data: &Dataset, n: usize) -> Result<Dataset> {
    let key = session.key().named("outliers").named(spec);
    let (shape, size) = (&data.sample_shape, data.sample_len());
    let bounds = session.bounds();
    let interval = |d: usize| bounds[d.min(bounds.len() - 1)];
    let uniform = |i: usize, d: usize| interval(d)[0] + (interval(d)[1] - interval(d)[0]) * key.uniform(i as u64);
    let made: Vec<f32> = match (spec, shape.len()) {
        ("interpolation", _) => interpolations(data, n, &key),
        ("uniform", _) => (0..n * size).map(|i| uniform(i, i % size) as f32).collect(),
        ("constant", 3) => {
            let channels = shape[2];
            (0..n * size).map(|i| uniform(i / size * channels + i % channels, 0) as f32).collect()
        }
        ("constant", _) => return Err(Error::setting(format!("constant: only images are, the data are {shape:?}"))),
        _ => {
            let other = session.registry.load(spec, Split::Test)?;
            if other.sample_shape != *shape {
                let theirs = &other.sample_shape;
                return Err(Error::setting(format!(
                    "{} has samples of shape {theirs:?}, the model of {shape:?}",
                    other.name
                )));
            }
            return Ok(other);
        }
    };
    Ok(Dataset::new(spec, shape.clone(), Values::F32(made)))
}

/// `n` means of two different samples.
fn interpolations(data: &Dataset, n: usize, key: &Key) -> Vec<f32> {
    let (one, other) = (key.named("one"), key.named("other"));
    let pair = |i: u64| {
        let a = one.below(i, data.len());
        let b = (a + 1 + other.below(i, (data.len() - 1).max(1))) % data.len();
        let rows = data.rows(&[a, b]);
        (0..data.sample_len()).map(|d| 0.5 * (rows[d] + rows[data.sample_len() + d])).collect::<Vec<_>>()
    };
    (0..n as u64).flat_map(pair).collect()
}

/// Energies of the first `n` samples of `data`, or of all if there are fewer.
pub fn energies_of(session: &Session, energy: &dyn Energy, data: &Dataset, n: usize) -> Result<Vec<f32>> {
    let rows = data.rows(&(0..n.min(data.len())).collect::<Vec<_>>());
    energies(energy, &session.device, &data.sample_shape, &rows, AT_ONCE)
}

/// What `by` says of the first `n` samples of each set; `key` draws the noise of scores that have some.
///
/// # Errors
/// [`Error::Setting`] where the model does not have this score.
pub fn numbers(session: &Session, by: OutlierScore, sets: &[&Dataset], n: usize, key: &Key) -> Result<Vec<Vec<f32>>> {
    if by == OutlierScore::Typicality {
        return typicality(session, sets, n, key);
    }
    let score = session.algorithm().outlier_score(by, key)?;
    sets.iter().map(|set| energies_of(session, &*score, set, n)).collect()
}

/// Training samples by which the spread of their errors can be told.
const FEWEST: usize = 20;

/// [`OutlierScore::Typicality`]: of each sample the errors of denoising at all levels, beside those of `n` training samples.
fn typicality(session: &Session, sets: &[&Dataset], n: usize, key: &Key) -> Result<Vec<Vec<f32>>> {
    let model = session.algorithm();
    if n < FEWEST {
        let why = format!("score typicality compares with as many training samples; use {FEWEST} or more");
        return Err(Error::setting(format!("n = {n}: {why}")));
    }
    let train = session.registry.load(&session.config.data, Split::Train)?;
    let sets: Vec<&Dataset> = [&train].into_iter().chain(sets.iter().copied()).collect();
    let of_level = |t: usize| numbers(session, OutlierScore::Denoising(t), &sets, n, key);
    let levels: Vec<Vec<Vec<f32>>> = (1..=model.levels().len()).map(of_level).collect::<Result<_>>()?;
    let vector = |set: usize, i: usize| levels.iter().map(|level| f64::from(level[set][i]).ln()).collect::<Vec<f64>>();
    let vectors = |set: usize| (0..levels[0][set].len()).map(move |i| vector(set, i));
    let training = Mahalanobis::of(&vectors(0).collect::<Vec<_>>());
    Ok((1..sets.len()).map(|set| vectors(set).map(|v| training.square(&v) as f32).collect()).collect())
}

/// AUROC and AUPRC of E telling outliers from held-out data of the model, outliers being the positives: 1 when every
/// outlier has the higher energy. Errors: DeLong et al. 1988 for AUROC, 200 bootstrap copies for AUPRC.
pub fn scores(name: &str, outside: &[f32], inside: &[f32], key: &Key) -> [Score; 2] {
    let (roc, pr) = (auc(outside, inside), average_precision(outside, inside, key));
    let counts = format!("{} outliers", outside.len());
    let score = |what: &str, value, error, chance| {
        Score::new(format!("{what}.{name}"), value)
            .error(error)
            .against("chance", chance)
            .note(&counts)
            .of(inside.len())
    };
    [score("auroc", roc.value, roc.error, 0.5), score("auprc", pr.value, pr.error, pr.chance)]
}

/// What `ebm ood` does: `outside` against `inside` (the run's own data if not told) by these scores (the model's best one if none is
/// named), `n` samples of each set. The histograms of the first score are left in `plots/ood.svg` of the run's folder, the figures
/// in `ood.json`. Of images also where in them the energy is steep, in `plots/ood-slopes.png`, and how well that finds a pasted square of noise.
pub fn detect(
    session: &Session,
    inside: Option<&str>,
    outside: &[String],
    by: &[OutlierScore],
    n: usize,
) -> Result<Scores> {
    let spec = inside.unwrap_or(&session.config.data);
    let data = session.registry.load(spec, Split::Test)?;
    let ours = &session.data.sample_shape;
    if data.sample_shape != *ours {
        return Err(Error::setting(format!(
            "{} has samples of shape {:?}, the model of {ours:?}",
            data.name, data.sample_shape
        )));
    }
    // All sets are there before anything is computed.
    let sets: Vec<Dataset> = outside.iter().map(|spec| set(session, spec, &data, n)).collect::<Result<_>>()?;
    let (model, key) = (session.algorithm(), session.key().named("ood"));
    let best = [model.best_outlier_score()];
    let by = if by.is_empty() { &best } else { by };
    let (mut list, mut drawn) = (Vec::new(), Vec::new());
    for (i, by) in by.iter().enumerate() {
        let all: Vec<&Dataset> = [&data].into_iter().chain(&sets).collect();
        let mut found = numbers(session, *by, &all, n, &key.named("noise"))?.into_iter();
        let known = found.next().unwrap_or_default();
        let mut sets_drawn = vec![(spec.to_string(), known.clone())];
        for (name, found) in outside.iter().zip(found) {
            let title = if *by == OutlierScore::Energy { name.clone() } else { format!("{name} ({by})") };
            list.extend(scores(&title, &found, &known, &key.named(name)));
            sets_drawn.push((name.clone(), found));
        }
        if i == 0 {
            drawn = sets_drawn;
        }
    }
    draw(session, &drawn)?;
    if ours.len() == 3 {
        list.push(patches::localised(session, &data, &sets, &key.named("patches"))?);
    }
    let scores = Scores {
        step: session.training.done(),
        seed: session.config.seed,
        weights: "ema".into(),
        reference: spec.to_string(),
        scores: list,
        skipped: Vec::new(),
    };
    atomic::write_bytes(session.run.root().join("ood.json"), scores.to_json().as_bytes())?;
    Ok(scores)
}

#[cfg(not(feature = "plots"))]
fn draw(_: &Session, _: &[(String, Vec<f32>)]) -> Result<()> {
    Ok(())
}

/// Histograms of several sets over the range that holds 98 % of each.
#[cfg(feature = "plots")]
fn draw(session: &Session, sets: &[(String, Vec<f32>)]) -> Result<()> {
    let ends: Vec<[f32; 2]> = sets.iter().map(|(_, energies)| quantiles(energies, 0.01, 0.99)).collect();
    let lo = ends.iter().fold(f32::INFINITY, |lo, e| lo.min(e[0]));
    let hi = ends.iter().fold(f32::NEG_INFINITY, |hi, e| hi.max(e[1]));
    let range = if hi > lo { [lo, hi] } else { [lo - 0.5, lo + 0.5] };
    let chart = Curves::new("share of samples by energy").along("energy");
    let chart = sets.iter().fold(chart, |chart, (name, energies)| chart.histogram(name, energies, range));
    atomic::write_bytes(session.run.plot("ood.svg"), chart.svg().as_bytes())
}
