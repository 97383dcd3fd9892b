//! The operations. An op is one Rust file here, its shader files, and one line in [`list`].
//!
//! The set is closed under differentiation: every `vjp` is written with public ops, so gradients of any order come free.
//!
//! | op | its adjoint with respect to the input |
//! |---|---|
//! | elementwise `f(x)` | `unary_grad`: ct * f'(x), whose own adjoint uses f'' |
//! | broadcast | sum over the stretched axes |
//! | reshape, permute | reshape, inverse permute |
//! | slice | pad (with interior gaps for a step) |
//! | gather | scatter_add |
//! | matmul | matmul with a transposed operand |
//! | conv2d | conv2d_input_grad, conv2d_weight_grad: each one's derivatives are the other two |
//! | avg_pool | avg_unpool |
//! | cumsum | cumsum from the other end |
//! | sort | gather along the inverse order |
//! | langevin_step(x, g) | (ct, -step ct) |

pub mod attention;
pub mod binary;
pub mod case;
pub mod conv2d;
pub mod distance;
mod gemm;
pub mod index;
pub mod ladder;
pub mod langevin;
pub mod matmul;
pub mod movement;
pub mod norm;
pub mod pool;
pub mod random;
pub mod reduce;
pub mod resize;
pub mod scan;
pub mod schedule;
pub mod softmax;
pub mod sort;
pub mod unary;

pub use case::{Case, Input};

use crate::gpu::{Gpu, Work};
use crate::tensor::{Array, Backward, Device, Node, Shape, Storage, Tensor, recording};
use std::cell::RefCell;
use std::rc::Rc;

/// One operation: a tensor function with attributes.
///
/// A crate of your own defines ops in the same way, with shaders of its own:
///
/// ```
/// use ebm::gpu::{Gpu, Kernel, Source, Work, Workgroups};
/// use ebm::ops::{Op, apply};
/// use ebm::prelude::*;
/// use ebm::tensor::Array;
/// use ebm::uniforms;
///
/// // As a file: `ebm::shader!("mine/cube.wgsl")` embeds shaders/mine/cube.wgsl of your crate.
/// const CUBE: Source = Source { path: "mine/cube.wgsl", text: r#"
/// // mine/cube - y[i] = scale x[i]^3
/// //#include "common/index.wgsl"
/// struct Params { count: u32, scale: f32 }
/// @group(0) @binding(0) var<uniform> p: Params;
/// @group(0) @binding(1) var<storage, read> x: array<f32>;
/// @group(0) @binding(2) var<storage, read_write> y: array<f32>;
///
/// @compute @workgroup_size(64)
/// fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
///         @builtin(local_invocation_index) local: u32) {
///     let i = linear_group(group, groups) * 64u + local;
///     if i < p.count {
///         y[i] = p.scale * x[i] * x[i] * x[i];
///     }
/// }"# };
///
/// /// y = scale x^3
/// struct Cube { scale: f64 }
///
/// impl Op for Cube {
///     fn name(&self) -> &'static str { "cube" }
///     fn shape(&self, x: &[&Shape]) -> std::result::Result<Shape, String> { Ok(x[0].clone()) }
///     fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
///         x[0].iter().map(|x| self.scale * x.powi(3)).collect()
///     }
///     fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
///         let (count, work) = (y.numel(), Work::bytes(8 * y.numel() as u64));
///         let uniforms = uniforms![count, scale: self.scale];
///         gpu.dispatch(&Kernel::new(CUBE), uniforms, &[x[0].slice(), y.slice()], Workgroups::Elements(count), work);
///     }
///     fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
///         vec![Some(ct * &x[0].square().mul_scalar(3.0 * self.scale))]
///     }
/// }
///
/// for device in [Ok(Device::oracle()), Device::open()].into_iter().flatten() {
///     let x = Tensor::new(&device, [3], &[-1.0, 2.0, 3.0]).tracked();
///     let y = apply(Cube { scale: 0.5 }, &[&x]);
///     assert_eq!(y.to_vec()?, [-0.5, 4.0, 13.5]);
///     assert_eq!(grad(&y.sum(), &[&x])[0].to_vec()?, [1.5, 6.0, 13.5]);
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait Op: 'static {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The result's shape, or the rule the inputs break.
    fn shape(&self, x: &[&Shape]) -> Result<Shape, String>;

    /// The definition: plain f64 loops. Returns the elements of the result, row-major.
    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64>;

    /// Chooses kernels and records the dispatches that fill `y`.
    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor);

    /// `sum_j ct_j dy_j/dx_i` for each needed input, from public ops only. `None` where nothing flows.
    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>>;
}

/// One entry of the list: what the oracle tests, gradient checks, shader tests, profile and benches run over.
pub struct Entry {
    /// The op's name.
    pub name: &'static str,
    /// Shapes, ranges and attributes to try.
    pub cases: fn() -> Vec<Case>,
}

/// THE list of ops.
pub fn list() -> Vec<Entry> {
    let entry = |name, cases| Entry { name, cases };
    vec![
        entry("unary", unary::cases as fn() -> Vec<Case>),
        entry("binary", binary::cases),
        entry("movement", movement::cases),
        entry("reduce", reduce::cases),
        entry("random", random::cases),
        entry("matmul", matmul::cases),
        entry("matmul_ladder", ladder::cases),
        entry("langevin", langevin::cases),
        entry("schedule", schedule::cases),
        entry("index", index::cases),
        entry("pool", pool::cases),
        entry("scan", scan::cases),
        entry("softmax", softmax::cases),
        entry("norm", norm::cases),
        entry("resize", resize::cases),
        entry("distance", distance::cases),
        entry("attention", attention::cases),
        entry("sort", sort::cases),
        entry("conv2d", conv2d::cases),
    ]
}

/// Applies an op: checks shapes, computes on the inputs' device, records history where an input is tracked.
///
/// # Panics
/// When the shapes break the op's rule or the inputs live on different devices.
#[track_caller]
pub fn apply(op: impl Op, x: &[&Tensor]) -> Tensor {
    let shapes: Vec<&Shape> = x.iter().map(|t| t.shape()).collect();
    let shape = op.shape(&shapes).unwrap_or_else(|rule| {
        let shapes: Vec<String> = shapes.iter().map(|s| s.to_string()).collect();
        panic!("{}: {rule}; shapes {}", op.name(), shapes.join(", "))
    });
    let device = x.first().map(|t| t.device().clone());
    let device = device.unwrap_or_else(|| panic!("{}: an op without inputs needs apply_on", op.name()));
    apply_on(&device, op, x, shape)
}

/// [`apply`] for ops that may have no input to take the device from.
#[track_caller]
pub(crate) fn apply_on(device: &Device, op: impl Op, x: &[&Tensor], shape: Shape) -> Tensor {
    assert!(x.iter().all(|t| t.device().same(device)), "{}: inputs live on different devices", op.name());
    let inputs: Vec<Tensor> = x.iter().map(|&t| t.clone()).collect();
    let value = match device {
        Device::Oracle => {
            let arrays: Vec<Array> = inputs.iter().map(Tensor::array).collect();
            let data = op.reference(&arrays, &shape);
            assert_eq!(data.len(), shape.numel(), "{}: reference returned a wrong count", op.name());
            Tensor::from_storage(device, shape, Storage::Host(RefCell::new(Rc::new(data))), None)
        }
        Device::Gpu(gpu) => {
            let slice = gpu.alloc(shape.numel() as u64 * 4);
            let y = Tensor::from_storage(device, shape, Storage::Gpu(slice), None);
            if y.numel() > 0 {
                op.launch(gpu, &inputs, &y);
            }
            y
        }
    };
    with_history(value, op, inputs)
}

/// Attaches the history to a value, if an input is tracked and history is being recorded.
pub(crate) fn with_history(value: Tensor, op: impl Op, inputs: Vec<Tensor>) -> Tensor {
    if !recording() || !inputs.iter().any(Tensor::is_tracked) {
        return value;
    }
    let node = Node { op: Rc::new(History(op)), inputs };
    Tensor::from_storage(value.device(), value.shape().clone(), value.storage().clone(), Some(node))
}

struct History<T>(T);

impl<T: Op> Backward for History<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        self.0.vjp(x, y, ct, need)
    }
}

/// The least work of an elementwise kernel over these tensors: each element moved once, `flops` per result.
pub(crate) fn elementwise_work(x: &[Tensor], y: &Tensor, flops: u64) -> Work {
    let elements: usize = x.iter().map(Tensor::numel).sum::<usize>() + y.numel();
    Work { bytes: elements as u64 * 4, flops: flops * y.numel() as u64 }
}
