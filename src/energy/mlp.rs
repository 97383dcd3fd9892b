//! An energy for points: fully connected layers.

use super::Energy;
use crate::nn::{Mlp, MlpConfig, Param, Scope};
use crate::ops::{langevin::LangevinStep, mlp_chain::TwoLayers};
use crate::tensor::{Key, Tensor};

/// `E(x) = w_L . a(W_{L-1} ... a(W_1 x + b_1) ...) + b_L`, `x [N, D] -> [N]`.
pub struct MlpEnergy(Mlp);

impl MlpEnergy {
    /// Declares `layer0`, `layer1`, ... in `scope`.
    pub fn new(scope: &Scope, inputs: usize, config: &MlpConfig) -> MlpEnergy {
        MlpEnergy(Mlp::new(scope, [inputs, 1], config))
    }
}

impl Energy for MlpEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.forward(x).reshape([x.dim(0)])
    }

    /// With two hidden layers of one width the whole chain is one kernel.
    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        let [first, second, third] = &self.0.layers[..] else { return None };
        let [w1, w2, w3] = [first, second, third].map(|layer| layer.weight.get());
        let [b1, b2] = [first, second].map(|layer| layer.bias.as_ref().map(Param::get));
        let (b1, b2) = (b1?, b2?);
        let (activation, a) = self.0.activation.function();
        let net = TwoLayers { w1: &w1, b1: &b1, w2: &w2, b2: &b2, w3: &w3, activation, a };
        net.fits().then(|| net.run(step, steps, x_0, key))
    }
}
