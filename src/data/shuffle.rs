//! Shuffled batches as a pure function of (key, step), so that a resumed run needs only its step number.

use crate::error::{Error, Result};
use crate::tensor::Key;

/// Batches of `batch` indices out of 0..n; every epoch is a fresh permutation, its ragged tail is dropped.
#[derive(Clone, Debug)]
pub struct Shuffle {
    key: Key,
    n: usize,
    batch: usize,
    /// The last epoch asked for and its permutation: a cache, without influence on the result.
    epoch: Option<(u64, Vec<usize>)>,
}

impl Shuffle {
    /// Batches of `batch` out of `n` items; a setting error if there is not one whole batch.
    pub fn new(n: usize, batch: usize, key: &Key) -> Result<Shuffle> {
        if batch == 0 || batch > n {
            return Err(Error::setting(format!("batch size {batch} does not fit a data set of {n} items: use 1..{n}")));
        }
        Ok(Shuffle { key: key.clone(), n, batch, epoch: None })
    }

    /// Whole batches in one epoch: floor(n / batch).
    pub fn steps_per_epoch(&self) -> u64 {
        (self.n / self.batch) as u64
    }

    /// The batch of training step `step` (from 0).
    pub fn indices(&mut self, step: u64) -> Vec<usize> {
        let (epoch, within) = (step / self.steps_per_epoch(), (step % self.steps_per_epoch()) as usize);
        if self.epoch.as_ref().is_none_or(|(e, _)| *e != epoch) {
            self.epoch = Some((epoch, self.key.index(epoch).permutation(self.n)));
        }
        let order = &self.epoch.as_ref().expect("just set").1;
        order[within * self.batch..(within + 1) * self.batch].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_item_once_and_the_next_one_in_another_order() {
        let mut shuffle = Shuffle::new(100, 10, &Key::new(3)).unwrap();
        let mut epoch = |e: u64| (0..10).flat_map(|s| shuffle.indices(10 * e + s)).collect::<Vec<_>>();
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        for mut order in [first, second] {
            order.sort();
            assert_eq!(order, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_step_gives_the_same_batch_whatever_was_asked_before() {
        let fresh = || Shuffle::new(105, 10, &Key::new(3)).unwrap();
        let mut walked = fresh();
        let all: Vec<_> = (0..35).map(|s| walked.indices(s)).collect();
        for s in [34, 0, 17] {
            assert_eq!(fresh().indices(s), all[s as usize]);
        }
    }

    #[test]
    fn a_batch_larger_than_the_data_is_a_setting_error_that_names_both() {
        let text = Shuffle::new(10, 11, &Key::new(0)).unwrap_err().to_string();
        assert!(text.contains("11") && text.contains("10 items"), "{text}");
        assert!(Shuffle::new(10, 0, &Key::new(0)).is_err());
    }
}
