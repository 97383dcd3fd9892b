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

/// Samples of a model as its data set's classifier sees them.
struct Gallery<'a> {
    session: &'a Session,
    effort: &'a Effort,
    judge: Judge,
    sample_shape: &'a [usize],
    key: Key,
}

impl<'a> Gallery<'a> {
    fn new(session: &'a Session, sets: [&'a Dataset; 2], effort: &'a Effort, key: &Key) -> Result<Gallery<'a>> {
        let judge = Judge::of(sets, &session.device, &effort.watch)?;
        Ok(Gallery { session, effort, judge, sample_shape: &sets[0].sample_shape, key: key.named("samples") })
    }

    /// The classes of n samples, in turn.
    fn asked(&self, n: usize) -> Vec<u32> {
        (0..n).map(|i| (i % self.session.algorithm().classes().max(1)) as u32).collect()
    }

    fn draw(&self, n: usize, steps: Option<usize>, guidance: f64) -> Result<Vec<f32>> {
        let model = self.session.algorithm();
        let conditions = if model.classes() > 0 { vec![self.asked(n)] } else { Vec::new() };
        let (step_scale, watch) = (self.effort.step_scale, self.effort.watch.clone());
        let request = SampleRequest { conditions, guidance, steps, step_scale, watch, ..SampleRequest::new(n) };
        checked(&model.sample(&request, &self.key)?.x)?.to_vec()
    }

    /// How many of these have the class that was asked for, and the picture of the first, a column a class.
    fn agreement(&self, images: &[f32], guidance: f64) -> Result<Score> {
        let (found, columns) = (self.judge.look(images)?.classes, self.session.algorithm().classes().min(10));
        let right = found.iter().zip(self.asked(found.len())).filter(|(found, asked)| **found == *asked).count();
        if let &[h, w, c] = self.sample_shape {
            let shown = (10 * columns).min(found.len());
            let picture = plot::grid(&images[..shown * h * w * c], [shown, h, w, c], columns);
            atomic::write_bytes(self.session.run.plot(&format!("guidance-{guidance}.png")), &picture.png())?;
        }
        let (n, share) = (found.len(), right as f64 / found.len() as f64);
        let score = Score::new(format!("class_agreement.w_{guidance}"), share);
        let score = score.against("test images", self.judge.accuracy).note("by the classifier");
        Ok(score.error((share * (1.0 - share) / n as f64).sqrt()).of(n))
    }
}

/// `frechet`, beside the same of as many training images; `frechet.k_0`, that of the model's first guess, where Langevin steps
/// refine one; `class_entropy`, `copies`; `class_agreement.w_...` for a model that is told classes.
pub fn distances(session: &Session, [train, test]: [&Dataset; 2], effort: &Effort, key: &Key) -> Result<Vec<Score>> {
    let model = session.algorithm();
    let gallery = Gallery::new(session, [train, test], effort, key)?;
    let judge = &gallery.judge;
    let rows = |set: &Dataset, n: usize| set.rows(&(0..n.min(set.len())).collect::<Vec<_>>());
    let n = IMAGES.min(effort.images).min(train.len());
    let truth = judge.look(&rows(test, test.len()))?;
    let distance = |features: &[f32]| frechet(features, &truth.features, FEATURES, &key.named("copies"));
    let floor = distance(&judge.look(&rows(train, n))?.features).value;
    let mut list = vec![Score::new("classifier_accuracy", judge.accuracy).note("of test images").of(test.len())];

    let note = "of features of the classifier";
    let scored = |name: &str, steps: Option<usize>| -> Result<(Score, Vec<f32>, f64)> {
        let images = gallery.draw(n, steps, effort.guidance)?;
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
    if model.classes() > 0 {
        list.push(gallery.agreement(&images, effort.guidance)?);
    }
    Ok(list)
}

/// `class_agreement.w_...` at weights of guidance beside the one at which samples are scored.
pub fn guided(session: &Session, sets: [&Dataset; 2], effort: &Effort, key: &Key) -> Result<Vec<Score>> {
    let gallery = Gallery::new(session, sets, effort, key)?;
    let others = GUIDANCES.into_iter().filter(|w| *w != effort.guidance);
    others.map(|w| gallery.agreement(&gallery.draw(GUIDED.min(effort.images), effort.steps, w)?, w)).collect()
}

/// The weights of guidance that are tried.
const GUIDANCES: [f64; 4] = [0.0, 0.5, 1.0, 2.0];

/// The mean distance of images from the nearest of `references`, root mean square per pixel.
fn mean_nearest(images: &[f32], references: &[f32], size: usize) -> f64 {
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
    let nearest = |x: &[f32]| references.chunks_exact(size).map(|row| distance(x, row)).fold(f32::INFINITY, f32::min);
    let all: Vec<f64> = images.chunks_exact(size).map(|x| f64::from(nearest(x) / size as f32).sqrt()).collect();
    all.iter().sum::<f64>() / all.len() as f64
}
