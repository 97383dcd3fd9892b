//! The units of nets, and those of the data set.

use crate::tensor::Tensor;

/// Images go from [0, 1] to [-1, 1], points stay as they are.
#[derive(Clone, Copy)]
pub struct Units {
    images: bool,
}

impl Units {
    /// The units of samples of this shape.
    pub fn of(sample_shape: &[usize]) -> Units {
        Units { images: sample_shape.len() == 3 }
    }

    /// From the data set's units to the nets'.
    pub fn inwards(self, x: &Tensor) -> Tensor {
        if self.images { x * 2.0 - 1.0 } else { x.clone() }
    }

    /// The way back; images are clamped to [0, 1].
    pub fn outwards(self, x: &Tensor) -> Tensor {
        if self.images { x.affine(0.5, 0.5).clamp(0.0, 1.0) } else { x.clone() }
    }

    /// The box that holds samples in the nets' units, from that in the data set's.
    pub fn bounds(self, bounds: &[[f64; 2]]) -> Vec<[f64; 2]> {
        let inwards = |[lo, hi]: &[f64; 2]| if self.images { [2.0 * lo - 1.0, 2.0 * hi - 1.0] } else { [*lo, *hi] };
        bounds.iter().map(inwards).collect()
    }
}
