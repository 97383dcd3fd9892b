//! Data sets: 2-D toy densities with known answers, image formats (IDX, CIFAR, PNG, NumPy), batches, augmentation.
//!
//! Everything here lives on the host and returns plain numbers; images are `[N, H, W, C]` with values in [0, 1].
//! Formats are read from bytes, and what is wrong with them is told as text. The files are opened in
//! [`crate::io`], where `Dataset::load` is.

pub mod augment;
pub mod cifar;
mod draws;
pub mod generated;
pub mod idx;
pub mod npy;
pub mod optdigits;
pub mod pixels;
pub mod png;
mod shuffle;
pub mod toy;

pub use augment::Augment;
pub use shuffle::Shuffle;
pub use toy::Toy;

use crate::check;
use crate::error::{Error, Result};
use crate::tensor::Key;

/// The most bytes of one data set, as they are stored here; larger ones are refused.
pub const MOST_BYTES: usize = 1 << 30;

/// A data set in memory: `len()` items of one shape, with labels where the source has them.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What it is, for logs: the spec it was loaded from and the split.
    pub name: String,
    /// The shape of one sample: `[D]` for points, `[H, W, C]` for images.
    pub sample_shape: Vec<usize>,
    /// All items, one after the other.
    pub values: Values,
    /// One class index per item.
    pub labels: Option<Vec<u32>>,
    /// Class names; `labels` point into it. Empty if the source names none.
    pub classes: Vec<String>,
    /// Number of classes and box, where they are told instead of counted.
    pub(crate) told: Option<(usize, Vec<[f64; 2]>)>,
}

/// The numbers of a data set, as the source stores them.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Taken as they are.
    F32(Vec<f32>),
    /// Bytes; read as byte / 255.
    U8(Vec<u8>),
}

/// Which part of a data set.
///
/// Where the source has one part only, an array or a folder of pictures, a tenth of it is held out for `Test`; see
/// [`Dataset::held_out`]. A single file of CIFAR records is given whole for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Train,
    Test,
}

impl Split {
    /// The one of the two that belongs to this part.
    pub fn choose<T>(self, train: T, test: T) -> T {
        match self {
            Split::Train => train,
            Split::Test => test,
        }
    }
}

impl Values {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::U8(v) => v.len(),
        }
    }

    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Dataset {
    /// A data set without labels. Panics if `values` is not a whole number of items.
    #[track_caller]
    pub fn new(name: &str, sample_shape: Vec<usize>, values: Values) -> Dataset {
        let size: usize = sample_shape.iter().product();
        assert!(
            size > 0 && values.len().is_multiple_of(size),
            "{} values are not a number of samples {sample_shape:?}",
            values.len()
        );
        Dataset { name: name.into(), sample_shape, values, labels: None, classes: Vec::new(), told: None }
    }

    /// A description without samples: what a model that was trained elsewhere needs to know of its data.
    pub fn described(name: &str, sample_shape: Vec<usize>, classes: usize, bounds: Vec<[f64; 2]>) -> Dataset {
        Dataset { told: Some((classes, bounds)), ..Dataset::new(name, sample_shape, Values::F32(Vec::new())) }
    }

    /// Adds one label per item. Panics if the counts differ.
    #[track_caller]
    pub fn with_labels(self, labels: Vec<u32>, classes: Vec<String>) -> Dataset {
        assert_eq!(labels.len(), self.len(), "one label per item");
        Dataset { labels: Some(labels), classes, ..self }
    }

    /// Number of items N.
    pub fn len(&self) -> usize {
        self.values.len() / self.sample_len()
    }

    /// How many classes the labels name; 0 without labels.
    pub fn class_count(&self) -> usize {
        if let Some((classes, _)) = &self.told {
            return *classes;
        }
        self.labels.as_ref().and_then(|labels| labels.iter().max()).map_or(0, |&most| most as usize + 1)
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether there is a whole batch; `name` is where its size stands in the settings. A
    /// [description](Dataset::described) has no samples to run out of.
    pub fn check_batch(&self, name: &str, batch: usize) -> Result<()> {
        check::within(name, batch, 1..=if self.is_empty() { check::MOST_COUNTED } else { self.len() })
    }

    /// The box of the samples: for images `[0, 1]`, one interval for all pixels; for points an interval for each coordinate,
    /// that of the values, widened at both ends by a tenth of it (by 1/2 where all values agree).
    pub fn bounds(&self) -> Vec<[f64; 2]> {
        if let Some((_, bounds)) = &self.told {
            return bounds.clone();
        }
        let Values::F32(values) = &self.values else { return vec![[0.0, 1.0]] };
        if self.sample_shape.len() != 1 {
            return vec![[0.0, 1.0]];
        }
        let dims = self.sample_shape[0];
        let interval = |d: usize| {
            let all = values.iter().skip(d).step_by(dims).map(|&v| f64::from(v));
            let [lo, hi] = all.fold([f64::MAX, f64::MIN], |[lo, hi], v| [lo.min(v), hi.max(v)]);
            let margin = if hi > lo { 0.1 * (hi - lo) } else { 0.5 };
            [lo - margin, hi + margin]
        };
        (0..dims).map(interval).collect()
    }

    /// Numbers in one item: 2 for a point in the plane, H*W*C for an image.
    pub fn sample_len(&self) -> usize {
        self.sample_shape.iter().product()
    }

    /// Writes item `i` to `out`, which has `sample_len()` places.
    #[track_caller]
    pub fn row(&self, i: usize, out: &mut [f32]) {
        let size = self.sample_len();
        let range = i * size..(i + 1) * size;
        match &self.values {
            Values::F32(v) => out.copy_from_slice(&v[range]),
            Values::U8(v) => {
                assert_eq!(out.len(), size, "row: the item has {size} numbers");
                out.iter_mut().zip(&v[range]).for_each(|(o, &b)| *o = f32::from(b) / 255.0);
            }
        }
    }

    /// The items `indices` in that order: `[indices.len(), item...]`, row-major.
    #[track_caller]
    pub fn rows(&self, indices: &[usize]) -> Vec<f32> {
        let size = self.sample_len();
        let mut out = vec![0.0; indices.len() * size];
        for (&i, row) in indices.iter().zip(out.chunks_exact_mut(size)) {
            self.row(i, row);
        }
        out
    }

    /// One part of a set that comes as one: `Test` is a tenth of the items, chosen by a fixed key from their number
    /// alone, `Train` the rest, both in the order of the source.
    ///
    /// # Errors
    /// Fewer than ten items: `Train` is then all of them, and asking for `Test` is a setting error.
    pub fn held_out(&self, split: Split) -> Result<Dataset> {
        let n = self.len();
        let held = n / 10;
        if held == 0 && split == Split::Test {
            return Err(Error::setting(format!(
                "{} has {n} items, too few to hold out a tenth for tests; at least 10 are needed",
                self.name
            )));
        }
        let order = Key::new(0).named("held-out tenth").permutation(n);
        let mut part = split.choose(order[held..].to_vec(), order[..held].to_vec());
        part.sort_unstable();
        Ok(self.select(&part))
    }

    /// The data set of the items `indices`, in that order (a held-out part, one class, the first thousand).
    #[track_caller]
    pub fn select(&self, indices: &[usize]) -> Dataset {
        fn pick<T: Copy>(v: &[T], size: usize, indices: &[usize]) -> Vec<T> {
            indices.iter().flat_map(|i| v[i * size..(i + 1) * size].iter().copied()).collect()
        }
        let values = match &self.values {
            Values::F32(v) => Values::F32(pick(v, self.sample_len(), indices)),
            Values::U8(v) => Values::U8(pick(v, self.sample_len(), indices)),
        };
        let labels = self.labels.as_ref().map(|l| pick(l, 1, indices));
        Dataset {
            values,
            labels,
            name: self.name.clone(),
            sample_shape: self.sample_shape.clone(),
            classes: self.classes.clone(),
            told: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_fractions_of_255_in_the_order_asked_for() {
        let set = Dataset::new("t", vec![1, 2, 1], Values::U8(vec![0, 255, 51, 102, 153, 204]))
            .with_labels(vec![7, 8, 9], Vec::new());
        assert_eq!(set.len(), 3);
        assert_eq!(set.rows(&[2, 0]), [0.6, 0.8, 0.0, 1.0]);
        let part = set.select(&[1]);
        assert_eq!((part.values, part.labels), (Values::U8(vec![51, 102]), Some(vec![8])));
    }

    #[test]
    fn the_held_out_tenth_is_fixed_and_the_rest_is_for_training() {
        let set = |n: usize| Dataset::new("t", vec![1], Values::F32((0..n).map(|i| i as f32).collect()));
        let values = |set: &Dataset| set.rows(&(0..set.len()).collect::<Vec<_>>());
        let (train, test) = (set(25).held_out(Split::Train).unwrap(), set(25).held_out(Split::Test).unwrap());
        assert_eq!((train.len(), test.len()), (23, 2));
        let mut all = [values(&train), values(&test)].concat();
        assert!(values(&train).is_sorted() && values(&test).is_sorted());
        all.sort_by(f32::total_cmp);
        assert_eq!(all, values(&set(25)));
        assert_eq!(values(&test), values(&set(25).held_out(Split::Test).unwrap()));
        assert_eq!(set(9).held_out(Split::Train).unwrap().len(), 9);
        assert!(set(9).held_out(Split::Test).unwrap_err().to_string().contains("too few"));
    }

    #[test]
    fn bounds_are_the_range_of_each_number_with_a_margin() {
        let set = Dataset::new("t", vec![3], Values::F32(vec![0.0, 5.0, -1.0, 10.0, 5.0, 1.0]));
        let close = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs().max((a[1] - b[1]).abs()) < 1e-12;
        let expected = [[-1.0, 11.0], [4.5, 5.5], [-1.2, 1.2]];
        assert!(set.bounds().into_iter().zip(expected).all(|(a, b)| close(a, b)), "{:?}", set.bounds());
    }
}
