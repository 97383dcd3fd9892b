//! Training batches on the device: gathered there when the data set fits, else sent by the host.

use crate::data::{Dataset, Shuffle, Values};
use crate::error::Result;
use crate::tensor::{Device, Feed, Key, Tensor};

/// Shuffled batches of a data set, one epoch after another: a pure function of (key, step).
pub struct Batches {
    data: Dataset,
    order: Shuffle,
    /// The rows that were fed last.
    chosen: Vec<usize>,
    source: Source,
}

enum Source {
    /// The whole set lies on the device; the host sends row numbers.
    Resident { rows: Tensor, index: Feed },
    /// The host sends the rows themselves.
    Streamed { rows: Feed },
}

impl Batches {
    /// Batches of `batch` items. Points and small sets live on the device, larger ones are streamed.
    pub fn new(device: &Device, data: Dataset, batch: usize, key: &Key) -> Result<Batches> {
        let order = Shuffle::new(data.len(), batch, key)?;
        let shape = |n: usize| [n].into_iter().chain(data.sample_shape.iter().copied()).collect::<Vec<_>>();
        let bytes = (data.len() * data.sample_len() * 4) as u64;
        let fits = device.gpu().is_none_or(|gpu| bytes <= gpu.profile().max_binding_bytes);
        let source = if fits {
            let all = match &data.values {
                Values::F32(values) => values.clone(),
                Values::U8(_) => data.rows(&(0..data.len()).collect::<Vec<_>>()),
            };
            Source::Resident { rows: Tensor::new(device, shape(data.len()), &all), index: Feed::new(device, [batch]) }
        } else {
            Source::Streamed { rows: Feed::new(device, shape(batch)) }
        };
        Ok(Batches { data, order, chosen: Vec::new(), source })
    }

    /// The data set.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Chooses the batch of step `step`; call before the step runs.
    pub fn feed(&mut self, step: u64) {
        self.chosen = self.order.indices(step);
        match &self.source {
            Source::Resident { index, .. } => index.write(&self.chosen.iter().map(|&i| i as f32).collect::<Vec<_>>()),
            Source::Streamed { rows } => rows.write(&self.data.rows(&self.chosen)),
        }
    }

    /// The class of each row that was fed, where the data set has labels.
    pub fn labels(&self) -> Option<Vec<u32>> {
        let labels = self.data.labels.as_ref()?;
        Some(self.chosen.iter().map(|&i| labels[i]).collect())
    }

    /// The batch `[batch, item...]` that was fed.
    pub fn rows(&self) -> Tensor {
        match &self.source {
            Source::Resident { rows, index } => rows.gather(0, index.tensor()),
            Source::Streamed { rows } => rows.tensor().clone(),
        }
    }
}
