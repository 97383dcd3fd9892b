//! An energy for images as a sum over resolutions: the nets of improved contrastive divergence (Du et al. 2021).

use super::Energy;
use super::scale_net::{ScaleNet, Weights};
use crate::check;
use crate::error::Result;
use crate::nn::{Activation, Scope};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// One residual net for each resolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultiScaleConfig {
    /// For each resolution, the full one first and each half the one before: the channels behind each stage of its net. A stage
    /// halves the resolution.
    pub scales: Vec<Vec<usize>>,
    /// Channels behind the first convolution.
    pub width: usize,
    /// Residual blocks of a stage before the one that it halves behind.
    pub blocks: usize,
    /// Whether blocks normalise: by instance up to 128 channels, in 32 groups above.
    pub norm: bool,
    /// What is done to the weights of convolutions.
    pub weights: Weights,
    /// Self-attention behind this many stages of the full resolution's net; 0 for none.
    pub attention: usize,
    /// The nonlinearity; a smooth one keeps dE/dx smooth.
    pub activation: Activation,
}

impl Default for MultiScaleConfig {
    fn default() -> MultiScaleConfig {
        MultiScaleConfig {
            scales: vec![vec![32, 64]],
            width: 32,
            blocks: 0,
            norm: true,
            weights: Weights::Standardised,
            attention: 0,
            activation: Activation::Silu,
        }
    }
}

impl MultiScaleConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        let scales = format!("{name}.scales");
        let fits = |widths: &Vec<usize>| check::list(&scales, widths, 1..=check::MOST_WIDE).is_ok();
        let (some, why) =
            ((1..=8).contains(&self.scales.len()), "use 1 to 8 resolutions, each 1 to 64 widths up to 16384");
        check::ensure(some && self.scales.iter().all(fits), &scales, &self.scales, why)?;
        check::within(format!("{name}.width"), self.width, 1..=check::MOST_WIDE)?;
        check::within(format!("{name}.blocks"), self.blocks, 0..=check::MOST_LAYERS)?;
        check::within(format!("{name}.attention"), self.attention, 0..=self.scales[0].len())?;
        let uneven = |w: &&usize| self.norm && **w > 128 && !w.is_multiple_of(32);
        match self.scales.iter().flatten().chain([&self.width]).find(uneven) {
            Some(width) => check::ensure(false, scales, width, "normalised widths above 128 are multiples of 32"),
            None => Ok(()),
        }
    }
}

/// `E(x) = sum_s E_s(x at scale s)`, `x [N, H, W, C] -> [N]`; with classes `E(x, y)`, and without a label
/// `E(x) = -log sum_y exp(-E(x, y))`.
pub struct MultiScale {
    nets: Vec<ScaleNet>,
    classes: usize,
}

impl MultiScale {
    /// Declares `scale0`, `scale1`, ... in `scope`, told one of `classes` classes (0 for none).
    pub fn new(scope: &Scope, channels: usize, config: &MultiScaleConfig, classes: usize) -> MultiScale {
        let net = |(s, widths): (usize, &Vec<usize>)| {
            let attention = if s == 0 { config.attention } else { 0 };
            ScaleNet::new(&scope.scope(format!("scale{s}")), channels, widths, attention, config, classes)
        };
        MultiScale { nets: config.scales.iter().enumerate().map(net).collect(), classes }
    }

    /// The energies of the scales `[N, S]`, for classes as rows of a one-hot matrix `[N, classes]`.
    fn scales(&self, x: &Tensor, class: Option<&Tensor>) -> Tensor {
        let (mut x, mut energies) = (x.clone(), Vec::new());
        for (s, net) in self.nets.iter().enumerate() {
            if s > 0 {
                x = x.avg_pool(3, 2, 1);
            }
            energies.push(net.forward(&x, class));
        }
        Tensor::concat(&energies.iter().collect::<Vec<_>>(), 1)
    }
}

impl Energy for MultiScale {
    fn energy(&self, x: &Tensor) -> Tensor {
        if self.classes == 0 {
            return self.scales(x, None).sum_axes(&[1]);
        }
        let of = |class: usize| {
            let labels = Tensor::full(x.device(), [x.dim(0)], class as f64);
            Labelled::new(self, &labels).energy(x).unsqueeze(-1)
        };
        let all: Vec<Tensor> = (0..self.classes).map(of).collect();
        -(-Tensor::concat(&all.iter().collect::<Vec<_>>(), 1)).logsumexp(&[1])
    }

    fn parts(&self, x: &Tensor) -> Tensor {
        if self.classes == 0 { self.scales(x, None) } else { self.energy(x).unsqueeze(-1) }
    }

    fn labelled<'a>(&'a self, labels: &Tensor) -> Option<Box<dyn Energy + 'a>> {
        (self.classes > 0).then(|| Box::new(Labelled::new(self, labels)) as Box<dyn Energy>)
    }

    fn update_norms(&self) {
        self.nets.iter().for_each(ScaleNet::update_norms);
    }
}

/// E(., y) of samples with given classes.
struct Labelled<'a> {
    energy: &'a MultiScale,
    /// One-hot rows `[N, classes]`.
    class: Tensor,
}

impl<'a> Labelled<'a> {
    fn new(energy: &'a MultiScale, labels: &Tensor) -> Labelled<'a> {
        Labelled { energy, class: labels.one_hot(energy.classes) }
    }
}

impl Energy for Labelled<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.parts(x).sum_axes(&[1])
    }

    /// A batch of m N samples (data and chains together) has the N labels m times.
    fn parts(&self, x: &Tensor) -> Tensor {
        let (n, labels, classes) = (x.dim(0), self.class.dim(0), self.class.dim(1));
        let repeated = self.class.unsqueeze(0).broadcast_to([n / labels, labels, classes]).reshape([n, classes]);
        self.energy.scales(x, Some(&repeated))
    }
}
