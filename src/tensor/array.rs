//! The oracle's value: f64 on the host.

use super::Shape;
use std::ops::Deref;
use std::rc::Rc;

/// A row-major f64 array. Cloning shares the data.
#[derive(Clone, Debug)]
pub struct Array {
    /// Its dimensions.
    pub shape: Shape,
    /// Its elements, row-major.
    pub data: Rc<Vec<f64>>,
}

impl Array {
    /// An array of `shape` holding `data`.
    #[track_caller]
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Array {
        let shape = shape.into();
        assert!(shape.numel() == data.len(), "Array::new: {} values for shape {shape}", data.len());
        Array { shape, data: Rc::new(data) }
    }

    /// The element at a multi-index.
    pub fn at(&self, index: &[usize]) -> f64 {
        self.data[self.shape.offset(index)]
    }
}

impl Deref for Array {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.data
    }
}
