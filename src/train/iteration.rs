//! What an iteration is given, and what it leaves behind.

use crate::tensor::{Device, Key, Shape, Tensor, Var};
use std::cell::RefCell;

/// One iteration of a training loop: the way in for everything that changes between runs, and the way out for metrics.
///
/// On a GPU an iteration runs once as Rust; afterwards its dispatches are replayed. So what changes from one iteration to
/// the next may only come from here: random keys that follow the clock, host values that are [fed](Iteration::feed), and
/// variables that the iteration itself replaces.
pub struct Iteration {
    device: Device,
    key: Key,
    clock: Var,
    feeds: Vec<Feed>,
    metrics: Vec<Metric>,
    /// The numbers of the metrics, in their order; a tensor may hold those of several.
    values: Vec<Tensor>,
    /// The purposes of the keys that were given out.
    purposes: RefCell<Vec<String>>,
    step: u64,
}

/// A device value that the host makes anew for every iteration.
struct Feed {
    place: Var,
    values: Box<dyn FnMut(u64) -> Vec<f32>>,
}

/// A number that tells how training goes.
#[derive(Clone)]
pub struct Metric {
    /// Its column in metrics.csv.
    pub name: String,
    /// Training stops when its magnitude exceeds this, or when it is not a number.
    pub limit: f64,
    /// Training stops when it stays outside this interval; see [`Metric::keep_within`].
    pub range: Option<Range>,
}

/// Where a healthy metric stays, but for short excursions.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The least healthy value.
    pub lo: f64,
    /// The largest one.
    pub hi: f64,
    /// For how many iterations it may be outside, as far as the logged ones tell.
    pub patience: u64,
    /// What it means if it stays outside.
    pub meaning: &'static str,
}

impl Iteration {
    /// The surroundings of a loop on `device` whose randomness follows from `key`.
    pub(super) fn new(device: &Device, key: &Key) -> Iteration {
        Iteration {
            device: device.clone(),
            key: key.named("iteration"),
            clock: Var::from_host(device, [1], &[0.0]),
            feeds: Vec::new(),
            metrics: Vec::new(),
            values: Vec::new(),
            purposes: RefCell::default(),
            step: 0,
        }
    }

    /// Sets the clock. `replayed`: the iteration will not run as Rust, so the host values it asked for are made now.
    pub(super) fn begin(&mut self, step: u64, replayed: bool) {
        self.step = step;
        self.clock.write(&[step as f32]);
        if replayed {
            self.feeds.iter_mut().for_each(|feed| feed.place.write(&(feed.values)(step)));
        } else {
            self.feeds.clear();
            self.metrics.clear();
            self.values.clear();
            self.purposes.get_mut().clear();
        }
    }

    /// The metrics that were reported.
    pub(super) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The numbers of the metrics, `[metrics]`.
    pub(super) fn values(&self) -> Tensor {
        match self.values.is_empty() {
            true => Tensor::zeros(&self.device, [0]),
            false => Tensor::concat(&self.values.iter().collect::<Vec<_>>(), 0),
        }
    }

    /// The number of a metric.
    #[cfg(test)]
    pub(super) fn value(&self, name: &str) -> f64 {
        let at = self.metrics.iter().position(|m| m.name == name).unwrap_or_else(|| panic!("no metric {name}"));
        self.values().to_f64().unwrap()[at]
    }

    /// The device that everything lives on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The key of the purpose `name`: other numbers in every iteration, the same ones in a run that is repeated.
    ///
    /// # Panics
    /// When the iteration asked for this purpose before: both would draw the same numbers. What is done several times takes one
    /// key and [`Key::index`].
    #[track_caller]
    pub fn key(&self, name: &str) -> Key {
        let mut purposes = self.purposes.borrow_mut();
        assert!(
            !purposes.iter().any(|taken| taken == name),
            "two purposes are called {name}: they draw the same numbers"
        );
        purposes.push(name.to_string());
        self.key.clocked(&self.clock.get()).named(name)
    }

    /// Standard normal noise, drawn on the device for the purpose `name`.
    #[track_caller]
    pub fn normal(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        Tensor::normal(&self.device, shape, &self.key(name))
    }

    /// Uniform numbers on (0, 1), drawn on the device for the purpose `name`.
    #[track_caller]
    pub fn uniform(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        Tensor::uniform(&self.device, shape, &self.key(name))
    }

    /// A tensor that holds `values(step)` in iteration `step`: the function is kept, and called before every replay.
    ///
    /// What it captures must not be changed by the iteration itself, which runs as Rust only once.
    #[track_caller]
    pub fn feed(&mut self, shape: impl Into<Shape>, mut values: impl FnMut(u64) -> Vec<f32> + 'static) -> Tensor {
        let place = Var::from_host(&self.device, shape, &values(self.step));
        let tensor = place.get();
        self.feeds.push(Feed { place, values: Box::new(values) });
        tensor
    }

    /// Reports a number: a column of metrics.csv, a curve of the report.
    ///
    /// # Panics
    /// When the name is taken or the value has more than one element.
    #[track_caller]
    pub fn metric(&mut self, name: impl Into<String>, value: &Tensor) -> &mut Metric {
        let name = name.into();
        assert_eq!(value.numel(), 1, "metric {name} has shape {}", value.shape());
        self.values.push(value.detach().reshape([1]));
        self.add(name)
    }

    /// Reports several numbers `values [n]` under these names.
    ///
    /// # Panics
    /// When a name is taken, or when there are more or fewer names than numbers.
    #[track_caller]
    pub fn metrics_of(&mut self, names: impl IntoIterator<Item = String>, values: &Tensor) {
        let before = self.metrics.len();
        for name in names {
            self.add(name);
        }
        let n = values.numel();
        assert_eq!(self.metrics.len() - before, n, "names of metrics, and numbers");
        self.values.push(values.detach().reshape([n]));
    }

    #[track_caller]
    fn add(&mut self, name: String) -> &mut Metric {
        assert!(self.metrics.iter().all(|m| m.name != name), "two metrics are called {name}");
        self.metrics.push(Metric { name, limit: f64::MAX, range: None });
        self.metrics.last_mut().expect("just pushed")
    }
}

impl Metric {
    /// Training stops as soon as the metric's magnitude exceeds `limit`.
    pub fn limit(&mut self, limit: f64) -> &mut Metric {
        self.limit = limit;
        self
    }

    /// Training stops when the metric is below `lo` or above `hi` in all logged iterations of `patience` ones, saying
    /// `meaning`.
    pub fn keep_within(&mut self, [lo, hi]: [f64; 2], patience: u64, meaning: &'static str) -> &mut Metric {
        self.range = Some(Range { lo, hi, patience, meaning });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iteration() -> Iteration {
        let mut it = Iteration::new(&Device::oracle(), &Key::new(1));
        it.begin(0, false);
        it
    }

    #[test]
    fn purposes_draw_apart_and_are_free_again_in_the_next_iteration() {
        let mut it = iteration();
        let [a, b] = ["a", "b"].map(|name| it.normal(name, [4]).to_vec().unwrap());
        assert_ne!(a, b);
        it.begin(0, false);
        assert_eq!(it.normal("a", [4]).to_vec().unwrap(), a);
    }

    #[test]
    #[should_panic(expected = "two purposes are called noise")]
    fn a_purpose_that_was_asked_for_before_is_refused() {
        let it = iteration();
        it.normal("noise", [4]);
        it.uniform("noise", [4]);
    }
}
