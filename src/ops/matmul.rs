//! Matrix products, batched, with either operand transposed.
//!
//! With `a' = a` or `a^T`, and `b'` likewise, the derivatives of `c = a' b'` are again such products:
//!
//! | | a as it is | a transposed |
//! |---|---|---|
//! | da | ct b'^T | b' ct^T |
//!
//! | | b as it is | b transposed |
//! |---|---|---|
//! | db | a'^T ct | ct^T a' |

use super::gemm::{self, Gemm, Operand};
use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor, calling};
use crate::{shader, uniforms};

/// c[i,m,n] = sum_k a'[i,m,k] b'[i,k,n] (+ bias[n])
#[derive(Clone, Copy)]
pub(super) struct Matmul {
    /// Whether `a` lies as [.., K, M].
    pub transpose_a: bool,
    /// Whether `b` lies as [.., N, K].
    pub transpose_b: bool,
}

/// The sizes of one product.
struct Sizes {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
}

impl Matmul {
    fn work(sizes: &Sizes) -> Work {
        let Sizes { batch, m, n, k } = *sizes;
        Work { bytes: 4 * (batch * (m * k + k * n + m * n)) as u64, flops: 2 * (batch * m * n * k) as u64 }
    }

    fn sizes(&self, a: &Shape, b: &Shape) -> Result<Sizes, String> {
        if a.rank() < 2 || b.rank() != a.rank() {
            return Err("wants matrices [.., M, K] and [.., K, N]".into());
        }
        let r = a.rank();
        let pick = |s: &Shape, t: bool| if t { (s[r - 1], s[r - 2]) } else { (s[r - 2], s[r - 1]) };
        let ((m, ka), (kb, n)) = (pick(a, self.transpose_a), pick(b, self.transpose_b));
        if ka != kb || a[..r - 2] != b[..r - 2] {
            return Err(format!("inner dimensions {ka} and {kb} or the batch dimensions differ"));
        }
        Ok(Sizes { batch: a[..r - 2].iter().product(), m, n, k: ka })
    }
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let Sizes { m, n, .. } = self.sizes(x[0], x[1])?;
        if x.get(2).is_some_and(|bias| ***bias != [n]) {
            return Err(format!("the bias must have shape [{n}]"));
        }
        let mut shape = x[0].clone();
        let r = shape.rank();
        (shape.0[r - 2], shape.0[r - 1]) = (m, n);
        Ok(shape)
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let Ok(Sizes { batch, m, n, k }) = self.sizes(&x[0].shape, &x[1].shape) else { return Vec::new() };
        let mut c = vec![0.0; y.numel()];
        for i in 0..batch {
            let (a, b) = (&x[0][i * m * k..], &x[1][i * k * n..]);
            for row in 0..m {
                let c = &mut c[(i * m + row) * n..][..n];
                if let Some(bias) = x.get(2) {
                    c.copy_from_slice(bias);
                }
                for j in 0..k {
                    let a = if self.transpose_a { a[j * m + row] } else { a[row * k + j] };
                    for (col, c) in c.iter_mut().enumerate() {
                        *c += a * if self.transpose_b { b[col * k + j] } else { b[j * n + col] };
                    }
                }
            }
        }
        c
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let Ok(sizes) = self.sizes(x[0].shape(), x[1].shape()) else { return };
        let Sizes { batch, m, n, k } = sizes;
        let work = Matmul::work(&sizes);
        if gpu.profile().software && work.flops <= NAIVE_UP_TO {
            return self.launch_naive(gpu, x, y);
        }
        let specialise = |kernel: Kernel, _| {
            let kernel = kernel.with("TRANSPOSE_A", self.transpose_a).with("TRANSPOSE_B", self.transpose_b);
            kernel.with("RAGGED_K", !k.is_multiple_of(4))
        };
        let uniforms = |splits: usize, slice: usize, [a_row, b_row]: [usize; 2]| {
            uniforms![m, n, k, products: batch * splits, splits, slice, a_row, b_row].to_vec()
        };
        let gemm = Gemm {
            loader: "gemm/load_matmul.wgsl",
            specialise: &specialise,
            uniforms: &uniforms,
            m,
            n,
            k,
            products: batch,
            splits: true,
            a: Operand::of(&x[0]),
            b: Operand::of(&x[1]),
            bias: x.get(2).map(Tensor::slice),
            c: y.slice(),
            c_count: m * n,
            c_row: n,
            work,
        };
        gemm::launch(gpu, &gemm);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let (a, b, ta, tb) = (&x[0], &x[1], self.transpose_a, self.transpose_b);
        let da = || if ta { product(b, ct, tb, true) } else { product(ct, b, false, !tb) };
        let db = || if tb { product(ct, a, true, ta) } else { product(a, ct, !ta, false) };
        let mut grads = vec![need[0].then(da), need[1].then(db)];
        if let Some(bias) = x.get(2) {
            grads.push(need[2].then(|| ct.sum_to(bias.shape())));
        }
        grads
    }
}

/// Flops up to which one invocation an element is as fast as a tile on software Vulkan, and compiles sooner.
const NAIVE_UP_TO: u64 = 4096;

impl Matmul {
    /// One invocation for each element of the result.
    pub(super) fn launch_naive(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let Ok(sizes) = self.sizes(x[0].shape(), x[1].shape()) else { return };
        let Sizes { batch, m, n, k } = sizes;
        let (a_m, a_k) = if self.transpose_a { (1, m) } else { (k, 1) };
        let (b_k, b_n) = if self.transpose_b { (1, k) } else { (n, 1) };
        let count = batch * m * n;
        let uniforms = uniforms![count, m, n, k, a_batch: m * k, a_m, a_k, b_batch: k * n, b_k, b_n];
        let kernel = Kernel::new(shader!("matmul/v1_naive.wgsl")).with("BIAS", x.len() > 2);
        let bias = x.get(2).unwrap_or(&x[0]);
        let slices = [x[0].slice(), x[1].slice(), bias.slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), Matmul::work(&sizes));
    }
}

#[track_caller]
fn product(a: &Tensor, b: &Tensor, transpose_a: bool, transpose_b: bool) -> Tensor {
    let matmul = Matmul { transpose_a, transpose_b };
    let (ra, rb) = (a.shape().rank(), b.shape().rank());
    let same = ra < 2 || rb < 2 || a.shape()[..ra - 2] == b.shape()[..rb - 2];
    if same {
        return apply(matmul, &[a, b]);
    }
    if rb == 2 && !transpose_a {
        // One matrix for the whole batch: the rows of the batch are rows of one product.
        let k = a.dim(ra - 1);
        let y = apply(matmul, &[&a.reshape([a.shape()[..ra - 1].iter().product(), k]), b]);
        let mut shape = a.shape().clone();
        shape.0[ra - 1] = y.dim(1);
        return y.reshape(shape);
    }
    let split = |x: &Tensor| {
        let (batch, matrix) = x.shape().split_at(x.shape().rank() - 2);
        (Shape::from(batch), matrix.to_vec())
    };
    let ((batch_a, matrix_a), (batch_b, matrix_b)) = (split(a), split(b));
    let Some(batch) = batch_a.broadcast(&batch_b) else { return apply(matmul, &[a, b]) };
    let a = a.broadcast_to([&batch[..], &matrix_a].concat());
    let b = b.broadcast_to([&batch[..], &matrix_b].concat());
    apply(matmul, &[&a, &b])
}

impl Tensor {
    /// The matrix product `[.., M, K] x [.., K, N] -> [.., M, N]`; leading dimensions broadcast.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        let _op = calling("matmul");
        product(self, other, false, false)
    }

    /// `self other^T`: `[.., M, K] x [.., N, K] -> [.., M, N]`, without moving data.
    #[track_caller]
    pub fn matmul_t(&self, other: &Tensor) -> Tensor {
        let _op = calling("matmul_t");
        product(self, other, false, true)
    }

    /// `self^T other`: `[.., K, M] x [.., K, N] -> [.., M, N]`, without moving data.
    #[track_caller]
    pub fn t_matmul(&self, other: &Tensor) -> Tensor {
        let _op = calling("t_matmul");
        product(self, other, true, false)
    }

    /// A linear layer: `y = x w^T + bias`, `x [.., I]`, `w [O, I]`, `bias [O]`, `y [.., O]`.
    #[track_caller]
    pub fn linear(&self, w: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let _op = calling("linear");
        let rank = self.shape().rank();
        let fits = rank >= 1 && w.shape().rank() == 2 && self.dim(-1) == w.dim(1);
        assert!(fits, "linear: wants x [.., I] and w [O, I]; shapes {}, {}", self.shape(), w.shape());
        let rows = self.reshape([self.shape()[..rank - 1].iter().product(), self.dim(-1)]);
        let inputs: Vec<&Tensor> = [&rows, w].into_iter().chain(bias).collect();
        let mut shape = self.shape().clone();
        shape.0[rank - 1] = w.dim(0);
        apply(Matmul { transpose_a: false, transpose_b: true }, &inputs).reshape(shape)
    }
}

/// Cases: all transposes, batches, bias, 0 and 1, primes, tile size +-1.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        (1, 2, 3, 4),
        (2, 5, 3, 2),
        (1, 0, 3, 2),
        (1, 3, 2, 0),
        (3, 1, 1, 7),
        (1, 31, 33, 37),
        (1, 65, 127, 129),
        (2, 64, 64, 32),
        (1, 256, 128, 2),
        (1, 256, 1, 128),
        (1, 257, 66, 131),
        (1, 3, 5, 300_001),
        (1, 1537, 1409, 5),
        (128, 33, 34, 36),
    ];
    for (batch, m, n, k) in sizes {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if ta { [batch, k, m] } else { [batch, m, k] };
            let b = if tb { [batch, n, k] } else { [batch, k, n] };
            let run = move |x: &[Tensor]| product(&x[0], &x[1], ta, tb);
            let order = if batch * m * n * k <= 60 && k > 0 { 2 } else { 0 };
            let case = Case::new(format!("{batch}x{m}x{n}x{k} {ta} {tb}"), [Input::unit(a), Input::unit(b)], run);
            cases.push(case.sum(k.max(1)).order(order));
        }
    }
    for (a, b) in [(&[2usize, 3, 2][..], &[2usize, 4][..]), (&[3, 2], &[2, 2, 3]), (&[3, 1, 2, 2], &[2, 2, 3])] {
        let run = |x: &[Tensor]| x[0].matmul(&x[1]);
        cases.push(Case::new(format!("batches {a:?} {b:?}"), [Input::unit(a), Input::unit(b)], run).sum(2));
    }
    for (rows, i, o) in [(3, 2, 4), (256, 2, 128), (255, 129, 65)] {
        let inputs = [Input::unit([rows, i]), Input::unit([o, i]), Input::unit([o])];
        let run = |x: &[Tensor]| x[0].linear(&x[1], Some(&x[2]));
        let order = if rows < 4 { 2 } else { 0 };
        cases.push(Case::new(format!("linear {rows}x{i}x{o}"), inputs, run).sum(i + 1).order(order));
    }
    cases
}
