//! Scores and pictures of a model of pairs, p(y | x).

use super::evaluation::checked;
use super::{Score, Session};
use crate::data::Dataset;
use crate::error::Result;
use crate::io::atomic;
use crate::plot;
use crate::tensor::{Key, Tensor};
use crate::train::{Condition, SampleRequest};

/// Images of a score.
const IMAGES: usize = 500;
/// Images of a picture.
const SHOWN: usize = 16;

/// One draw of y for the x of each held-out image, before and after it is refined (from the same start), held against the image:
/// mean squared error per pixel and PSNR in dB, means over the images with their standard errors, beside those of x itself; a
/// picture, a row each of x, first draws, refined ones and images.
pub fn scores(session: &Session, condition: Condition, test: &Dataset, key: &Key) -> Result<Vec<Score>> {
    let (n, size) = (IMAGES.min(test.len()), test.sample_len());
    let rows = test.rows(&(0..n).collect::<Vec<_>>());
    let y = Tensor::new(&session.device, [&[n], &test.sample_shape[..]].concat(), &rows);
    let request = SampleRequest { given: Some(y.clone()), ..SampleRequest::new(n) };
    let draw = |steps: Option<usize>| {
        let samples = session.algorithm().sample(&SampleRequest { steps, ..request.clone() }, key)?;
        checked(&samples.x)?.to_vec()
    };
    let (x, first, refined) = (condition.of(&y).to_vec()?, draw(Some(0))?, draw(None)?);

    if let &[h, w, c] = &test.sample_shape[..] {
        let shown = SHOWN.min(n);
        let all: Vec<f32> =
            [&x, &first, &refined, &rows].into_iter().flat_map(|r| r[..shown * size].to_vec()).collect();
        atomic::write_bytes(session.run.plot("pairs.png"), &plot::grid(&all, [4 * shown, h, w, c], shown).png())?;
    }
    let squares = |guess: &[f32]| -> Vec<f64> {
        let error = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        guess.chunks_exact(size).zip(rows.chunks_exact(size)).map(|pair| error(pair) / size as f64).collect()
    };
    // A perfect image would have an infinite PSNR: an error of one part in 1000 counts as 60 dB.
    let decibel = |errors: &[f64]| -> Vec<f64> { errors.iter().map(|e| -10.0 * e.max(1e-6).log10()).collect() };
    let score = |name: &str, of: &[f64], beside: &[f64]| {
        let [(mean, error), (of_x, _)] = [of, beside].map(mean_and_error);
        Score::new(name, mean).error(error).against("x itself", of_x).note("held out, one draw each").of(n)
    };
    let of_x = squares(&x);
    let both = |name: &str, guess: &[f32]| {
        let errors = squares(guess);
        let psnr = score(&format!("pairs.psnr.{name}"), &decibel(&errors), &decibel(&of_x));
        [psnr, score(&format!("pairs.error.{name}"), &errors, &of_x)]
    };
    Ok([both("refined", &refined), both("first_draw", &first)].concat())
}

/// The mean of independent numbers, and its standard error; NaN of a single one.
pub fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_the_mean() {
        let (mean, error) = mean_and_error(&[1.0, 2.0, 3.0]);
        assert!(mean == 2.0 && (error - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
