//! The linear layer.

use super::{Init, Param, Scope};
use crate::tensor::Tensor;

/// `y = x w^T + b`, `x [.., I] -> y [.., O]`.
pub struct Linear {
    /// `[O, I]`
    pub weight: Param,
    /// `[O]`
    pub bias: Option<Param>,
}

impl Linear {
    /// Weights and bias uniform with bound 1 / sqrt(I).
    pub fn new(scope: &Scope, inputs: usize, outputs: usize) -> Linear {
        let init = Init::fan_in(inputs);
        Linear::started_as(scope, inputs, outputs, init, init)
    }

    /// Weights that start as `weight`, a bias that starts as `bias`.
    pub fn started_as(scope: &Scope, inputs: usize, outputs: usize, weight: Init, bias: Init) -> Linear {
        let weight = scope.param("weight", [outputs, inputs], weight);
        Linear { weight, bias: Some(scope.param("bias", [outputs], bias)) }
    }

    /// A layer without bias whose weights start as `init`.
    pub fn without_bias(scope: &Scope, inputs: usize, outputs: usize, init: Init) -> Linear {
        Linear { weight: scope.param("weight", [outputs, inputs], init), bias: None }
    }

    /// Applies the layer.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight.get(), self.bias.as_ref().map(Param::get).as_ref())
    }
}
