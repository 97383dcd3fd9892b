//! What a sampler can be asked for, and what it gives back.

use crate::tensor::Tensor;

/// A wish for samples. Algorithms refuse what they cannot do with an error.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// How many.
    pub n: usize,
    /// Langevin steps (per noise level, where there are levels); the algorithm's own number if not set.
    pub steps: Option<usize>,
    /// m: the Langevin noise is multiplied by m, the drift by m^2.
    pub step_scale: f64,
    /// Concepts that all must hold, each a list of classes: one for all samples, or one per sample. None of them: no
    /// condition.
    pub concepts: Vec<Vec<u32>>,
    /// w, the weight of classifier-free guidance.
    pub guidance: f64,
    /// Parts of the samples that are known.
    pub known: Option<Known>,
    /// Whether the states between the levels are wanted.
    pub trajectory: bool,
}

/// Values to keep, in the units of the data set, `[n, item...]`, and where: 1 for known, 0 for free, the same shape.
#[derive(Clone, Debug)]
pub struct Known {
    pub values: Tensor,
    pub mask: Tensor,
}

impl SampleRequest {
    /// `n` samples without further wishes.
    pub fn new(n: usize) -> SampleRequest {
        SampleRequest {
            n,
            steps: None,
            step_scale: 1.0,
            concepts: Vec::new(),
            guidance: 0.0,
            known: None,
            trajectory: false,
        }
    }
}

/// Samples `[n, item...]` in the units of the data set.
pub struct Samples {
    pub x: Tensor,
    /// The states at levels T, T - 1, ..., 0, if they were asked for.
    pub trajectory: Vec<Tensor>,
}

impl From<Tensor> for Samples {
    fn from(x: Tensor) -> Samples {
        Samples { x, trajectory: Vec::new() }
    }
}
