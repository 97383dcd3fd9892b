//! Scores and pictures of images and their latent vectors.

use super::pairs::mean_and_error;
use super::{Score, Session};
use crate::data::Dataset;
use crate::error::Result;
use crate::io::atomic;
use crate::metrics::sliced_wasserstein;
use crate::plot;
use crate::tensor::{Key, Tensor};
use crate::train::Latents;

/// Images of a score, at most.
const IMAGES: usize = 1000;
/// Sets of samples whose distances are averaged.
const SETS: u64 = 5;
/// Projections of a distance.
const PROJECTIONS: usize = 500;
/// Images of a picture.
const SHOWN: usize = 10;

/// `sw2` of samples and of their first guess in the space of pixels: means over [`SETS`] sets with their standard errors, each against
/// the same held-out images, beside the floor of as many sets of training images; a picture, first guesses on the left, samples on
/// the right.
pub fn distances(session: &Session, [train, test]: [&Dataset; 2], key: &Key) -> Result<Vec<Score>> {
    let (model, n) = (session.algorithm(), IMAGES.min(test.len()).min(train.len()) / 2);
    let draw = |set: &Dataset, key: &Key| set.rows(&key.permutation(set.len())[..n]);
    let truth = draw(test, &key.named("test"));
    let distance =
        |x: &[f32]| sliced_wasserstein(x, &truth, test.sample_len(), PROJECTIONS, &key.named("directions")).sw2;
    let (mut found, mut least) = ([Vec::new(), Vec::new()], Vec::new());
    let mut name = String::new();
    for i in 0..SETS {
        let stages = model.stages(n, &key.named("stages").index(i))?;
        let [Some((first, x_0)), Some((_, x))] = [stages.first(), stages.last()] else { return Ok(Vec::new()) };
        name.clone_from(first);
        let states = [x, x_0].map(Tensor::to_vec).into_iter().collect::<Result<Vec<_>>>()?;
        (0..2).for_each(|k| found[k].push(distance(&states[k])));
        least.push(distance(&draw(train, &key.named("train").index(i))));
        if let (0, &[h, w, c]) = (i, &test.sample_shape[..]) {
            let sides = [1, 0].map(|k| plot::grid(&states[k][..n.min(80) * h * w * c], [n.min(80), h, w, c], 10));
            atomic::write_bytes(session.run.plot("first-and-last.png"), &plot::beside(&sides).png())?;
        }
    }
    let floor = mean_and_error(&least).0;
    let score = |(name, values): (String, &Vec<f64>)| {
        let (mean, error) = mean_and_error(values);
        let note = format!("of pixels, {SETS} sets");
        Score::new(name, mean).error(error).against("floor", floor).note(&note).of(n)
    };
    Ok(["sw2".to_string(), format!("sw2.{name}")].into_iter().zip(&found).map(score).collect())
}

/// The error of held-out images through encoder and decoder, and after the chains moved them, per pixel, beside that of the mean
/// image; a picture, a row each of originals, decoded and refined ones.
pub fn reconstruction(session: &Session, latents: &dyn Latents, test: &Dataset, key: &Key) -> Result<Vec<Score>> {
    let (n, size) = (IMAGES.min(test.len()), test.sample_len());
    let shape = [&[n], &test.sample_shape[..]].concat();
    let x = Tensor::new(&session.device, shape, &test.rows(&(0..n).collect::<Vec<_>>()));
    let decoded = latents.decode(&latents.encode(&x, &key.named("encoder")));
    let refined = latents.refine(&decoded, &key.named("langevin"));
    let error = |y: &Tensor| -> Result<(f64, f64)> {
        let axes: Vec<i32> = (1..y.shape().rank() as i32).collect();
        Ok(mean_and_error(&(y - &x).square().mean_axes(&axes).to_f64()?))
    };
    let mean = error(&x.mean_axes(&[0]).broadcast_to(x.shape()))?.0;
    if let &[h, w, c] = &test.sample_shape[..] {
        let row = |x: &Tensor| Ok(x.to_vec()?[..SHOWN.min(n) * size].to_vec());
        let rows = [&x, &decoded, &refined].map(row).into_iter().collect::<Result<Vec<_>>>()?.concat();
        let picture = plot::grid(&rows, [3 * SHOWN.min(n), h, w, c], SHOWN.min(n));
        atomic::write_bytes(session.run.plot("reconstruction.png"), &picture.png())?;
    }
    let score = |name: &str, y: &Tensor| {
        let (value, standard) = error(y)?;
        Ok(Score::new(format!("reconstruction.{name}"), value)
            .error(standard)
            .against("mean image", mean)
            .note("mean squared error per pixel, held out")
            .of(n))
    };
    [("decoder", &decoded), ("refined", &refined)].into_iter().map(|(name, y)| score(name, y)).collect()
}

/// Straight lines between pairs of prior draws, decoded and refined: two rows a pair.
pub fn interpolation(session: &Session, latents: &dyn Latents, key: &Key) -> Result<()> {
    let &[h, w, c] = &session.data.sample_shape[..] else { return Ok(()) };
    let draw = |name: &str| Tensor::normal(&session.device, [SHOWN / 2, latents.dims()], &key.named(name));
    let (a, b) = (draw("from"), draw("to"));
    let mut frames = Vec::new();
    for i in 0..SHOWN {
        let t = i as f64 / (SHOWN - 1) as f64;
        let x = latents.decode(&(a.mul_scalar(1.0 - t) + b.mul_scalar(t)));
        let refined = latents.refine(&x, &key.named("langevin"));
        // Pair by pair: the decoded one, then the refined one.
        let both = Tensor::concat(&[&x.unsqueeze(1), &refined.unsqueeze(1)], 1);
        frames.push(both.to_vec()?);
    }
    let picture = plot::strips(&frames, [2 * (SHOWN / 2), h, w, c]);
    atomic::write_bytes(session.run.plot("interpolation.png"), &picture.png())
}
