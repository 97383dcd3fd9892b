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
    pub fn of([train, test]: [&Dataset; 2], device: &Device, watch: &Watch) -> Result<Judge> {
        let key = Key::new(0).named("classifier");
        let steps = (EPOCHS * train.len() / BATCH).max(200) as u64;
        let classifier = Classifier::new(train.clone(), steps, device, &key)?;
        let mut training = Training::new(Box::new(classifier), device, &key, true);
        let path = place(&format!("{:016x}.safetensors", fingerprint(train)));
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

/// A file among the user's classifiers: in `$XDG_CACHE_HOME/ebm` or `~/.cache/ebm`. None where there is no such folder: it is then
/// trained each time.
fn place(file: &str) -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))?;
    let folder = cache.join("ebm").join("classifiers");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join(file))
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
