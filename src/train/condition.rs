//! What a model of image pairs is given: the other half of a pair that is made of the image itself.

use crate::check;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// x of p(y | x), for images y `[N, H, W, C]` (supervised conditional learning).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// y around a square hole in its middle, which is grey: inpainting.
    Hole {
        /// Rows and columns of the hole.
        side: usize,
    },
    /// The means of y over blocks: upscaling.
    Upscale {
        /// Rows and columns of a block.
        factor: usize,
    },
    /// The means of y over its channels: colourisation.
    Grey,
}

impl Condition {
    /// Whether it can be made of samples of shape `item`; `name` is where it stands in the settings.
    pub fn check(&self, name: &str, item: &[usize]) -> Result<()> {
        let &[h, w, c] = item else {
            return Err(Error::setting(format!("{name}: pairs are made of images, the data are {item:?}")));
        };
        match *self {
            Condition::Hole { side } => check::within(format!("{name}.side"), side, 1..=h.min(w)),
            Condition::Upscale { factor } => {
                let fits = factor > 1 && h % factor == 0 && w % factor == 0;
                check::ensure(fits, format!("{name}.factor"), factor, format!("use a divisor of {h} and {w} above 1"))
            }
            Condition::Grey => check::ensure(c > 1, format!("{name}.kind"), "grey", "the images have one channel only"),
        }
    }

    /// x of images y in [0, 1], of y's shape.
    pub fn of(&self, y: &Tensor) -> Tensor {
        match *self {
            Condition::Hole { side } => {
                let hole = hole(y, side);
                y * hole.affine(-1.0, 1.0) + hole.mul_scalar(0.5)
            }
            Condition::Upscale { factor } => y.avg_pool(factor, factor, 0).repeat_pixels(factor),
            Condition::Grey => y.mean_axes(&[3]).unsqueeze(-1).broadcast_to(y.shape().clone()),
        }
    }

    /// A guess at y with what x tells beyond doubt put back: the pixels around the hole.
    pub fn keep(&self, guess: &Tensor, x: &Tensor) -> Tensor {
        match *self {
            Condition::Hole { side } => x + (guess - x) * hole(x, side),
            _ => guess.clone(),
        }
    }
}

/// 1 in the hole, 0 around it, `[1, H, W, 1]`.
fn hole(y: &Tensor, side: usize) -> Tensor {
    let before = [1, 2].map(|axis| (y.dim(axis) - side) / 2);
    let behind = [1, 2].map(|axis| y.dim(axis) - side - before[axis - 1]);
    let square = Tensor::full(y.device(), [1, side, side, 1], 1.0);
    square.pad(1, before[0], behind[0], 0.0).pad(2, before[1], behind[1], 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    fn given(condition: Condition, shape: [usize; 4], y: &[f32]) -> Vec<f32> {
        condition.of(&Tensor::new(&Device::oracle(), shape, y)).to_vec().unwrap()
    }

    #[test]
    fn pairs_are_what_their_names_say() {
        let y: Vec<f32> = (0..12).map(|i| i as f32 / 16.0).collect();
        let mut around = y.clone();
        around[4] = 0.5;
        assert_eq!(given(Condition::Hole { side: 1 }, [1, 4, 3, 1], &y), around);
        // Where it cannot lie in the middle, it lies a pixel above or to the left of it.
        around.clone_from(&y);
        [1, 2, 5, 6].into_iter().for_each(|i| around[i] = 0.5);
        assert_eq!(given(Condition::Hole { side: 2 }, [1, 3, 4, 1], &y), around);
        let blocks = [2.5, 2.5, 4.5, 4.5, 2.5, 2.5, 4.5, 4.5].map(|v| v / 16.0);
        assert_eq!(given(Condition::Upscale { factor: 2 }, [1, 2, 4, 1], &y[..8]), blocks);
        let grey: Vec<f32> = [1, 4, 7, 10].iter().flat_map(|&v| [v as f32 / 16.0; 3]).collect();
        assert_eq!(given(Condition::Grey, [1, 2, 2, 3], &y), grey);
    }

    #[test]
    fn only_the_hole_is_guessed() {
        let device = Device::oracle();
        let (y, guess) = (Tensor::full(&device, [1, 3, 3, 1], 0.25), Tensor::full(&device, [1, 3, 3, 1], 0.75));
        let condition = Condition::Hole { side: 1 };
        let kept = condition.keep(&guess, &condition.of(&y)).to_vec().unwrap();
        let want: Vec<f32> = (0..9).map(|i| if i == 4 { 0.75 } else { 0.25 }).collect();
        assert_eq!(kept, want);
    }
}
