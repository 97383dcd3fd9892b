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
//!
//! # NaN and infinities
//!
//! One rule, the same on both devices, so that a run that diverges is seen to diverge:
//!
//! - NaN in, NaN out: no function, derivative, extreme, sum, softmax or clip turns NaN into a number.
//! - A comparison with NaN is false (0), `argmax` and `argmin` point to the first NaN, `sort` puts NaN last, and `where_`
//!   passes on only what it chooses.
//! - Infinities follow IEEE arithmetic (inf - inf and 0 inf are NaN), and elementwise functions take their limits:
//!   `tanh(inf) = 1`, `silu(-inf) = 0`, `recip(0) = inf`. Outside its domain a function is NaN: `log(-1)`, `sqrt(-1)`,
//!   `sin(inf)`, a negative number to the power 0.5.
//! - The largest of no elements is -inf, the smallest +inf, their sum 0, their mean NaN.
//! - -inf means "not there" to `softmax` (weight 0) and `logsumexp`. Where nothing is there, `softmax` is 0 and `logsumexp`
//!   and `log_softmax` are -inf, without gradient: a query of attention that sees no key gets 0.
//!
//! On a GPU numbers below 1e-37 may become 0, and f32 overflows to infinity at 3.4e38. The padding of a convolution takes part
//! as zeros on a GPU (0 NaN = NaN); the oracle leaves it out.
//!
//! # Limits
//!
//! Axes are numbered from the front, or from the back with negative numbers (-1 is the last). Elementwise functions of two
//! tensors take up to 8 dimensions, movements (permute, slice, pad, broadcast) up to 6, counted after neighbours that are
//! walked together are merged. A wrong shape panics at the caller's line, see [`apply`]; a tensor larger than the device
//! takes is [`crate::Error::TooLarge`].

pub mod attention;
mod axis_view;
pub mod binary;
pub mod case;
mod chain;
pub mod concat;
pub mod conv2d;
pub mod conv_variants;
pub mod distance;
mod gemm;
pub mod index;
pub mod ladder;
pub mod langevin;
pub mod matmul;
pub mod mlp_chain;
pub mod movement;
pub mod norm;
pub mod pool;
pub mod random;
pub mod reduce;
pub mod residual_chain;
pub mod resize;
pub mod scan;
pub mod schedule;
pub mod softmax;
pub mod sort;
pub mod spectral;
pub mod unary;

pub use case::{Case, Input};

use crate::gpu::{Gpu, Work};
use crate::tensor::{Array, Backward, Device, Node, Shape, Storage, Tensor, called, calling, recording};
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
        entry("concat", concat::cases),
        entry("reduce", reduce::cases),
        entry("random", random::cases),
        entry("matmul", matmul::cases),
        entry("matmul_ladder", ladder::cases),
        entry("langevin", langevin::cases),
        entry("mlp_chain", mlp_chain::cases),
        entry("residual_chain", residual_chain::cases),
        entry("schedule", schedule::cases),
        entry("index", index::cases),
        entry("pool", pool::cases),
        entry("scan", scan::cases),
        entry("softmax", softmax::cases),
        entry("norm", norm::cases),
        entry("spectral", spectral::cases),
        entry("resize", resize::cases),
        entry("distance", distance::cases),
        entry("attention", attention::cases),
        entry("sort", sort::cases),
        entry("conv2d", conv2d::cases),
        entry("conv_variants", conv_variants::cases),
    ]
}

/// Applies an op: checks shapes, computes on the inputs' device, records history where an input is tracked.
///
/// # Panics
/// When the shapes break the op's rule or the inputs live on different devices.
#[track_caller]
pub fn apply(op: impl Op, x: &[&Tensor]) -> Tensor {
    let Some(first) = x.first() else { panic!("{}: an op without inputs needs apply_on", op.name()) };
    let shape = shape_of(&op, x);
    apply_on(first.device(), op, x, shape)
}

/// The shape of an op's result.
#[track_caller]
pub(crate) fn shape_of(op: &impl Op, x: &[&Tensor]) -> Shape {
    let shapes: Vec<&Shape> = x.iter().map(|t| t.shape()).collect();
    match op.shape(&shapes) {
        Ok(shape) => shape,
        Err(rule) => {
            let shapes: Vec<String> = shapes.iter().map(|s| s.to_string()).collect();
            panic!("{}: {rule}; shapes {}", called(op.name()), shapes.join(", "))
        }
    }
}

/// [`apply`] for ops that may have no input to take the device from.
#[track_caller]
pub(crate) fn apply_on(device: &Device, op: impl Op, x: &[&Tensor], shape: Shape) -> Tensor {
    let _op = calling(op.name());
    assert!(x.iter().all(|t| t.device().same(device)), "{}: inputs live on different devices", called(op.name()));
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

/// The larger number, or NaN where one of them is (f64::max takes the other).
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller number, or NaN where one of them is.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}
