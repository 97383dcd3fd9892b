//! Checking a result of full size against the oracle without computing all of it there.

use crate::error::{Error, Result};
use crate::ops::case::Values;
use crate::ops::{Case, Input};
use crate::tensor::{Array, Device, Key, Tensor};

/// Which part of a result the oracle computes too.
#[derive(Clone)]
pub enum Spot {
    /// All of it.
    Whole,
    /// The first and the last `width` indices of an axis of the result. Each input that varies along this axis is cut
    /// alike, at the axis given for it; the others enter whole.
    Ends { axis: usize, inputs: Vec<Option<usize>>, width: usize },
    /// The first `width` indices of axis 0: for draws, where a cut at the end would be another draw.
    Start { inputs: Vec<Option<usize>>, width: usize },
}

impl Spot {
    /// The first and last `width` rows: axis 0 of the result and of the first input.
    pub fn rows(width: usize) -> Spot {
        Spot::Ends { axis: 0, inputs: vec![Some(0)], width }
    }

    /// The first and last `width` elements of functions of equally shaped inputs.
    pub fn elements(inputs: usize) -> Spot {
        Spot::Ends { axis: 0, inputs: vec![Some(0); inputs], width: 5000 }
    }

    /// Compares the device's result `y` of `case` on `x` with the oracle's.
    ///
    /// # Errors
    /// [`Error::Device`] naming the first element that is further off than the case allows.
    pub fn check(&self, name: &str, case: &Case, x: &[Tensor], y: &Tensor) -> Result<()> {
        for (axis, inputs, start, width) in self.parts(y) {
            let cut = |(i, x): (usize, &Tensor)| match inputs.get(i).copied().flatten() {
                Some(axis) => x.narrow(axis, start, width),
                None => x.clone(),
            };
            let parts: Vec<Tensor> = x.iter().enumerate().map(cut).collect();
            let values = parts.iter().map(|x| Ok(Array::new(x.shape(), x.to_f64()?))).collect::<Result<Vec<_>>>()?;
            let got = if y.shape().rank() == 0 { y.clone() } else { y.narrow(axis, start, width) };
            case.judge(&values, &got.to_f64()?).map_err(|why| Error::Device(format!("{name} is wrong: {why}")))?;
        }
        Ok(())
    }

    /// (axis of the result, axes of the inputs, start, width) of every part.
    fn parts(&self, y: &Tensor) -> Vec<(usize, &[Option<usize>], usize, usize)> {
        match self {
            Spot::Whole => vec![(0, &[], 0, y.shape().first().copied().unwrap_or(1))],
            Spot::Start { inputs, width } => vec![(0, inputs, 0, *width)],
            Spot::Ends { axis, inputs, width } => {
                vec![(*axis, inputs, 0, *width), (*axis, inputs, y.dim(*axis) - width, *width)]
            }
        }
    }
}

/// The inputs of `case`, drawn on the device where that is possible.
pub(super) fn draw(case: &Case, device: &Device, key: &Key) -> Vec<Tensor> {
    let one = |(i, input): (usize, &Input)| match input.values {
        Values::Uniform(lo, hi) => {
            Tensor::uniform(device, input.shape.clone(), &key.index(i as u64)).affine(hi - lo, lo)
        }
        _ => Tensor::from_f64(device, input.shape.clone(), input.draw(&key.index(i as u64))),
    };
    case.inputs.iter().enumerate().map(one).collect()
}
