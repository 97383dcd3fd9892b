//! Where in an image the energy sees what does not belong there: `|dE/dx|` pixel by pixel.

use super::pairs::mean_and_error;
use super::{Score, Session};
use crate::data::Dataset;
use crate::energy::Energy;
use crate::error::Result;
use crate::io::atomic;
use crate::metrics::auc;
use crate::plot::{self, quantiles};
use crate::tensor::{Key, Tensor};

/// Images that are scored, and those of each set that are drawn.
const IMAGES: usize = 200;
const SHOWN: usize = 10;
/// Images whose gradients are computed at once.
const AT_ONCE: usize = 50;

/// `|dE/dx|` of each pixel of `x [N, H, W, C]` over its channels, `[N, H, W]`.
pub fn steepness(energy: &dyn Energy, x: &Tensor) -> Tensor {
    energy.gradient(x).square().sum_axes(&[3]).sqrt()
}

/// A square of noise in an image: its first row, its first column, its side.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Patch {
    row: usize,
    column: usize,
    side: usize,
}

impl Patch {
    /// Anywhere in images of `height` x `width`, a third of the shorter side wide.
    fn draw([height, width]: [usize; 2], key: &Key) -> Patch {
        let side = (height.min(width) / 3).max(1);
        Patch { row: key.below(0, height - side + 1), column: key.below(1, width - side + 1), side }
    }

    fn holds(&self, row: usize, column: usize) -> bool {
        let within = |at: usize, first: usize| (first..first + self.side).contains(&at);
        within(row, self.row) && within(column, self.column)
    }
}

/// How well `|dE/dx|` tells the pixels of a pasted square of uniform noise from the others of the same image: the mean over
/// held-out images of the AUROC over pixels. Drawn in `plots/ood-slopes.png`: the first images of each set and, below them, where the energy
/// is steep, on one scale.
pub fn localised(session: &Session, data: &Dataset, sets: &[Dataset], key: &Key) -> Result<Score> {
    let &[height, width, channels] = &data.sample_shape[..] else { panic!("localised: images are wanted") };
    let model = session.algorithm();
    let energy = model.energy()?;
    let slopes = |images: &[f32]| -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for some in images.chunks(AT_ONCE * height * width * channels) {
            let n = some.len() / (height * width * channels);
            all.extend(
                steepness(&*energy, &Tensor::new(&session.device, [n, height, width, channels], some)).to_vec()?,
            );
        }
        Ok(all)
    };

    let first = |set: &Dataset, n: usize| set.rows(&(0..n.min(set.len())).collect::<Vec<_>>());
    let [low, high] = session.bounds()[0];
    let mut patched = first(data, IMAGES);
    let patches: Vec<Patch> =
        (0..IMAGES.min(data.len()) as u64).map(|i| Patch::draw([height, width], &key.index(i))).collect();
    let (pixels, noise) = (height * width, key.named("noise"));
    for (i, value) in patched.iter_mut().enumerate() {
        let at = i / channels;
        if patches[at / pixels].holds(at % pixels / width, at % width) {
            *value = (low + (high - low) * noise.uniform(i as u64)) as f32;
        }
    }
    let found = slopes(&patched)?;
    let of_image = |(patch, slopes): (&Patch, &[f32])| {
        let part = |inside: bool| -> Vec<f32> {
            let here = |i: &usize| patch.holds(i / width, i % width) == inside;
            (0..pixels).filter(here).map(|i| slopes[i]).collect()
        };
        auc(&part(true), &part(false)).value
    };
    let each: Vec<f64> = patches.iter().zip(found.chunks(pixels)).map(of_image).collect();

    let mut rows = vec![(patched[..SHOWN.min(patches.len()) * pixels * channels].to_vec(), found)];
    for set in [data].into_iter().chain(sets) {
        let images = first(set, SHOWN);
        let slopes = slopes(&images)?;
        rows.push((images, slopes));
    }
    let all: Vec<f32> = rows.iter().flat_map(|(_, slopes)| slopes.iter().copied()).collect();
    let most = quantiles(&all, 0.0, 0.99)[1].max(f32::MIN_POSITIVE);
    let draw = |(images, slopes): &(Vec<f32>, Vec<f32>)| {
        let n = images.len() / (pixels * channels);
        let shades: Vec<f32> = slopes[..n * pixels].iter().map(|slope| slope / most).collect();
        [plot::grid(images, [n, height, width, channels], SHOWN), plot::grid(&shades, [n, height, width, 1], SHOWN)]
    };
    let picture = plot::stack(&rows.iter().flat_map(draw).collect::<Vec<_>>());
    atomic::write_bytes(session.run.plot("ood-slopes.png"), &picture.png())?;

    let (mean, error) = mean_and_error(&each);
    let note = "AUROC of |dE/dx| over pixels, a pasted square of noise against the rest of its image";
    Ok(Score::new("pixel_auroc.noise", mean).error(error).against("chance", 0.5).note(note).of(each.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// `sum_i a_i |x_i|^2 / 2` over pixels i, a_i = i + 1: its slope at pixel i is a_i |x_i|.
    struct Weighted;

    impl Energy for Weighted {
        fn energy(&self, x: &Tensor) -> Tensor {
            let pixels = x.dim(1) * x.dim(2);
            let weights = (1..=pixels).map(|a| a as f64).collect();
            let weights = Tensor::from_f64(x.device(), [1, x.dim(1), x.dim(2), 1], weights);
            (x.square() * &weights).mul_scalar(0.5).sum_axes(&[1, 2, 3])
        }
    }

    #[test]
    fn a_pixel_is_as_steep_as_its_channels_together() {
        let x = Tensor::new(&Device::oracle(), [1, 2, 2, 2], &[3.0, 4.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        let slopes = steepness(&Weighted, &x);
        assert_eq!((slopes.shape().to_vec(), slopes.to_vec().unwrap()), (vec![1, 2, 2], vec![5.0, 2.0, 0.0, 4.0]));
    }

    #[test]
    fn patches_lie_anywhere_within_the_image() {
        let key = Key::new(1);
        let all: Vec<Patch> = (0..400).map(|i| Patch::draw([7, 9], &key.index(i))).collect();
        assert!(all.iter().all(|p| p.side == 2 && p.row + 2 <= 7 && p.column + 2 <= 9));
        let most = |of: fn(&Patch) -> usize| all.iter().map(of).max().unwrap();
        assert_eq!((most(|p| p.row), most(|p| p.column)), (5, 7));
        let held = (0..63).filter(|i| all[0].holds(i / 9, i % 9)).count();
        assert_eq!(held, 4);
    }
}
