//! Scores of images by a small classifier of the data set: how far features of samples are from those of held-out images, whether
//! samples have the class that was asked for, whether they are copies; and what Langevin steps add to the first guess.

use super::classifier::Judge;
use super::evaluation::{Effort, checked};
use super::{Score, Session};
use crate::data::Dataset;
use crate::error::Result;
use crate::io::atomic;
use crate::metrics::frechet;
use crate::plot;
use crate::tensor::Key;
use crate::train::SampleRequest;
use crate::train::classifier::FEATURES;

/// Samples of a Fréchet distance, and of each further guidance weight, at most.
const IMAGES: usize = 1000;
const GUIDED: usize = 200;
/// Images that are looked up among how many of the training set.
const LOOKED_UP: usize = 200;
const REFERENCES: usize = 10_000;

/// `frechet`, beside the same of as many training images; `frechet.k_0`, that of the model's first guess, where Langevin steps
/// refine one; `class_entropy`, `copies`; `class_agreement.w_...` for a model that is told classes, unless it is to be brief at several
/// guidance weights.
pub fn judged(session: &Session, [train, test]: [&Dataset; 2], effort: &Effort, key: &Key) -> Result<Vec<Score>> {
    let (model, device) = (session.algorithm(), &session.device);
    let judge = Judge::of([train, test], device, &effort.watch)?;
    let rows = |set: &Dataset, n: usize| set.rows(&(0..n.min(set.len())).collect::<Vec<_>>());
    let n = IMAGES.min(effort.images).min(train.len());
    let truth = judge.look(&rows(test, test.len()))?;
    let distance = |features: &[f32]| frechet(features, &truth.features, FEATURES, &key.named("copies"));
    let floor = distance(&judge.look(&rows(train, n))?.features).value;
    let mut list = vec![Score::new("classifier_accuracy", judge.accuracy).note("of test images").of(test.len())];

    let classes = model.classes();
    let asked = |n: usize| (0..n).map(|i| (i % classes.max(1)) as u32).collect::<Vec<u32>>();
    let draw = |n: usize, steps: Option<usize>, guidance: f64| {
        let conditions = if classes > 0 { vec![asked(n)] } else { Vec::new() };
        let (step_scale, watch) = (effort.step_scale, effort.watch.clone());
        let request = SampleRequest { conditions, guidance, steps, step_scale, watch, ..SampleRequest::new(n) };
        checked(&model.sample(&request, &key.named("samples"))?.x)
    };
    let note = "of features of the classifier";
    let scored = |name: &str, steps: Option<usize>| -> Result<(Score, Vec<f32>, f64)> {
        let images = draw(n, steps, effort.guidance)?.to_vec()?;
        let seen = judge.look(&images)?;
        let found = distance(&seen.features);
        Ok((
            Score::new(name, found.value).error(found.error).against("floor", floor).note(note).of(n),
            images,
            seen.entropy,
        ))
    };
    let (score, images, entropy) = scored("frechet", effort.steps)?;
    list.push(score);
    if model.refines_first_guess() {
        list.push(scored("frechet.k_0", Some(0))?.0.note("the same without Langevin steps"));
    }
    list.push(Score::new("class_entropy", entropy).against("test images", truth.entropy).note("nats").of(n));

    let references = rows(train, REFERENCES);
    let size = train.sample_len();
    let nearest = |images: &[f32]| mean_nearest(&images[..images.len().min(LOOKED_UP * size)], &references, size);
    let own = nearest(&images);
    let score = Score::new("nearest_training_image", own).against("test images", nearest(&rows(test, LOOKED_UP)));
    list.push(score.note("mean distance in pixels; far below: copies").of(LOOKED_UP.min(n)));

    if classes == 0 {
        return Ok(list);
    }
    let agreement = |images: &[f32], guidance: f64| -> Result<Score> {
        let found = judge.look(images)?.classes;
        let right = found.iter().zip(asked(found.len())).filter(|(found, asked)| **found == *asked).count();
        if let &[h, w, c] = &train.sample_shape[..] {
            let shown = (10 * classes.min(10)).min(found.len());
            let picture = plot::grid(&images[..shown * size], [shown, h, w, c], classes.min(10));
            atomic::write_bytes(session.run.plot(&format!("guidance-{guidance}.png")), &picture.png())?;
        }
        let (n, share) = (found.len(), right as f64 / found.len() as f64);
        let score = Score::new(format!("class_agreement.w_{guidance}"), share).against("test images", judge.accuracy);
        Ok(score.error((share * (1.0 - share) / n as f64).sqrt()).note("by the classifier").of(n))
    };
    list.push(agreement(&images, effort.guidance)?);
    let others = guidances(model.supports_guidance()).iter().filter(|w| !effort.brief && **w != effort.guidance);
    for guidance in others {
        list.push(agreement(&draw(GUIDED, effort.steps, *guidance)?.to_vec()?, *guidance)?);
    }
    Ok(list)
}

/// The weights of guidance that are tried.
fn guidances(guided: bool) -> &'static [f64] {
    if guided { &[0.0, 0.5, 1.0, 2.0] } else { &[0.0] }
}

/// The mean distance of images from the nearest of `references`, root mean square per pixel.
fn mean_nearest(images: &[f32], references: &[f32], size: usize) -> f64 {
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
    let nearest = |x: &[f32]| references.chunks_exact(size).map(|row| distance(x, row)).fold(f32::INFINITY, f32::min);
    let all: Vec<f64> = images.chunks_exact(size).map(|x| f64::from(nearest(x) / size as f32).sqrt()).collect();
    all.iter().sum::<f64>() / all.len() as f64
}
