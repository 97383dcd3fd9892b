//! Scores and pictures of images and their latent vectors.

use super::{Score, Session};
use crate::data::Dataset;
use crate::error::Result;
use crate::io::atomic;
use crate::metrics::sliced_wasserstein;
use crate::plot;
use crate::tensor::{Key, Tensor};
use crate::train::{Latents, Model};

/// Images of a score, at most.
const IMAGES: usize = 1000;
/// Projections of a distance.
const PROJECTIONS: usize = 500;
/// Images of a picture.
const SHOWN: usize = 10;

/// `sw2` of samples and of their first guess in the space of pixels, beside the floor of two true samples.
pub fn distances(model: &dyn Model, [train, test]: [&Dataset; 2], key: &Key) -> Result<Vec<Score>> {
    let dims: usize = model.sample_shape().iter().product();
    let n = IMAGES.min(test.len()).min(train.len());
    let draw = |set: &Dataset, key: &Key| set.rows(&key.permutation(set.len())[..n]);
    let truth = draw(test, &key.named("test"));
    let distance = |x: &[f32]| sliced_wasserstein(x, &truth, dims, PROJECTIONS, &key.named("directions")).sw2;
    let least = distance(&draw(train, &key.named("train")));
    let score = |name: String, x: &Tensor| Ok(Score::new(name, distance(&x.to_vec()?)).against("floor", least).of(n));
    let stages = model.stages(n, &key.named("stages"))?;
    let first = stages.first().map(|(name, x)| score(format!("sw2.{name}"), x));
    let last = stages.last().map(|(_, x)| score("sw2".into(), x));
    last.into_iter().chain(first).collect()
}

/// The error of held-out images through encoder and decoder, and after the chains moved them, per pixel, beside that of the mean
/// image; a picture, a row each of originals, decoded and refined ones.
pub fn reconstruction(session: &Session, latents: &dyn Latents, test: &Dataset, key: &Key) -> Result<Vec<Score>> {
    let (n, size) = (IMAGES.min(test.len()), test.sample_len());
    let shape = [&[n], &test.sample_shape[..]].concat();
    let x = Tensor::new(&session.device, shape, &test.rows(&(0..n).collect::<Vec<_>>()));
    let decoded = latents.decode(&latents.encode(&x, &key.named("encoder")));
    let refined = latents.refine(&decoded, &key.named("langevin"));
    let error = |y: &Tensor| (y - &x).square().mean().item();
    let mean = error(&x.mean_axes(&[0]).broadcast_to(x.shape()))?;
    if let &[h, w, c] = &test.sample_shape[..] {
        let row = |x: &Tensor| Ok(x.to_vec()?[..SHOWN.min(n) * size].to_vec());
        let rows = [&x, &decoded, &refined].map(row).into_iter().collect::<Result<Vec<_>>>()?.concat();
        let picture = plot::grid(&rows, [3 * SHOWN.min(n), h, w, c], SHOWN.min(n));
        atomic::write_bytes(session.run.plot("reconstruction.png"), &picture.png())?;
    }
    let score = |name: &str, y: &Tensor| {
        Ok(Score::new(format!("reconstruction.{name}"), error(y)?)
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
