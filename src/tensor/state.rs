//! State that survives a training step, and the step itself: captured once on a GPU, then replayed.

use super::{Device, Storage, Tensor};
use crate::gpu::Captured;
use std::cell::RefCell;
use std::rc::Rc;

/// A place for a value that changes from step to step: parameters, moments, chains, the step number.
///
/// The step replaces it with [`Var::set`] (in a captured step the new value is copied to the place the next replay reads
/// from), the host with [`Var::write`].
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
    /// A variable holding a copy of `value`, in memory of its own.
    ///
    /// # Panics
    /// Inside a captured step, whose replays would reset it.
    #[track_caller]
    pub fn new(value: &Tensor) -> Var {
        assert!(!value.device().gpu().is_some_and(|gpu| gpu.capturing()), "a variable made inside a captured step");
        Var(Rc::new(RefCell::new(Cell { value: copy(value), home: None })))
    }

    /// A variable of `shape` holding host data, in memory of its own.
    #[track_caller]
    pub fn from_host(device: &Device, shape: impl Into<super::Shape>, values: &[f32]) -> Var {
        Var(Rc::new(RefCell::new(Cell { value: Tensor::new(device, shape, values), home: None })))
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

    /// Overwrites the value with host data of as many elements, after everything recorded so far.
    ///
    /// On a GPU the memory stays where it is: captured steps, and tensors made from the value, see the new numbers.
    #[track_caller]
    pub fn write(&self, values: &[f32]) {
        let value = self.get();
        assert_eq!(values.len(), value.numel(), "a variable of shape {} written with {}", value.shape(), values.len());
        match (value.device(), value.storage()) {
            (Device::Gpu(gpu), Storage::Gpu(slice)) => gpu.write(slice, bytemuck::cast_slice(values)),
            // Host views are copies, so what was made from the old value must not be taken for the new one.
            _ => self.0.borrow_mut().value = Tensor::new(value.device(), value.shape(), values),
        }
    }

    /// At the end of a capture: brings all new values to where the next replay reads them. A new value that is another
    /// variable's old one is copied aside first.
    fn settle_all(replaced: &[Var]) {
        let slice = |tensor: &Tensor| match tensor.storage() {
            Storage::Gpu(slice) => Some(slice.clone()),
            Storage::Host(_) => None,
        };
        let homes: Vec<_> = replaced.iter().filter_map(|var| slice(var.0.borrow().home.as_ref()?)).collect();
        for var in replaced {
            let value = var.get();
            if slice(&value).is_some_and(|from| homes.iter().any(|home| home.same_memory(&from))) {
                var.0.borrow_mut().value = copy(&value);
            }
        }
        replaced.iter().for_each(Var::settle);
    }

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

/// A piece of work that does the same operations every time.
///
/// On a GPU the first [`CapturedStep::run`] executes the closure and captures what it dispatches; later ones replay the
/// list, without calling the closure. On the oracle every run calls the closure. Everything that changes between runs
/// must come from a [`Var`] that the host writes or the step replaces.
pub struct CapturedStep<T> {
    device: Device,
    captured: Option<(T, Captured)>,
}

impl<T: Clone> CapturedStep<T> {
    /// A step that has not run yet.
    pub fn new(device: &Device) -> CapturedStep<T> {
        CapturedStep { device: device.clone(), captured: None }
    }

    /// Whether the next run replays what an earlier one captured.
    pub fn is_captured(&self) -> bool {
        self.captured.is_some()
    }

    /// The names of the kernels that a replay dispatches, each with how often; none before the first run.
    pub fn kernels(&self) -> Vec<(String, usize)> {
        self.captured.as_ref().map_or_else(Vec::new, |(_, captured)| captured.kernels())
    }

    /// Runs the step and returns the closure's value (tensors in it hold this run's results until the next run).
    pub fn run(&mut self, step: impl FnOnce() -> T) -> T {
        if let Some((value, captured)) = &self.captured {
            captured.replay();
            return value.clone();
        }
        let Device::Gpu(gpu) = &self.device else { return step() };
        let (value, captured) = gpu.capture(|| {
            let value = step();
            Var::settle_all(&REPLACED.with_borrow_mut(std::mem::take));
            value
        });
        self.captured = Some((value.clone(), captured));
        value
    }
}
