//! Shapes: row-major dimensions and broadcasting. Pure host arithmetic.

use super::called::called;
use std::fmt::{self, Display};
use std::ops::Deref;

/// The number of an axis: 0 is the first; negative numbers count from the back, -1 is the last.
pub trait Axis: Copy + Display {
    /// Its number from the front, if a tensor of this rank has it.
    fn of(self, rank: usize) -> Option<usize>;
}

impl Axis for usize {
    fn of(self, rank: usize) -> Option<usize> {
        (self < rank).then_some(self)
    }
}

impl Axis for i32 {
    fn of(self, rank: usize) -> Option<usize> {
        let from_front = if self < 0 { rank.checked_sub(self.unsigned_abs() as usize)? } else { self as usize };
        from_front.of(rank)
    }
}

/// The dimensions of a tensor, outermost first. An empty list is a scalar.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// The number of elements.
    ///
    /// # Panics
    /// When the number does not fit a `usize`.
    #[track_caller]
    pub fn numel(&self) -> usize {
        match self.0.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
            Some(n) => n,
            None if self.0.contains(&0) => 0,
            None => panic!("{}: shape {self} has more elements than can be counted", called("shape")),
        }
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.rank()];
        for d in (1..self.rank()).rev() {
            strides[d - 1] = strides[d] * self.0[d];
        }
        strides
    }

    /// The shape both broadcast to: dimensions are aligned at the end, and 1 stretches to anything.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Shape, d: usize| if d + s.rank() < rank { 1 } else { s.0[d + s.rank() - rank] };
        let mut dims = Vec::with_capacity(rank);
        for d in 0..rank {
            dims.push(match (at(self, d), at(other, d)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            });
        }
        Some(Shape(dims))
    }

    /// Strides that read a tensor of this shape as if it had shape `to` (0 where a dimension is stretched).
    pub fn broadcast_strides(&self, to: &Shape) -> Vec<usize> {
        let own = self.strides();
        let missing = to.rank() - self.rank();
        (0..to.rank()).map(|d| if d < missing || self.0[d - missing] == 1 { 0 } else { own[d - missing] }).collect()
    }

    /// The element offset of multi-index `at`.
    pub fn offset(&self, at: &[usize]) -> usize {
        at.iter().zip(self.strides()).map(|(i, s)| i * s).sum()
    }

    /// Every multi-index in row-major order.
    pub fn indices(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..self.numel()).map(|flat| {
            let mut rest = flat;
            let mut at = vec![0; self.rank()];
            for d in (0..self.rank()).rev() {
                at[d] = rest % self.0[d];
                rest /= self.0[d];
            }
            at
        })
    }

    /// The number of an axis from the front.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn axis(&self, axis: impl Axis) -> usize {
        match axis.of(self.rank()) {
            Some(axis) => axis,
            None => panic!("{}: no axis {axis} in shape {self}", called("axis")),
        }
    }

    /// The numbers of several axes from the front, in order.
    ///
    /// # Panics
    /// When there is no such axis, or one is named twice.
    #[track_caller]
    pub fn axes(&self, axes: &[impl Axis]) -> Vec<usize> {
        let mut numbers = Vec::with_capacity(axes.len());
        for &axis in axes {
            let number = self.axis(axis);
            assert!(!numbers.contains(&number), "{}: axis {axis} of shape {self} is named twice", called("axes"));
            numbers.push(number);
        }
        numbers
    }

    /// The dimensions before, at and after an axis, each multiplied out: `[outer, dim, inner]`.
    #[track_caller]
    pub fn around(&self, axis: impl Axis) -> [usize; 3] {
        let axis = self.axis(axis);
        [self.0[..axis].iter().product(), self.0[axis], self.0[axis + 1..].iter().product()]
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Shape {
        Shape(dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape(dims.to_vec())
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_at_the_end_and_stretches_ones() {
        let (a, b) = (Shape::from([4, 1, 3]), Shape::from([2, 1]));
        assert_eq!(a.broadcast(&b), Some(Shape::from([4, 2, 3])));
        assert_eq!(b.broadcast_strides(&Shape::from([4, 2, 3])), [0, 1, 0]);
        assert_eq!(a.broadcast(&Shape::from([2, 4])), None);
        assert_eq!(Shape::from([0, 3]).broadcast(&Shape::from([1, 3])), Some(Shape::from([0, 3])));
    }

    #[test]
    fn indices_run_in_row_major_order() {
        let shape = Shape::from([2, 3]);
        let offsets: Vec<usize> = shape.indices().map(|at| shape.offset(&at)).collect();
        assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
        assert_eq!(Shape::from([2, 3, 4]).around(1), [2, 3, 4]);
    }

    #[test]
    fn negative_axes_count_from_the_back() {
        let shape = Shape::from([2, 3, 4]);
        assert_eq!((shape.axis(-1), shape.axis(-3), shape.axis(1usize)), (2, 0, 1));
        assert_eq!(shape.axes(&[-1, 0]), [2, 0]);
        assert_eq!(((-4).of(3), 3.of(3), (-1).of(0)), (None, None, None));
    }

    #[test]
    fn a_dimension_of_zero_leaves_no_elements_whatever_the_others_are() {
        assert_eq!(Shape::from([usize::MAX, 2, 0]).numel(), 0);
    }

    #[test]
    #[should_panic(expected = "more elements than can be counted")]
    fn a_number_of_elements_that_wraps_is_refused() {
        Shape::from([1 << 40, 1 << 40]).numel();
    }
}
