//! The units of nets, and those of the data set.

use crate::tensor::Tensor;

/// Images go from [0, 1] to [-1, 1], and may be folded; points stay as they are.
#[derive(Clone, Copy)]
pub struct Units {
    /// `[H, W, C]` of an image.
    image: Option<[usize; 3]>,
    fold: usize,
}

impl Units {
    /// The units of samples of this shape.
    pub fn of(sample_shape: &[usize]) -> Units {
        Units { image: sample_shape.try_into().ok(), fold: 1 }
    }

    /// Nets see blocks of `fold` x `fold` pixels as channels (space to depth): `[H, W, C]` as `[H / fold, W / fold, fold^2 C]`.
    pub fn folded(self, fold: usize) -> Units {
        Units { fold, ..self }
    }

    /// The shape of one sample in the nets.
    pub fn sample(self, sample_shape: &[usize]) -> Vec<usize> {
        match self.image {
            Some([h, w, c]) => vec![h / self.fold, w / self.fold, self.fold * self.fold * c],
            None => sample_shape.to_vec(),
        }
    }

    /// From the data set's units to the nets'.
    pub fn inwards(self, x: &Tensor) -> Tensor {
        if self.image.is_some() { self.rearranged(&(x * 2.0 - 1.0)) } else { x.clone() }
    }

    /// The way back; images are clamped to [0, 1].
    pub fn outwards(self, x: &Tensor) -> Tensor {
        let Some([h, w, c]) = self.image else { return x.clone() };
        let (n, k) = (x.dim(0), self.fold);
        let x = x.affine(0.5, 0.5).clamp(0.0, 1.0);
        let blocks = || x.reshape([n, h / k, w / k, k, k, c]).permute(&[0, 1, 3, 2, 4, 5]);
        if k == 1 { x } else { blocks().reshape([n, h, w, c]) }
    }

    /// A mask, or anything else without a unit, as the nets see it.
    pub fn rearranged(self, x: &Tensor) -> Tensor {
        let (Some([h, w, c]), k) = (self.image, self.fold) else { return x.clone() };
        if k == 1 {
            return x.clone();
        }
        let blocks = x.reshape([x.dim(0), h / k, k, w / k, k, c]).permute(&[0, 1, 3, 2, 4, 5]);
        blocks.reshape([x.dim(0), h / k, w / k, k * k * c])
    }

    /// The box that holds samples in the nets' units, from that in the data set's.
    pub fn bounds(self, bounds: &[[f64; 2]]) -> Vec<[f64; 2]> {
        let images = self.image.is_some();
        let inwards = |[lo, hi]: &[f64; 2]| if images { [2.0 * lo - 1.0, 2.0 * hi - 1.0] } else { [*lo, *hi] };
        bounds.iter().map(inwards).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// Pixel (y, x, c) goes to block (y / 2, x / 2), channel (y % 2) 2 C + (x % 2) C + c, and comes back.
    #[test]
    fn blocks_of_pixels_become_channels_and_pixels_again() {
        let (h, w, c) = (4, 6, 2);
        let units = Units::of(&[h, w, c]).folded(2);
        assert_eq!(units.sample(&[h, w, c]), [2, 3, 8]);
        let image: Vec<f64> = (0..2 * h * w * c).map(|i| i as f64 / 100.0).collect();
        let x = Tensor::from_f64(&Device::oracle(), [2, h, w, c], image.clone());
        let folded = units.inwards(&x).to_f64().unwrap();
        for (i, v) in image.iter().enumerate() {
            let (n, y, x, c) = (i / 48, i / 12 % 4, i / 2 % 6, i % 2);
            let at = ((n * 2 + y / 2) * 3 + x / 2) * 8 + (y % 2) * 4 + (x % 2) * 2 + c;
            assert_eq!(folded[at], 2.0 * v - 1.0);
        }
        let back = units.outwards(&units.inwards(&x)).to_f64().unwrap();
        assert!(back.iter().zip(&image).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
