//! Elementwise functions of two tensors with broadcasting, comparison, and choice.

use super::{Case, Input, Op, apply, elementwise_work, larger, smaller};
use crate::gpu::{Gpu, Kernel, Workgroups};
use crate::tensor::{Array, Shape, Tensor, called, calling};
use crate::{shader, uniforms};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Less,
    LessEqual,
    Equal,
    Pow,
}

/// y = a op b, both broadcast to y's shape
#[derive(Clone, Copy)]
struct Binary(Kind);

impl Kind {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Kind::Add => a + b,
            Kind::Sub => a - b,
            Kind::Mul => a * b,
            Kind::Div => a / b,
            Kind::Max => larger(a, b),
            Kind::Min => smaller(a, b),
            Kind::Less => f64::from(a < b),
            Kind::LessEqual => f64::from(a <= b),
            Kind::Equal => f64::from(a == b),
            Kind::Pow if a.is_nan() || b.is_nan() => f64::NAN,
            Kind::Pow => a.powf(b),
        }
    }
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self.0 {
            Kind::Add => "add",
            Kind::Sub => "sub",
            Kind::Mul => "mul",
            Kind::Div => "div",
            Kind::Max => "maximum",
            Kind::Min => "minimum",
            Kind::Less => "less",
            Kind::LessEqual => "less_equal",
            Kind::Equal => "equal",
            Kind::Pow => "pow_tensor",
        }
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let y = x[0].broadcast(x[1]).ok_or("shapes do not broadcast (aligned at the end, 1 stretches)")?;
        match Layout::of(x[0], x[1], &y).dims.len() {
            0..=MAX_DIMS => Ok(y),
            n => Err(format!("takes at most {MAX_DIMS} separate dimensions, not {n}")),
        }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        if x[0].shape == x[1].shape {
            return x[0].iter().zip(x[1].iter()).map(|(&a, &b)| self.0.apply(a, b)).collect();
        }
        let strides = [x[0].shape.broadcast_strides(y), x[1].shape.broadcast_strides(y)];
        let offset = |at: &[usize], s: &[usize]| at.iter().zip(s).map(|(i, s)| i * s).sum::<usize>();
        y.indices().map(|at| self.0.apply(x[0][offset(&at, &strides[0])], x[1][offset(&at, &strides[1])])).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let layout = Layout::of(x[0].shape(), x[1].shape(), y.shape());
        let source =
            if layout.vec4 { shader!("elementwise/binary_vec4.wgsl") } else { shader!("elementwise/binary.wgsl") };
        let kernel = Kernel::new(source).op(self.0 as u32, self.name()).with("RANK", layout.dims.len());
        let kernel = match layout.vec4 {
            true => kernel.with("A_SPLAT", layout.a_splat()).with("B_SPLAT", layout.b_splat()),
            false => kernel,
        };
        let count = y.numel().div_ceil(if layout.vec4 { 4 } else { 1 });
        let eight = |list: &[usize]| [0, 1, 2, 3, 4, 5, 6, 7].map(|d| list.get(d).map_or(0, |&x| x as u32));
        let uniforms = uniforms![count, dims: eight(&layout.dims), a: eight(&layout.a), b: eight(&layout.b)];
        let slices = [x[0].slice(), x[1].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), elementwise_work(x, y, 1));
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let (a, b) = (&x[0], &x[1]);
        let da = || match self.0 {
            Kind::Add | Kind::Sub => Some(ct.clone()),
            Kind::Mul => Some(ct * b),
            Kind::Div => Some(ct / b),
            // Where both are equal the gradient goes to the first.
            Kind::Max => Some(ct * &b.less_equal(a)),
            Kind::Min => Some(ct * &a.less_equal(b)),
            Kind::Pow => Some(ct * &(b * &a.pow_tensor(&b.add_scalar(-1.0)))),
            _ => None,
        };
        let db = || match self.0 {
            Kind::Add => Some(ct.clone()),
            Kind::Sub => Some(-ct),
            Kind::Mul => Some(ct * a),
            Kind::Div => Some(-(&(ct * y) / b)),
            Kind::Max => Some(ct * &a.less(b)),
            Kind::Min => Some(ct * &b.less(a)),
            // The slope of 0^b is 0.
            Kind::Pow => {
                let zero = a.detach().equal(&Tensor::scalar(a.device(), 0.0));
                Some(ct * &(y * &zero.where_(&Tensor::scalar(a.device(), 1.0), a).log()))
            }
            _ => None,
        };
        let da = need[0].then(da).flatten().map(|g| g.sum_to(a.shape()));
        let db = need[1].then(db).flatten().map(|g| g.sum_to(b.shape()));
        vec![da, db]
    }
}

/// Dimensions the kernel walks at most, after neighbours that both operands step through evenly are merged.
const MAX_DIMS: usize = 8;

/// How the kernel walks: output dimensions with the strides of both operands, adjacent ones merged where possible.
struct Layout {
    dims: Vec<usize>,
    a: Vec<usize>,
    b: Vec<usize>,
    /// Whether four neighbours of the result always read four neighbours, or one element, of each operand.
    vec4: bool,
}

impl Layout {
    fn of(a: &Shape, b: &Shape, y: &Shape) -> Layout {
        let (sa, sb) = (a.broadcast_strides(y), b.broadcast_strides(y));
        let mut layout = Layout { dims: vec![], a: vec![], b: vec![], vec4: false };
        for d in (0..y.rank()).filter(|&d| y[d] != 1) {
            let n = layout.dims.len();
            // Merge with the dimension outside it when both operands step through the pair evenly.
            if n > 0 && layout.a[n - 1] == sa[d] * y[d] && layout.b[n - 1] == sb[d] * y[d] {
                layout.dims[n - 1] *= y[d];
                (layout.a[n - 1], layout.b[n - 1]) = (sa[d], sb[d]);
            } else {
                layout.dims.push(y[d]);
                layout.a.push(sa[d]);
                layout.b.push(sb[d]);
            }
        }
        if layout.dims.is_empty() {
            (layout.dims, layout.a, layout.b) = (vec![1], vec![0], vec![0]);
        }
        let last = layout.dims.len() - 1;
        let even = |strides: &[usize]| match strides[last] {
            1 => strides[..last].iter().all(|s| s % 4 == 0),
            stride => stride == 0,
        };
        let whole = last == 0 || layout.dims[last].is_multiple_of(4);
        layout.vec4 = whole && even(&layout.a) && even(&layout.b);
        layout
    }

    fn a_splat(&self) -> bool {
        self.a.last() == Some(&0)
    }

    fn b_splat(&self) -> bool {
        self.b.last() == Some(&0)
    }
}

/// y = c ? a : b, all of one shape
struct Choose;

impl Op for Choose {
    fn name(&self) -> &'static str {
        "where"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        if x[0] == x[1] && x[1] == x[2] { Ok(x[0].clone()) } else { Err("the shapes differ".into()) }
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        (0..x[0].len()).map(|i| if x[0][i] != 0.0 { x[1][i] } else { x[2][i] }).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let quads = y.numel().div_ceil(4);
        let slices = [x[0].slice(), x[1].slice(), x[2].slice(), y.slice()];
        let kernel = Kernel::new(shader!("elementwise/where.wgsl"));
        gpu.dispatch(&kernel, uniforms![quads], &slices, Workgroups::Elements(quads), elementwise_work(x, y, 0));
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let zero = Tensor::scalar(ct.device(), 0.0);
        vec![None, need[1].then(|| x[0].where_(ct, &zero)), need[2].then(|| x[0].where_(&zero, ct))]
    }
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident = $kind:ident)*) => {
        impl Tensor {
            $($(#[$doc])* #[track_caller] pub fn $name(&self, other: &Tensor) -> Tensor {
                apply(Binary(Kind::$kind), &[self, other])
            })*
        }
    };
}

binary! {
    /// The larger of two elements; NaN where one of them is.
    maximum = Max
    /// The smaller of two elements; NaN where one of them is.
    minimum = Min
    /// 1 where `self < other`, else 0.
    less = Less
    /// 1 where `self <= other`, else 0.
    less_equal = LessEqual
    /// 1 where the elements are equal, else 0.
    equal = Equal
    /// `self^other`, also of negative elements where the exponent is a whole number (else NaN); `0^0 = 1`.
    pow_tensor = Pow
}

impl Tensor {
    /// 1 where `self > other`, else 0.
    #[track_caller]
    pub fn greater(&self, other: &Tensor) -> Tensor {
        let _op = calling("greater");
        other.less(self)
    }

    /// 1 where `self >= other`, else 0.
    #[track_caller]
    pub fn greater_equal(&self, other: &Tensor) -> Tensor {
        let _op = calling("greater_equal");
        other.less_equal(self)
    }

    /// 1 where the element is NaN, else 0.
    pub fn is_nan(&self) -> Tensor {
        self.equal(self).affine(-1.0, 1.0)
    }

    /// `self` as a condition: `a` where it is not 0, else `b`. All three broadcast.
    #[track_caller]
    pub fn where_(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let _op = calling("where_");
        let shape = self.shape().broadcast(a.shape()).and_then(|s| s.broadcast(b.shape()));
        let Some(shape) = shape else {
            let op = called("where_");
            panic!("{op}: the shapes do not broadcast; shapes {}, {}, {}", self.shape(), a.shape(), b.shape())
        };
        apply(Choose, &[&self.broadcast_to(&shape), &a.broadcast_to(&shape), &b.broadcast_to(&shape)])
    }

    /// `[N]` (or `[1]`) as one factor for each sample of `x [N, ...]`: a reshape to `[N, 1, ...]` that broadcasts.
    #[track_caller]
    pub fn per_sample(&self, x: &Tensor) -> Tensor {
        let _op = calling("per_sample");
        let fits = [1, x.shape().first().copied().unwrap_or(0)].contains(&self.numel());
        assert!(fits && x.shape().rank() > 0, "per_sample: {} for samples {}", self.shape(), x.shape());
        let mut shape = vec![1; x.shape().rank()];
        shape[0] = self.numel();
        self.reshape(shape)
    }
}

macro_rules! operator {
    ($trait:ident $method:ident $kind:ident) => {
        impl std::ops::$trait<&Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                apply(Binary(Kind::$kind), &[self, other])
            }
        }
        impl std::ops::$trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                apply(Binary(Kind::$kind), &[&self, &other])
            }
        }
        impl std::ops::$trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                apply(Binary(Kind::$kind), &[&self, other])
            }
        }
        impl std::ops::$trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                apply(Binary(Kind::$kind), &[self, &other])
            }
        }
    };
}

operator!(Add add Add);
operator!(Sub sub Sub);
operator!(Mul mul Mul);
operator!(Div div Div);

impl std::ops::Mul<Tensor> for f64 {
    type Output = Tensor;
    fn mul(self, other: Tensor) -> Tensor {
        other.mul_scalar(self)
    }
}

impl std::ops::Mul<&Tensor> for f64 {
    type Output = Tensor;
    fn mul(self, other: &Tensor) -> Tensor {
        other.mul_scalar(self)
    }
}

/// Cases: every kind on equal shapes, one kind on every pattern of broadcasting.
pub fn cases() -> Vec<Case> {
    use Kind::*;
    let mut cases = Vec::new();
    for kind in [Add, Sub, Mul, Div, Max, Min, Less, LessEqual, Equal] {
        for n in [6, 0, 1, 1021, 4097, 20_001] {
            let inputs = match kind {
                Max | Min | Less | LessEqual => [Input::uniform([n], 0.0, 0.9), Input::uniform([n], 1.0, 2.0)],
                Equal => [Input::below([n], 3), Input::below([n], 3)],
                _ => [Input::apart([n], 0.4, 2.0), Input::apart([n], 0.4, 2.0)],
            };
            let run = move |x: &[Tensor]| apply(Binary(kind), &[&x[0], &x[1]]);
            let order = if n == 6 && !matches!(kind, Less | LessEqual | Equal) { 2 } else { 0 };
            cases.push(Case::new(format!("{kind:?} {n}"), inputs, run).ulps(4.0, 0.0).order(order));
        }
    }
    for n in [6, 1021] {
        let inputs = [Input::uniform([n], 0.4, 2.0), Input::apart([n], 0.4, 2.0)];
        let case = Case::new(format!("pow_tensor {n}"), inputs, |x| x[0].pow_tensor(&x[1])).ulps(16.0, 1.0);
        cases.push(case.order(if n == 6 { 2 } else { 0 }));
    }
    let inputs = [Input::apart([3, 4], 0.4, 2.0), Input::below([4], 4)];
    cases.push(Case::new("pow_tensor of both signs", inputs, |x| x[0].pow_tensor(&x[1])).ulps(16.0, 1.0));
    let inputs = || [Input::below([3, 4], 3), Input::below([4], 3)];
    cases.push(Case::new("greater", inputs(), |x| x[0].greater(&x[1])).exact().order(0));
    cases.push(Case::new("greater_equal", inputs(), |x| x[0].greater_equal(&x[1])).exact().order(0));
    let patterns: [(&[usize], &[usize]); 10] = [
        (&[3, 4], &[4]),
        (&[3, 4], &[3, 1]),
        (&[4], &[]),
        (&[2, 1, 3], &[4, 1]),
        (&[5, 8, 4], &[5, 1, 4]),
        (&[64, 33], &[33]),
        (&[65, 128], &[128]),
        (&[160, 128], &[160, 1]),
        (&[7, 5, 3, 12], &[7, 1, 1, 12]),
        (&[2, 0, 3], &[3]),
    ];
    for (a, b) in patterns {
        for flip in [false, true] {
            let inputs = if flip { [b, a] } else { [a, b] }.map(|s| Input::apart(s, 0.4, 2.0));
            let order = if a.iter().product::<usize>() <= 24 { 2 } else { 0 };
            let run = |x: &[Tensor]| &x[0] / &x[1];
            cases.push(Case::new(format!("div {a:?} {b:?} {flip}"), inputs, run).ulps(4.0, 0.0).order(order));
        }
    }
    let inputs = [Input::below([3, 1], 2), Input::unit([4]), Input::unit([3, 4])];
    cases.push(Case::new("where", inputs, |x| x[0].where_(&x[1], &x[2])).exact());
    let inputs = [Input::below([160, 1], 2), Input::unit([128]), Input::unit([160, 128])];
    cases.push(Case::new("where 160x128", inputs, |x| x[0].where_(&x[1], &x[2])).exact().order(0));
    cases
}
