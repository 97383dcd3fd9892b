//! Values: shapes, the two devices, the tensor handle, its history, random keys, and state that survives a step.

mod array;
mod called;
mod device;
mod key;
mod node;
mod shape;
mod state;

pub use array::Array;
pub(crate) use called::{called, calling};
pub use device::Device;
pub use key::{Key, normal_at, philox, to_unit};
pub(crate) use node::Paused;
pub use node::{Backward, Node, no_grad, recording, with_grad};
pub use shape::{Axis, Shape};
pub use state::{CapturedStep, Var};

use crate::error::{Error, Result};
use crate::gpu::{ReadBack, Slice};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// A contiguous n-dimensional array on a device, with the history that made it.
///
/// Cloning is cheap and shares the value. Values never change, except through a [`Var`].
/// Whole numbers (class labels, row indices) are stored as floats; they are exact up to 2^24.
#[derive(Clone)]
pub struct Tensor(Rc<Inner>);

struct Inner {
    id: u64,
    shape: Shape,
    device: Device,
    storage: Storage,
    /// Whether gradients may be asked for this tensor: it was marked, or made from a marked one.
    tracked: bool,
    node: Option<Node>,
}

/// Where the elements are.
#[derive(Clone)]
pub enum Storage {
    /// f32 in a pooled device buffer.
    Gpu(Slice),
    /// f64 on the host.
    Host(RefCell<Rc<Vec<f64>>>),
}

thread_local! {
    static NEXT_ID: Cell<u64> = const { Cell::new(1) };
}

impl Tensor {
    /// A tensor over existing storage. Used by `ops`; most code wants [`Tensor::new`].
    pub fn from_storage(device: &Device, shape: Shape, storage: Storage, node: Option<Node>) -> Tensor {
        let id = NEXT_ID.get();
        NEXT_ID.set(id + 1);
        Tensor(Rc::new(Inner { id, shape, device: device.clone(), storage, tracked: node.is_some(), node }))
    }

    /// A tensor of `shape` with the given row-major values.
    #[track_caller]
    pub fn new(device: &Device, shape: impl Into<Shape>, values: &[f32]) -> Tensor {
        let shape = shape.into();
        assert!(shape.numel() == values.len(), "Tensor::new: {} values for shape {shape}", values.len());
        let storage = match device {
            Device::Gpu(gpu) => {
                let slice = gpu.alloc_for_upload(values.len() as u64 * 4);
                gpu.write(&slice, bytemuck::cast_slice(values));
                Storage::Gpu(slice)
            }
            Device::Oracle => Storage::Host(RefCell::new(Rc::new(values.iter().map(|&v| v as f64).collect()))),
        };
        Tensor::from_storage(device, shape, storage, None)
    }

    /// A tensor of `shape` from f64 values; a GPU rounds them to f32 once.
    #[track_caller]
    pub fn from_f64(device: &Device, shape: impl Into<Shape>, values: Vec<f64>) -> Tensor {
        match device {
            Device::Gpu(_) => Tensor::new(device, shape, &values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
            Device::Oracle => {
                let array = Array::new(shape, values);
                Tensor::from_storage(device, array.shape, Storage::Host(RefCell::new(array.data)), None)
            }
        }
    }

    /// A tensor filled with one value.
    #[track_caller]
    pub fn full(device: &Device, shape: impl Into<Shape>, value: f64) -> Tensor {
        let shape = shape.into();
        let storage = match device {
            Device::Gpu(gpu) => {
                let slice = gpu.alloc(shape.numel() as u64 * 4);
                gpu.fill(&slice, (value as f32).to_bits());
                Storage::Gpu(slice)
            }
            Device::Oracle => Storage::Host(RefCell::new(Rc::new(vec![value; shape.numel()]))),
        };
        Tensor::from_storage(device, shape, storage, None)
    }

    /// A tensor whose elements are still to be written.
    #[track_caller]
    pub(crate) fn unwritten(device: &Device, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        match device {
            Device::Gpu(gpu) => {
                let slice = gpu.alloc(shape.numel() as u64 * 4);
                Tensor::from_storage(device, shape, Storage::Gpu(slice), None)
            }
            Device::Oracle => Tensor::zeros(device, shape),
        }
    }

    /// A tensor of zeros.
    #[track_caller]
    pub fn zeros(device: &Device, shape: impl Into<Shape>) -> Tensor {
        Tensor::full(device, shape, 0.0)
    }

    /// A scalar (shape `[]`).
    pub fn scalar(device: &Device, value: f64) -> Tensor {
        Tensor::full(device, [], value)
    }

    /// Its dimensions.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// One dimension.
    #[track_caller]
    pub fn dim(&self, axis: impl Axis) -> usize {
        let _op = calling("dim");
        self.0.shape[self.0.shape.axis(axis)]
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.0.shape.numel()
    }

    /// The device it lives on.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// A number that identifies this value while it lives.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether gradients can be asked for it.
    pub fn is_tracked(&self) -> bool {
        self.0.tracked
    }

    /// The step that made it, if it was recorded.
    pub fn node(&self) -> Option<&Node> {
        self.0.node.as_ref()
    }

    /// Where its elements are.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// Its device buffer.
    ///
    /// # Panics
    /// On the oracle: kernels are only launched on GPU tensors.
    pub fn slice(&self) -> &Slice {
        match &self.0.storage {
            Storage::Gpu(slice) => slice,
            Storage::Host(_) => panic!("a host tensor has no device buffer"),
        }
    }

    /// Its host array.
    ///
    /// # Panics
    /// On a GPU: read it back with [`Tensor::to_f64`].
    pub fn array(&self) -> Array {
        match &self.0.storage {
            Storage::Host(data) => Array { shape: self.0.shape.clone(), data: data.borrow().clone() },
            Storage::Gpu(_) => panic!("a device tensor has no host array"),
        }
    }

    /// `shape.numel()` elements from element `offset` (a multiple of 64) as a constant; on a GPU the same memory.
    #[track_caller]
    pub fn view(&self, offset: usize, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let inside = offset.checked_add(shape.numel()).is_some_and(|end| end <= self.numel());
        assert!(
            offset.is_multiple_of(64) && inside,
            "view: {shape} from element {offset} (a multiple of 64) of {}",
            self.shape()
        );
        let storage = match self.storage() {
            Storage::Gpu(slice) => Storage::Gpu(slice.view(offset as u64 * 4, shape.numel() as u64 * 4)),
            Storage::Host(data) => {
                let part = data.borrow()[offset..offset + shape.numel()].to_vec();
                Storage::Host(RefCell::new(Rc::new(part)))
            }
        };
        Tensor::from_storage(self.device(), shape, storage, None)
    }

    fn sibling(&self, tracked: bool) -> Tensor {
        let id = NEXT_ID.get();
        NEXT_ID.set(id + 1);
        let (shape, device, storage) = (self.0.shape.clone(), self.0.device.clone(), self.0.storage.clone());
        Tensor(Rc::new(Inner { id, shape, device, storage, tracked, node: None }))
    }

    /// The same value as a fresh leaf that gradients can be asked for.
    pub fn tracked(&self) -> Tensor {
        self.sibling(true)
    }

    /// The same value without history: a constant.
    pub fn detach(&self) -> Tensor {
        self.sibling(false)
    }

    /// Queues the copy of the values to the host. `None` on the oracle, where [`Tensor::array`] has them already.
    pub fn read_back(&self) -> Option<ReadBack> {
        self.device().gpu().map(|gpu| gpu.read(self.slice(), self.numel()))
    }

    /// The values, row-major, once they have arrived: what a browser, where nothing may wait, reads.
    pub async fn values(&self) -> Result<Vec<f32>> {
        match self.read_back() {
            Some(read) => read.await,
            None => self.to_vec(),
        }
    }

    /// The values, row-major. Waits for the device.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match self.read_back() {
            Some(read) => read.wait(),
            None => Ok(self.array().iter().map(|&v| v as f32).collect()),
        }
    }

    /// The values as f64, row-major. Waits for the device.
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        match self.read_back() {
            Some(read) => Ok(read.wait()?.into_iter().map(f64::from).collect()),
            None => Ok(self.array().to_vec()),
        }
    }

    /// The value of a one-element tensor. Waits for the device.
    pub fn item(&self) -> Result<f64> {
        match self.to_f64()?.as_slice() {
            [value] => Ok(*value),
            values => Err(Error::setting(format!("item() of a tensor with {} elements", values.len()))),
        }
    }

    /// The history, if this was the last handle to the tensor.
    pub(crate) fn into_sole_node(self) -> Option<Node> {
        Rc::into_inner(self.0).and_then(|inner| inner.node)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Tensor#{}{} on {}", self.0.id, self.0.shape, self.0.device)
    }
}
