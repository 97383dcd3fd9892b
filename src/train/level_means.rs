//! Running means by noise level.

use super::{Iteration, State};
use crate::tensor::{Device, Tensor, Var};

/// `m_t <- d m_t + (1 - d) mean of the samples at level t`, where the batch has any; t = 1..=T. Of C values of each sample: `[C, T]`.
pub struct LevelMeans(Var);

/// d
const DECAY: f64 = 0.98;

impl LevelMeans {
    /// Means of T levels that start at these values, a list for each of the C values.
    pub fn new<const C: usize>(device: &Device, start: [Vec<f64>; C]) -> LevelMeans {
        let levels = start[0].len();
        LevelMeans(Var::new(&Tensor::from_f64(device, [C, levels], start.concat())))
    }

    /// Takes in `values`, `[N]` each, of samples at levels `t [N]`.
    pub fn update(&self, t: &Tensor, values: &[&Tensor]) {
        let (n, levels) = (t.numel(), self.0.get().dim(1));
        let at = (t - 1.0).one_hot(levels); // [N, T]
        let rows: Vec<Tensor> = values.iter().map(|v| v.detach().reshape([1, n])).collect();
        let sums = Tensor::concat(&rows.iter().collect::<Vec<_>>(), 0).matmul(&at); // [C, T]
        let counts = at.sum_axes(&[0]);
        let means = sums / counts.clamp(1.0, n as f64);
        let gains = counts.clamp(0.0, 1.0) * (1.0 - DECAY);
        self.0.set(self.0.get() + gains * (means - self.0.get()));
    }

    /// The means, `[C, T]`.
    pub fn get(&self) -> Tensor {
        self.0.get()
    }

    /// The means of the first value at levels `t`.
    pub fn at(&self, t: &Tensor) -> Tensor {
        self.0.get().narrow(0, 0, 1).gather(1, &(t - 1.0)).reshape([t.numel()])
    }

    /// Takes in `values` and reports the roots of the means, `name_1` to `name_T` for each name.
    pub fn report(&self, it: &mut Iteration, names: &[&str], t: &Tensor, values: &[&Tensor]) {
        self.update(t, values);
        let roots = self.get().sqrt();
        let levels = roots.dim(1);
        it.metrics_of(names.iter().flat_map(|name| (1..=levels).map(move |t| format!("{name}_{t}"))), &roots);
    }

    /// What a resumed run needs.
    pub fn state(&self) -> State {
        State::Value(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_with_samples_move() {
        let device = Device::oracle();
        let means = LevelMeans::new(&device, [vec![1.0, 2.0, 3.0], vec![0.0, 0.0, 1.0]]);
        let [t, one, other] = [vec![1.0, 3.0, 3.0], vec![5.0, 4.0, 8.0], vec![1.0, 2.0, 3.0]]
            .map(|values| Tensor::from_f64(&device, [3], values));
        means.update(&t, &[&one, &other]);
        let want = [0.98 + 0.02 * 5.0, 2.0, 0.98 * 3.0 + 0.02 * 6.0, 0.02, 0.0, 0.98 + 0.02 * 2.5];
        let got = means.get().to_f64().unwrap();
        // Variables are kept as f32.
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
        assert_eq!(means.at(&t).to_f64().unwrap(), [got[0], got[2], got[2]]);
    }
}
