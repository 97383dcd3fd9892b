//! Data sets: 2-D toy densities with known answers, image files (IDX, CIFAR, PNG, NumPy), batches, augmentation.
//!
//! Everything here lives on the host and returns plain numbers; images are `[N, H, W, C]` with values in [0, 1].

pub mod augment;
mod cifar;
mod draws;
mod idx;
pub mod npy;
pub mod pixels;
pub mod png;
mod shuffle;
mod source;
mod spec;
pub mod toy;

pub use augment::Augment;
pub use shuffle::Shuffle;
pub use toy::Toy;

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
    told: Option<(usize, Vec<[f64; 2]>)>,
}

/// The numbers of a data set, as the source stores them.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Taken as they are.
    F32(Vec<f32>),
    /// Bytes; read as byte / 255.
    U8(Vec<u8>),
}

/// Which part of a data set. Sources with one part only (a PNG folder, one file) give the whole for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Train,
    Test,
}

impl Split {
    fn choose<T>(self, train: T, test: T) -> T {
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

    /// The box of the samples: for images `[0, 1]`, one interval for all pixels; for points an interval for each coordinate,
    /// that of the values, widened by a twentieth on either side.
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
            let margin = 0.05 * (hi - lo).max(1e-6);
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

/// Where the tests find real data; `None`, with a line on standard error, if it is not there.
#[cfg(test)]
pub(crate) fn shared_data(test: &str, name: &str) -> Option<std::path::PathBuf> {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let root = if beside.exists() { Some(beside) } else { std::env::var_os("EBM_DATA").map(Into::into) };
    let path = root.unwrap_or_else(|| "../shared/data".into()).join(name);
    if !path.exists() {
        eprintln!("skipped: {test}: no {}", path.display());
        return None;
    }
    Some(path)
}

/// A fresh path for a test's files.
#[cfg(test)]
pub(crate) fn scratch(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("ebm-data-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    dir
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
    /// Random damage gives a data set or an error, never a panic and never a huge allocation.
    #[test]
    fn no_damaged_file_makes_a_loader_panic() {
        let dir = scratch("damage");
        npy::write(&dir.join("a.npy"), &[3, 2], &[0.5; 6]).unwrap();
        png::write(&dir.join("a.png"), [3, 2, 3], &[5; 18]).unwrap();
        std::fs::write(dir.join("test_batch.bin"), [1; 3073]).unwrap();
        let header = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2];
        std::fs::write(dir.join("t10k-images-idx3-ubyte"), [&header[..], &[9; 4]].concat()).unwrap();
        std::fs::write(dir.join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 4]).unwrap();
        let at = dir.display();
        let cases = [
            ("a.npy", format!("npy:{at}/a.npy")),
            ("a.png", format!("png:{at}")),
            ("test_batch.bin", format!("cifar10:{at}")),
            ("t10k-images-idx3-ubyte", format!("mnist:{at}")),
            ("t10k-labels-idx1-ubyte", format!("mnist:{at}")),
        ];
        for (file, spec) in cases {
            let good = std::fs::read(dir.join(file)).unwrap();
            assert!(Dataset::load(&spec, Split::Test).is_ok(), "{spec}");
            for trial in 0..300 {
                let d = &mut draws::Draws::new(crate::tensor::Key::new(9).named(file).index(trial));
                let mut bytes = good.clone();
                for _ in 0..=d.below(3) {
                    let place = d.below(good.len().min(200));
                    bytes[place] = d.below(256) as u8;
                }
                if d.chance(0.3) {
                    bytes.truncate(d.below(good.len()));
                }
                std::fs::write(dir.join(file), bytes).unwrap();
                if let Ok(set) = Dataset::load(&spec, Split::Test) {
                    assert_eq!(set.rows(&[0]).len(), set.sample_len());
                }
            }
            std::fs::write(dir.join(file), good).unwrap();
        }
    }
}
