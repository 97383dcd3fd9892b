//! A small classifier of images: an instrument, whose features and classes tell how good samples are.

use super::{Algorithm, Iteration, Learner, Loader, Model, SampleRequest, Samples, State};
use crate::data::Dataset;
use crate::energy::Energy;
use crate::error::{Error, Result};
use crate::nn::{Conv2d, Linear, Params};
use crate::optim::{AdamConfig, RateConfig};
use crate::tensor::{Device, Key, Tensor, no_grad};

/// Three 3x3 convolutions with [`WIDTHS`] channels, SiLU after each and 2x2 means between them; the mean over space is the
/// features, from which a linear layer tells the class.
pub struct Classifier {
    layers: Vec<Conv2d>,
    last: Linear,
    learner: Learner,
    data: Loader,
}

const WIDTHS: [usize; 3] = [16, 32, 64];
/// Features of an image.
pub const FEATURES: usize = WIDTHS[2];
/// Images of an iteration.
pub const BATCH: usize = 128;

impl Algorithm for Classifier {
    /// One step down the cross entropy.
    fn iteration(&self, it: &mut Iteration) {
        let batch = self.data.batch(it);
        let labels = self.data.labels(&batch).unwrap_or_else(|| unreachable!("refused without labels"));
        let logits = self.logits(&self.features(&batch.x)); // [N, K]
        let told = labels.one_hot(logits.dim(1)) * logits.log_softmax(1);
        let loss = -told.sum() / BATCH as f64;
        let norm = self.learner.minimize(it, &loss);
        it.metric("loss", &loss);
        it.metric("gradient_norm", &norm);
    }

    fn state(&self) -> Vec<(String, State)> {
        self.learner.state("classifier")
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("classifier", self.learner.params.numel())]
    }
}

impl Classifier {
    /// A net for labelled images, to be trained for so many steps; everything random follows from `key`.
    ///
    /// # Errors
    /// [`Error::Setting`] for data without labels, or that are no images.
    pub fn new(data: Dataset, steps: u64, device: &Device, key: &Key) -> Result<Classifier> {
        let &[_, _, channels] = &data.sample_shape[..] else {
            return Err(Error::setting(format!("{} holds no images to classify", data.name)));
        };
        let classes = data.class_count();
        if classes < 2 {
            return Err(Error::setting(format!("{} has no labels to learn a classifier from", data.name)));
        }
        let params = Params::new(device, key.named("parameters"));
        let inputs = [channels, WIDTHS[0], WIDTHS[1]];
        let layer = |i: usize| Conv2d::new(&params.root().scope(format!("conv{i}")), inputs[i], WIDTHS[i], 3, 1);
        let rate = RateConfig { lr: 4e-3, warmup: 20, decay_from: steps / 3, decay_until: steps, ..Default::default() };
        let optimizer = AdamConfig { rate, ..Default::default() };
        Ok(Classifier {
            layers: (0..WIDTHS.len()).map(layer).collect(),
            last: Linear::new(&params.root().scope("last"), FEATURES, classes),
            learner: Learner::new(&params, &optimizer, 0.99),
            data: Loader::new(device, data, BATCH, &key.named("batches"))?,
        })
    }

    /// `[N, FEATURES]` of images `[N, H, W, C]` in [0, 1].
    fn features(&self, x: &Tensor) -> Tensor {
        let layer = |h: Tensor, (i, conv): (usize, &Conv2d)| {
            let h = if i > 0 { h.avg_pool(2, 2, 0) } else { h };
            conv.forward(&h).silu()
        };
        self.layers.iter().enumerate().fold(x * 2.0 - 1.0, layer).mean_axes(&[1, 2])
    }

    fn logits(&self, features: &Tensor) -> Tensor {
        self.last.forward(features)
    }

    /// Features `[N, FEATURES]` and probabilities of the classes `[N, K]`, with averaged parameters.
    pub fn look(&self, x: &Tensor) -> [Tensor; 2] {
        let both = || {
            let features = self.features(x);
            let classes = self.logits(&features).softmax(1);
            [features, classes]
        };
        no_grad(|| self.learner.with_ema(both))
    }
}

/// An instrument has no samples and no energy.
impl Model for Classifier {
    fn sample_shape(&self) -> &[usize] {
        &self.data.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        Err(Error::setting("a classifier has no energy"))
    }

    fn sample(&self, _: &SampleRequest, _: &Key) -> Result<Samples> {
        Err(Error::setting("a classifier has no samples"))
    }
}
