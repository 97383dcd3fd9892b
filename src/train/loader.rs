//! Training batches on the device: gathered there when the data set fits, else sent by the host.

use super::Iteration;
use crate::check;
use crate::data::{Dataset, Shuffle, Values};
use crate::error::Result;
use crate::tensor::{Device, Key, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

/// Shuffled batches of a data set, one epoch after another: a pure function of (key, step).
pub struct Loader {
    data: Rc<Dataset>,
    batch: usize,
    /// None for a [description](Dataset::described) without samples.
    order: Option<Rc<RefCell<Shuffle>>>,
    /// All samples on the device, where they fit; else the host sends the rows of each batch.
    resident: Option<Tensor>,
    labels: Option<Tensor>,
}

/// A batch on the device.
pub struct Batch {
    /// The samples `[N, sample...]`, in the units of the data set.
    pub x: Tensor,
    /// Which samples of the data set they are, `[N]`.
    pub index: Tensor,
}

impl Loader {
    /// Batches of `batch` samples. Points and small sets live on the device, larger ones are streamed.
    pub fn new(device: &Device, data: Dataset, batch: usize, key: &Key) -> Result<Loader> {
        if !data.is_empty() {
            // Indices of samples travel as f32.
            check::within(format!("the samples of {}", data.name), data.len(), 1..=check::MOST_COUNTED)?;
        }
        let shuffle = || Ok(Rc::new(RefCell::new(Shuffle::new(data.len(), batch, key)?)));
        let order = if data.is_empty() { None } else { Some(shuffle()?) };
        let bytes = (data.len() * data.sample_len() * 4) as u64;
        let fits = !data.is_empty() && device.gpu().is_none_or(|gpu| bytes <= gpu.profile().max_binding_bytes);
        let resident = fits.then(|| {
            let all = match &data.values {
                Values::F32(values) => values.clone(),
                Values::U8(_) => data.rows(&(0..data.len()).collect::<Vec<_>>()),
            };
            Tensor::new(device, shape(data.len(), &data), &all)
        });
        let floats = |labels: &Vec<u32>| labels.iter().map(|&l| l as f32).collect::<Vec<_>>();
        let labels = data.labels.as_ref().map(|labels| Tensor::new(device, [labels.len()], &floats(labels)));
        Ok(Loader { data: Rc::new(data), batch, order, resident, labels })
    }

    /// The data set.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// The batch of this iteration.
    ///
    /// # Panics
    /// When there is only a description of the data.
    pub fn batch(&self, it: &mut Iteration) -> Batch {
        let order = self.order.clone().expect("a training has data");
        let indices = move |step| order.borrow_mut().indices(step);
        let chosen = indices.clone();
        let index = it.feed([self.batch], move |step| chosen(step).into_iter().map(|i| i as f32).collect());
        let x = match &self.resident {
            Some(rows) => rows.gather(0, &index),
            None => {
                let data = self.data.clone();
                it.feed(shape(self.batch, &data), move |step| data.rows(&indices(step)))
            }
        };
        Batch { x, index }
    }

    /// The classes `[N]` of a batch, where the data set has labels.
    pub fn labels(&self, batch: &Batch) -> Option<Tensor> {
        self.labels.as_ref().map(|labels| labels.gather(0, &batch.index))
    }
}

fn shape(n: usize, data: &Dataset) -> Vec<usize> {
    [n].into_iter().chain(data.sample_shape.iter().copied()).collect()
}
