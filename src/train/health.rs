//! What tells whether contrastive divergence is healthy: shared by the algorithms that move chains beside the data.

use super::{DataBox, Iteration};
use crate::tensor::Tensor;

/// The bounds of a healthy training.
pub struct Health {
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// gamma, the weight of the squared energies.
    pub energy_l2: f64,
    /// The deviation of the noise of one Langevin step.
    pub noise: f64,
    /// For how many iterations a metric may be outside its range.
    pub patience: u64,
    /// Where the data are.
    pub data_box: DataBox,
}

impl Health {
    /// Reports `energy_pos`, `energy_neg`, `energy_gap`, means over the energies of data and chains: they are small, and the
    /// chains follow the data.
    pub fn watch_energies(&self, it: &mut Iteration, e_pos: &Tensor, e_neg: &Tensor) {
        let (e_pos, e_neg) = (e_pos.mean(), e_neg.mean());
        it.metric("energy_pos", &e_pos).limit(self.max_energy);
        it.metric("energy_neg", &e_neg).limit(self.max_energy);
        // With gamma, chains that have nothing to do with the data any more settle at the minimum of
        // gap + gamma (E_pos^2 + E_neg^2) over two free energies, E = -+1 / (2 gamma): a gap of -1 / gamma.
        let most = self.max_energy.min(0.6 / self.energy_l2);
        let gap = it.metric("energy_gap", &(e_pos - e_neg)).limit(self.max_energy);
        gap.keep_within([-most, most], self.patience, "chains left the data");
    }

    /// Reports `chain_displacement`, root mean square over coordinates, and `chains_outside`, the fraction of the coordinates
    /// far outside the box of the data: chains still move, and stay near the data.
    pub fn watch_chains(&self, it: &mut Iteration, x_0: &Tensor, x_neg: &Tensor) {
        // A chain moves at least as far as the noise of one step.
        let moving = [0.5 * self.noise, 10.0 * self.data_box.width()];
        let moved = (x_neg - x_0).square().mean().sqrt();
        let metric = it.metric("chain_displacement", &moved).limit(moving[1]);
        metric.keep_within(moving, self.patience, "chains stopped moving");
        let outside = self.data_box.far_outside(x_neg);
        it.metric("chains_outside", &outside).keep_within([0.0, 0.5], self.patience, "chains left the data's box");
    }

    /// Reports `acceptance`, the mean of the chains' fractions of accepted moves `[N]`: of moves that are tested, some pass.
    pub fn watch_acceptance(&self, it: &mut Iteration, accepted: &Tensor) {
        it.metric("acceptance", &accepted.mean()).keep_within([0.01, 1.1], self.patience, "moves are refused");
    }
}
