//! Every score that applies to a run, with the pictures that go with them.

use super::ais::{Ais, Base, grid_log_z};
use super::measures::{self, Reference};
use super::{Score, Scores, Session, image_scores, latents, outliers, pairs, pictures};
use crate::data::{Dataset, Split};
use crate::energy::{Energy, Scaled};
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::metrics::auc;
use crate::tensor::{Key, Tensor};
use crate::train::{OutlierScore, SampleRequest, Watch};

/// How much is spent on scores, and on what.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Langevin steps of the samples that are scored, if not the algorithm's own number.
    pub steps: Option<usize>,
    /// m: Langevin noise times m, drift times m^2.
    pub step_scale: f64,
    /// Weight of the samples' guidance, where the model has one: towards classes, or along the values of GCD.
    pub guidance: f64,
    /// Samples of points.
    pub points: usize,
    /// Images per score.
    pub images: usize,
    /// What is scored: all of it where nothing is named.
    pub only: Vec<Part>,
    /// Annealed importance sampling of ln Z, if wished.
    pub ais: Option<Ais>,
    /// The data set in place of the run's own.
    pub data: Option<String>,
    /// Who is told how far it is.
    pub watch: Watch,
    /// Who is told each score as soon as it is known.
    pub told: Watch<Score>,
}

/// What scores are about. One part is done and kept before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Samples against the data.
    Samples,
    /// Images of a class: whether they have it, at several weights of guidance.
    Guidance,
    /// Halves of images from the other halves.
    Inpainting,
    /// ln Z.
    LogZ,
    /// Sets that are not the data.
    Outliers,
}

impl Part {
    /// Every part and its name, in their order.
    pub const ALL: [(Part, &str); 5] = [
        (Part::Samples, "samples"),
        (Part::Guidance, "guidance"),
        (Part::Inpainting, "inpainting"),
        (Part::LogZ, "log-z"),
        (Part::Outliers, "outliers"),
    ];
}

impl Default for Effort {
    fn default() -> Effort {
        let (points, images) = (10_000, 2000);
        let (step_scale, guidance) = (1.0, 0.0);
        let (ais, data, watch) = (None, None, Watch::default());
        Effort {
            steps: None,
            step_scale,
            guidance,
            points,
            images,
            only: Vec::new(),
            ais,
            data,
            watch,
            told: Watch::default(),
        }
    }
}

/// Whether a run can be scored right after training, without being asked: points are quick.
pub fn is_quick(session: &Session) -> bool {
    session.data.sample_shape.len() == 1
}

/// All scores of a run, kept in its folder as `scores.json` with pictures, part by part as they come. Samples are checked first: a model
/// that gives values that are no numbers is an error, not a score.
pub fn evaluate(session: &Session, effort: &Effort) -> Result<Scores> {
    let key = session.key().named("evaluation");
    let spec = effort.data.as_ref().unwrap_or(&session.config.data);
    let mut scores = Scores {
        step: session.training.done(),
        seed: session.config.seed,
        weights: "ema".into(),
        reference: spec.clone(),
        scores: Vec::new(),
        skipped: Vec::new(),
    };
    let wished = |part: &Part| effort.only.is_empty() || effort.only.contains(part);
    for part in Part::ALL.map(|(part, _)| part).iter().filter(|part| wished(part)) {
        let found = match (part, &effort.ais) {
            (Part::Samples, _) if session.data.sample_shape.len() == 1 => points(session, effort, spec, &key)?,
            (Part::Samples, _) => images(session, effort, spec, &mut scores.skipped, &key)?,
            (Part::Guidance, _) => guidance(session, effort, spec, &mut scores.skipped, &key)?,
            (Part::Inpainting, _) => inpainting(session, effort, spec, &key)?,
            (Part::LogZ, Some(ais)) => vec![log_z(session, ais, &key.named("ais"))?],
            (Part::LogZ, None) => Vec::new(),
            (Part::Outliers, _) => outliers(session, effort, spec, &mut scores.skipped)?,
        };
        found.iter().for_each(|score| effort.told.say(score));
        scores.scores.extend(found);
        atomic::write_bytes(session.run.scores(), scores.to_json().as_bytes())?;
    }
    Ok(scores)
}

fn points(session: &Session, effort: &Effort, spec: &str, key: &Key) -> Result<Vec<Score>> {
    let model = session.algorithm();
    let Effort { steps, step_scale, guidance, watch, .. } = effort.clone();
    watch.say("samples,");
    let request = SampleRequest { steps, step_scale, guidance, watch, ..SampleRequest::new(effort.points) };
    let samples = checked(&model.sample(&request, &key.named("samples"))?.x)?;
    effort.watch.say("comparing points,");
    // A sampler on its own has no energy to score.
    let energy = model.energy().ok().map(|energy| Scaled(energy, 1.0 / model.temperature()));
    let energy = energy.as_ref().map(|energy| energy as &dyn Energy);
    let bounds = session.bounds();
    if session.data.sample_shape == [2] {
        let picture = match energy {
            Some(energy) => pictures::points(energy, 1.0, &bounds, &samples)?,
            None => pictures::cloud("samples", &bounds, &samples.to_vec()?),
        };
        atomic::write_bytes(session.run.plot("density.png"), &picture.png())?;
    }
    if let Some(picture) = pictures::stages(model, &bounds, &key.named("stages"))? {
        atomic::write_bytes(session.run.plot("stages.png"), &picture.png())?;
    }
    let scores = |reference: &Reference| -> Result<Vec<Score>> {
        let mut list = measures::points(energy, reference, &samples, key)?;
        list.extend(measures::first_guess(model, reference, effort.points, key)?);
        Ok(list)
    };
    if let (Some(toy), None) = (session.toy(), &effort.data) {
        return scores(&Reference::Density(toy));
    }
    let (train, test) = (session.registry.load(spec, Split::Train)?, session.registry.load(spec, Split::Test)?);
    if session.data.sample_shape == [2] {
        let some = train.rows(&(0..train.len().min(10_000)).collect::<Vec<_>>());
        atomic::write_bytes(session.run.plot("data.png"), &pictures::cloud("data", &bounds, &some).png())?;
    }
    scores(&Reference::Points { train: &train, test: &test, bounds: &bounds })
}

/// ln Z of exp(-E / T), on the box of the data for a uniform base; in the plane beside that of a grid there.
fn log_z(session: &Session, ais: &Ais, key: &Key) -> Result<Score> {
    let (model, device, bounds) = (session.algorithm(), &session.device, session.bounds());
    let sample = model.sample_shape();
    ais.check("ais", sample)?;
    let energy = Scaled(model.energy()?, 1.0 / model.temperature());
    let z = ais.log_z(&energy, device, (sample, &bounds), key)?;
    let place = if ais.base == Base::Uniform { "on the box" } else { "in all space" };
    let note = format!("{place}, {:.0} effective chains", z.effective);
    let score = Score::new("log_z", z.value).error(z.error).note(&note).of(z.n);
    match (sample, ais.base) {
        ([2], Base::Uniform) => Ok(score.against("grid", grid_log_z(&energy, device, &bounds)?)),
        _ => Ok(score),
    }
}

/// How well the energy tells the sets that the settings name from held-out data.
fn outliers(session: &Session, effort: &Effort, spec: &str, skipped: &mut Vec<String>) -> Result<Vec<Score>> {
    if session.config.ood.is_empty() {
        return Ok(Vec::new());
    }
    let data = session.registry.load(spec, Split::Test)?;
    let (mut names, mut sets) = (Vec::new(), Vec::new());
    for (name, other) in &session.config.ood {
        match outliers::set(session, other, &data, effort.images) {
            Ok(set) => {
                names.push(name);
                sets.push(set);
            }
            // A set that is not here, or does not fit the data, is no reason to go without the other scores.
            Err(why @ (Error::Setting(_) | Error::File { .. } | Error::Format { .. })) => {
                skipped.push(format!("ood.{name}: {why}"));
            }
            Err(why) => return Err(why),
        }
    }
    effort.watch.say("telling outliers from the data,");
    let by = session.algorithm().best_outlier_score();
    let n = if by == OutlierScore::Typicality { effort.images.min(TYPICAL) } else { effort.images };
    let all: Vec<&Dataset> = [&data].into_iter().chain(&sets).collect();
    let mut found = match outliers::numbers(session, by, &all, n, &session.key().named("ood").named("noise")) {
        Ok(found) => found.into_iter(),
        Err(why @ Error::Setting(_)) => {
            skipped.push(format!("ood: {why}"));
            return Ok(Vec::new());
        }
        Err(why) => return Err(why),
    };
    let known = found.next().unwrap_or_default();
    let score = |(name, found): (&String, Vec<f32>)| {
        let (auc, note) = (auc(&found, &known), format!("AUROC by {by}, 0.5 is chance"));
        Score::new(format!("ood.{name}"), auc.value).error(auc.error).note(&note).of(found.len().min(known.len()))
    };
    Ok(names.into_iter().zip(found).map(score).collect())
}

/// Samples of each set whose denoising errors at all levels are compared.
const TYPICAL: usize = 100;

fn images(session: &Session, effort: &Effort, spec: &str, skipped: &mut Vec<String>, key: &Key) -> Result<Vec<Score>> {
    let model = session.algorithm();
    if let Some(condition) = model.condition() {
        effort.watch.say("the other halves of pairs,");
        return pairs::scores(session, condition, &session.registry.load(spec, Split::Test)?, &key.named("pairs"));
    }
    let stages = pictures::stages(model, &session.bounds(), &key.named("stages"))?;
    if !model.supports_inpainting() && !model.samples_quickly() && stages.is_none() {
        return Ok(Vec::new());
    }
    let data = session.registry.load(spec, Split::Test)?;
    let train = session.registry.load(spec, Split::Train)?;
    let mut list = Vec::new();
    if model.samples_quickly() {
        let n = effort.images.min(data.len()).min(train.len());
        let draw = |key: &Key| {
            effort.watch.say("samples,");
            let request = SampleRequest { steps: effort.steps, ..SampleRequest::new(n) };
            checked(&model.sample(&request, key)?.x)?.to_vec()
        };
        list.push(measures::image_distance(draw, [&train, &data], n, &key.named("samples"))?);
    }
    if let Some(picture) = stages {
        atomic::write_bytes(session.run.plot("stages.png"), &picture.png())?;
        effort.watch.say("comparing samples,");
        list.extend(latents::distances(session, [&train, &data], &key.named("distances"))?);
    }
    if let Some(vectors) = model.latents() {
        effort.watch.say("latent vectors,");
        list.extend(latents::reconstruction(session, vectors, &data, &key.named("reconstruction"))?);
        latents::interpolation(session, vectors, &key.named("interpolation"))?;
    }
    let scores = image_scores::distances(session, [&train, &data], effort, &key.named("features"));
    list.extend(unless_unlabelled(scores, skipped)?);
    Ok(list)
}

/// Images without labels have no classifier, and so none of its scores.
fn unless_unlabelled(scores: Result<Vec<Score>>, skipped: &mut Vec<String>) -> Result<Vec<Score>> {
    match scores {
        Err(why @ Error::Setting(_)) => {
            skipped.push(format!("by a classifier: {why}"));
            Ok(Vec::new())
        }
        scores => scores,
    }
}

/// Whether samples have the class that was asked for, at several weights.
fn guidance(
    session: &Session,
    effort: &Effort,
    spec: &str,
    skipped: &mut Vec<String>,
    key: &Key,
) -> Result<Vec<Score>> {
    if session.algorithm().classes() == 0 || !session.algorithm().supports_guidance() {
        return Ok(Vec::new());
    }
    let [train, test] = [Split::Train, Split::Test].map(|split| session.registry.load(spec, split));
    let scores = image_scores::guided(session, [&train?, &test?], effort, &key.named("features"));
    unless_unlabelled(scores, skipped)
}

/// Right halves of images from the left ones.
fn inpainting(session: &Session, effort: &Effort, spec: &str, key: &Key) -> Result<Vec<Score>> {
    let model = session.algorithm();
    if session.data.sample_shape.len() == 1 || !model.supports_inpainting() {
        return Ok(Vec::new());
    }
    let [train, test] = [Split::Train, Split::Test].map(|split| session.registry.load(spec, split));
    let (steps, watch) = (effort.steps, effort.watch.clone());
    let request = SampleRequest { steps, watch, rounds: ROUNDS, ..SampleRequest::new(INPAINTED.min(effort.images)) };
    let key = key.named("inpainting");
    let (psnr, picture) = measures::inpainting(model, &session.device, [&train?, &test?], &request, &key)?;
    atomic::write_bytes(session.run.plot("inpainting.png"), &picture.png())?;
    Ok(psnr)
}

/// Images of which a part is filled in, at most.
const INPAINTED: usize = 64;
/// Visits of each level where a part of an image is filled in.
const ROUNDS: usize = 4;

/// The samples, if all of them are numbers.
///
/// # Errors
/// [`Error::Setting`] that says how many are not.
pub fn checked(samples: &Tensor) -> Result<Tensor> {
    let bad = samples.to_vec()?.iter().filter(|v| !v.is_finite()).count();
    match bad {
        0 => Ok(samples.clone()),
        _ => Err(Error::setting(format!(
            "{bad} of {} sampled values are not finite numbers: take more, smaller Langevin steps",
            samples.numel()
        ))),
    }
}
