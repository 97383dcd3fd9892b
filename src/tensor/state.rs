//! State that survives a training step, and the step itself: captured once on a GPU, then replayed.

use super::{Device, Storage, Tensor};
use crate::gpu::Captured;
use std::cell::RefCell;
use std::rc::Rc;

/// A device value that the host rewrites between steps: step number, learning rate, the rows of a batch.
#[derive(Clone)]
pub struct Feed(Tensor);

impl Feed {
    /// A feed of `count` values, all zero.
    pub fn new(device: &Device, shape: impl Into<super::Shape>) -> Feed {
        Feed(Tensor::zeros(device, shape))
    }

    /// The tensor that kernels read. Its value is whatever was written last.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// Replaces the values, after everything recorded so far.
    #[track_caller]
    pub fn write(&self, values: &[f32]) {
        assert_eq!(values.len(), self.0.numel(), "a feed of shape {} written with {}", self.0.shape(), values.len());
        match self.0.storage() {
            Storage::Gpu(slice) => {
                if let Device::Gpu(gpu) = self.0.device() {
                    gpu.write(slice, bytemuck::cast_slice(values));
                }
            }
            Storage::Host(data) => *data.borrow_mut() = Rc::new(values.iter().map(|&v| v as f64).collect()),
        }
    }
}

/// A place for a value that each step replaces: parameters, moments, chains.
///
/// In a captured step the new value is copied to the place the next replay reads from.
#[derive(Clone)]
pub struct Var(Rc<RefCell<Cell>>);

struct Cell {
    value: Tensor,
    /// Where the captured commands read the old value, while a capture is in progress.
    home: Option<Tensor>,
}

thread_local! {
    /// The variables that were replaced during the capture in progress.
    static REPLACED: RefCell<Vec<Var>> = const { RefCell::new(Vec::new()) };
}

impl Var {
    /// A variable holding a copy of `value`, so that no two variables share memory.
    pub fn new(value: &Tensor) -> Var {
        Var(Rc::new(RefCell::new(Cell { value: copy(value), home: None })))
    }

    /// The value now.
    pub fn get(&self) -> Tensor {
        self.0.borrow().value.clone()
    }

    /// Replaces the value by one of the same shape. Tensors made from the old one keep it.
    #[track_caller]
    pub fn set(&self, value: Tensor) {
        let mut cell = self.0.borrow_mut();
        assert_eq!(cell.value.shape(), value.shape(), "a variable keeps its shape");
        if value.device().gpu().is_some_and(|gpu| gpu.capturing()) && cell.home.is_none() {
            cell.home = Some(cell.value.clone());
            REPLACED.with_borrow_mut(|list| list.push(self.clone()));
        }
        cell.value = match value.storage() {
            // What survives a step is f32 on every device, so that a checkpoint holds all of it.
            Storage::Host(data) => {
                let rounded = data.borrow().iter().map(|&v| v as f32 as f64).collect();
                Tensor::from_f64(value.device(), value.shape(), rounded)
            }
            Storage::Gpu(_) => value.detach(),
        };
    }

    /// At the end of a capture: brings the new value to where the next replay reads it.
    fn settle(&self) {
        let mut cell = self.0.borrow_mut();
        if let Some(home) = cell.home.take() {
            if let (Device::Gpu(gpu), Storage::Gpu(to), Storage::Gpu(from)) =
                (home.device(), home.storage(), cell.value.storage())
                && !from.same_memory(to)
            {
                gpu.copy(from, to, 0, home.numel() as u64 * 4);
            }
            cell.value = home;
        }
    }
}

/// A deep copy.
fn copy(value: &Tensor) -> Tensor {
    match (value.device(), value.storage()) {
        (Device::Gpu(gpu), Storage::Gpu(from)) => {
            let to = gpu.alloc(value.numel() as u64 * 4);
            gpu.copy(from, &to, 0, value.numel() as u64 * 4);
            Tensor::from_storage(value.device(), value.shape().clone(), Storage::Gpu(to), None)
        }
        _ => value.detach(),
    }
}

/// A step of a loop that does the same operations every time.
///
/// On a GPU the first [`Step::run`] executes the closure and captures what it dispatches; later ones replay the list,
/// without calling the closure. On the oracle every run calls the closure. Everything that changes between runs must
/// come from a [`Feed`] or a [`Var`].
pub struct Step<T> {
    device: Device,
    /// Whether to capture at all; eager steps give the same bits.
    replay: bool,
    captured: Option<(T, Captured)>,
}

impl<T: Clone> Step<T> {
    /// A step that is captured and replayed where the device can.
    pub fn new(device: &Device) -> Step<T> {
        Step { device: device.clone(), replay: true, captured: None }
    }

    /// A step that runs its closure every time.
    pub fn eager(device: &Device) -> Step<T> {
        Step { device: device.clone(), replay: false, captured: None }
    }

    /// Runs the step and returns the closure's value (tensors in it hold this run's results until the next run).
    pub fn run(&mut self, step: impl FnOnce() -> T) -> T {
        if let Some((value, captured)) = &self.captured {
            captured.replay();
            return value.clone();
        }
        let Device::Gpu(gpu) = &self.device else { return step() };
        if !self.replay {
            let value = step();
            gpu.flush();
            return value;
        }
        let (value, captured) = gpu.capture(|| {
            let value = step();
            REPLACED.with_borrow_mut(std::mem::take).iter().for_each(Var::settle);
            value
        });
        self.captured = Some((value.clone(), captured));
        value
    }

    /// Dispatches and copies per replay, once captured.
    pub fn commands(&self) -> Option<usize> {
        self.captured.as_ref().map(|(_, captured)| captured.len())
    }
}
