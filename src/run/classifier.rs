//! The classifier that images are judged by: trained once for a data set, then kept in a folder of the user's.

use super::saving::{checkpoint, restore};
use crate::data::{Dataset, Values};
use crate::error::Result;
use crate::io::Checkpoint;
use crate::tensor::{Device, Key, Tensor};
use crate::train::classifier::{BATCH, Classifier, FEATURES};
use crate::train::{Training, Watch};
use std::path::PathBuf;

/// What a trained classifier says of images.
pub struct Judge {
    training: Training<Classifier>,
    device: Device,
    sample: Vec<usize>,
    /// The share of test images whose class it tells.
    pub accuracy: f64,
}

/// What it says of some images.
pub struct Judgement {
    /// `[n, FEATURES]`
    pub features: Vec<f32>,
    /// The likeliest class of each image.
    pub classes: Vec<u32>,
    /// The mean entropy of its probabilities, in nats: high where it cannot tell.
    pub entropy: f64,
}

/// Passes over the data, and images looked at together.
const EPOCHS: usize = 2;
const AT_ONCE: usize = 500;

impl Judge {
    /// The classifier of a data set, from the user's folder of them, or trained now and kept there.
    ///
    /// # Errors
    /// [`Error::Setting`] for data without labels, or that are no images.
    pub fn of(sets: [&Dataset; 2], device: &Device, watch: &Watch) -> Result<Judge> {
        Judge::kept_in(folder(), sets, device, watch)
    }

    fn kept_in(folder: Option<PathBuf>, [train, test]: [&Dataset; 2], device: &Device, watch: &Watch) -> Result<Judge> {
        let key = Key::new(0).named("classifier");
        let steps = (EPOCHS * train.len() / BATCH).max(600) as u64;
        let classifier = Classifier::new(train.clone(), steps, device, &key)?;
        let mut training = Training::new(Box::new(classifier), device, &key, true);
        let path = folder.map(|folder| folder.join(format!("{:016x}.safetensors", fingerprint(train))));
        match path.as_ref().filter(|path| path.is_file()).map(Checkpoint::load) {
            Some(kept) => drop(restore(&mut kept?, training.algorithm())?),
            None => {
                for step in 0..steps {
                    if step % 50 == 0 {
                        watch.say(&format!("training a classifier, {step} of {steps} iterations,"));
                    }
                    pollster::block_on(training.advance());
                }
                if let Some(path) = &path {
                    checkpoint(&training)?.save(path)?;
                }
            }
        }
        let mut judge = Judge { training, device: device.clone(), sample: train.sample_shape.clone(), accuracy: 0.0 };
        let labels = test.labels.as_deref().unwrap_or_default();
        let found = judge.look(&test.rows(&(0..test.len()).collect::<Vec<_>>()))?.classes;
        let right = found.iter().zip(labels).filter(|(a, b)| a == b).count();
        judge.accuracy = right as f64 / test.len() as f64;
        Ok(judge)
    }

    /// What it says of images `[n, sample...]` in [0, 1].
    pub fn look(&self, images: &[f32]) -> Result<Judgement> {
        let size: usize = self.sample.iter().product();
        let mut all = Judgement { features: Vec::new(), classes: Vec::new(), entropy: 0.0 };
        for part in images.chunks(size * AT_ONCE) {
            let shape = [&[part.len() / size], &self.sample[..]].concat();
            let [features, chances] = self.training.algorithm().look(&Tensor::new(&self.device, shape, part));
            all.features.extend(features.to_vec()?);
            for chances in chances.to_vec()?.chunks_exact(chances.dim(1)) {
                let likeliest = chances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                all.classes.extend(likeliest.map(|(class, _)| class as u32));
                all.entropy -= chances.iter().map(|&p| f64::from(p * p.max(1e-30).ln())).sum::<f64>();
            }
        }
        all.entropy /= (all.features.len() / FEATURES) as f64;
        Ok(all)
    }
}

/// The user's classifiers: in `$XDG_CACHE_HOME/ebm` or `~/.cache/ebm`. None where there is no such folder: they are then trained each
/// time.
fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))?;
    let folder = cache.join("ebm").join("classifiers");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

/// FNV-1a of the data, their labels, and the version of the net.
fn fingerprint(data: &Dataset) -> u64 {
    const VERSION: u8 = 1;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    take(VERSION);
    data.sample_shape.iter().for_each(|&n| (n as u64).to_le_bytes().into_iter().for_each(&mut take));
    match &data.values {
        Values::U8(bytes) => bytes.iter().copied().for_each(&mut take),
        Values::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).for_each(&mut take),
    }
    data.labels.iter().flatten().flat_map(|label| label.to_le_bytes()).for_each(&mut take);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bright left halves and bright right halves, under noise.
    fn halves(n: usize, key: &Key) -> Dataset {
        let pixel = |i: usize| {
            let (image, x) = (i / 64, i % 8);
            let bright = (x < 4) == (image % 2 == 0);
            (if bright { 0.6 } else { 0.4 } + 0.4 * (key.uniform(i as u64) - 0.5)) as f32
        };
        let values = Values::F32((0..64 * n).map(pixel).collect());
        let labels = Some((0..n).map(|i| (i % 2) as u32).collect());
        Dataset { labels, ..Dataset::new("halves", vec![8, 8, 1], values) }
    }

    #[test]
    fn a_classifier_learns_what_can_be_told_and_is_kept() {
        let device = Device::open().unwrap_or(Device::Oracle);
        let (train, test) = (halves(512, &Key::new(1)), halves(200, &Key::new(2)));
        let folder = std::env::temp_dir().join(format!("ebm-classifier-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let judge = |watch: &Watch| Judge::kept_in(Some(folder.clone()), [&train, &test], &device, watch).unwrap();
        let first = judge(&Watch::default());
        assert!(first.accuracy > 0.97, "{}", first.accuracy);
        let images = test.rows(&[0, 1, 2]);
        let seen = first.look(&images).unwrap();
        assert_eq!((seen.classes.as_slice(), seen.features.len()), (&[0, 1, 0][..], 3 * FEATURES));
        assert!(seen.entropy < 0.5 && seen.entropy > 0.0);
        // The second one is the first one, read back.
        let again = judge(&Watch::default()).look(&images).unwrap();
        assert_eq!(again.features, seen.features);
        std::fs::remove_dir_all(folder).unwrap();
        // Other data have another classifier, and data without labels none.
        assert!(fingerprint(&train) != fingerprint(&test));
        let plain = Dataset { labels: None, ..train.clone() };
        let why = Judge::kept_in(None, [&plain, &plain], &device, &Watch::default()).err().unwrap().to_string();
        assert!(why.contains("no labels"), "{why}");
    }
}
