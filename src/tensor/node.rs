//! A tensor's history: what it was made from and how a cotangent flows back. Knows nothing about which op it was.

use super::Tensor;
use std::cell::Cell;
use std::rc::Rc;

/// The backward rule of one operation.
pub trait Backward {
    /// The operation's name, for messages.
    fn name(&self) -> &'static str;

    /// The vector-Jacobian product: for each input that is needed, `sum_j ct_j dy_j/dx_i`, made of public
    /// differentiable operations, so that it can be differentiated again.
    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>>;
}

/// One step of the history.
pub struct Node {
    /// How to go back.
    pub op: Rc<dyn Backward>,
    /// What it was applied to.
    pub inputs: Vec<Tensor>,
}

impl Drop for Node {
    /// Frees long histories without recursion.
    fn drop(&mut self) {
        let mut stack = std::mem::take(&mut self.inputs);
        while let Some(tensor) = stack.pop() {
            if let Some(mut node) = tensor.into_sole_node() {
                stack.append(&mut node.inputs);
            }
        }
    }
}

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Whether operations on tracked tensors record their history now.
pub fn recording() -> bool {
    RECORDING.get()
}

/// Runs `f` without recording history: its results are constants.
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    let _paused = Paused::new();
    f()
}

/// Runs `f` with history, also within [`no_grad`]: a gradient is one wherever it is asked for.
pub fn with_grad<T>(f: impl FnOnce() -> T) -> T {
    let _paused = Paused(RECORDING.replace(true));
    f()
}

/// Whether history is recorded is as before when this is dropped.
pub(crate) struct Paused(bool);

impl Paused {
    pub(crate) fn new() -> Paused {
        Paused(RECORDING.replace(false))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        RECORDING.set(self.0);
    }
}
