//! # Derivatives of any order from one rule per operation
//!
//! Training needs `dL/dtheta`; a Langevin step needs `dE/dx`; a gradient through a Langevin step needs the derivative of that. All
//! of them come from the chain rule, applied backwards. A program is a list of operations `y = f(x)`. Going backwards each
//! is asked one question: given `ct = dL/dy` (the **cotangent**), what is
//!
//! `dL/dx_i = sum_j ct_j dy_j/dx_i`?
//!
//! That is the operation's **vjp** (vector-Jacobian product). The Jacobian itself is never built: for `y = silu(x)` on a million
//! numbers it would have 10^12 entries, and the vjp is one multiplication each.
//!
//! ```
//! use ebm::prelude::*;
//!
//! let x = Tensor::new(&Device::oracle(), [3], &[-1.0, 0.5, 2.0]).tracked();
//! let y = x.pow(3.0).sum();
//! // 3 x^2. `grad` gives constants; `grad_graph` gives a result that remembers how it was made ...
//! let first = grad_graph(&y, &[&x]).remove(0);
//! assert_eq!(first.to_vec()?, [3.0, 0.75, 12.0]);
//! // ... and so can be differentiated again: 6 x.
//! let second = grad(&first.sum(), &[&x]).remove(0);
//! assert_eq!(second.to_vec()?, [-6.0, 3.0, 12.0]);
//! # Ok::<(), Error>(())
//! ```
//!
//! ## Why the second derivative is free
//!
//! Every vjp in this crate is written with the crate's own public operations (`Op::vjp`; the table in [`crate::ops`] says which).
//! For a matrix product `c = a b` it is `dL/da = ct b^T` and `dL/db = a^T ct`: two products. For a convolution, its
//! two gradients are convolutions of kinds that are operations themselves, each one's derivatives being the other two. So the
//! derivative of a program is again a program of the same operations, and a second backward pass needs nothing new.
//!
//! ## Checking by hand
//!
//! Nobody should believe a vjp that was not compared with differences along a random direction d:
//!
//! `(f(x + h d) - f(x - h d)) / 2h = f'(x) d + O(h^2)`, plus rounding of about `eps |f| / h`
//!
//! Too large an h and the curvature shows; too small and all digits cancel. The best h is near `eps^(1/3)`: the error
//! left is about 1e-10 in f64 and only 1e-5 in f32 (the picture). So `autodiff::check_grads` works in f64, on every operation, to
//! second order: the tests of this crate run it on each entry of `ops::list()`.
//!
//! ```
//! use ebm::autodiff::check_grads;
//! use ebm::prelude::*;
//! use ebm::tensor::Array;
//!
//! // An energy of one's own passes before it is trained.
//! let energy = |x: &[Tensor]| x[0].silu().square().sum();
//! let x = Array::new([4], vec![-2.0, -0.3, 0.7, 1.9]);
//! assert!(check_grads(&energy, &[x], 2, &Key::new(0)) < 1e-8);
//! ```

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::autodiff::grad;
use crate::error::Result;
use crate::gpu::Workgroups;
use crate::plot::Curves;
use crate::tensor::{Device, Key, Tensor};
use crate::uniforms;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 4,
    name: "derivatives",
    source: include_str!("l04_derivatives.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "4.1-silu-vjp.wgsl",
            task: "write the vjp of silu(x) = x / (1 + exp(-x))",
            stub: include_str!("exercises/4.1-silu-vjp.wgsl"),
            check: silu_vjp,
        },
        Exercise {
            file: "4.2-product-vjp.wgsl",
            task: "write the vjp of a matrix product with respect to its first factor",
            stub: include_str!("exercises/4.2-product-vjp.wgsl"),
            check: product_vjp,
        },
    ],
};

/// A small net `f(x) = sum tanh(x W)^2`, x `[1, 16]`.
fn net(x: &Tensor) -> Tensor {
    let w = Tensor::normal(x.device(), [16, 64], &Key::new(1)).mul_scalar(0.25);
    x.matmul(&w).tanh().square().sum()
}

/// The relative errors of central differences with the steps `h`, on a device.
fn errors(device: &Device, h: &[f64]) -> Result<Vec<f64>> {
    let point = |device: &Device| Tensor::normal(device, [1, 16], &Key::new(2));
    let d = Tensor::normal(device, [1, 16], &Key::new(3));
    // The truth: the vjp in f64.
    let x = point(&Device::oracle()).tracked();
    let slope = grad(&net(&x), &[&x]).remove(0).to_f64()?;
    let truth: f64 = slope.iter().zip(d.to_f64()?).map(|(g, d)| g * d).sum();
    let x = point(device);
    let at = |h: f64| net(&(&x + &d.mul_scalar(h))).item();
    h.iter().map(|&h| Ok((((at(h)? - at(-h)?) / (2.0 * h) - truth) / truth).abs())).collect()
}

/// Draws how wrong differences are against their step, in f64 and on the reader's device.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let powers: Vec<f64> = (0..=36).map(|i| -9.0 + 0.25 * f64::from(i)).collect();
    let h: Vec<f64> = powers.iter().map(|p| 10f64.powf(*p)).collect();
    let mut chart = Curves::new("relative error of a central difference").along("log10 of the step h").log_y();
    let devices = [Device::oracle(), device.clone()];
    for (name, device) in
        ["f64 (the oracle)", "f32 (this device)"].into_iter().zip(&devices[..1 + usize::from(device.gpu().is_some())])
    {
        let errors = errors(device, &h)?;
        let best = (0..h.len()).min_by(|&i, &j| errors[i].total_cmp(&errors[j])).unwrap_or(0);
        page.say(&format!(
            "{name}: the best step is {:.0e}, where the difference is off by {:.0e}.",
            h[best], errors[best]
        ))?;
        chart = chart.series(name, &powers, &errors);
    }
    page.svg(&chart.svg(), "Rounding on the left, curvature on the right.");
    Ok(())
}

fn silu_vjp(attempt: &Attempt) -> Checked {
    let x: Vec<f32> = (0..32).map(|i| -4.0 + 0.25 * i as f32).collect();
    let ct: Vec<f32> = (0..32).map(|i| 1.5 - 0.1 * i as f32).collect();
    let got = attempt.map("silu_vjp(x0[i], x1[i])", &[&x, &ct])?;
    let each = |f: fn(f32, f32) -> f32| x.iter().zip(&ct).map(|(&x, &ct)| f(x, ct)).collect::<Vec<f32>>();
    fn s(x: f32) -> f32 {
        1.0 / (1.0 + (-x).exp())
    }
    judge(
        &got,
        &each(|x, ct| ct * s(x) * (1.0 + x * (1.0 - s(x)))),
        &[
            (each(|_, _| 0.0), "this is 0 everywhere: dL/dx = ct silu'(x)"),
            (
                each(|x, _| s(x) * (1.0 + x * (1.0 - s(x)))),
                "this is silu'(x): the cotangent ct is not used, so the chain ends here",
            ),
            (each(|x, ct| ct * s(x)), "the product rule has two terms: s(x) is one of them, x s'(x) is missing"),
            (
                each(|x, ct| ct * x * s(x) * (1.0 - s(x))),
                "the product rule has two terms: x s'(x) is one of them, s(x) is missing",
            ),
            (each(|x, ct| ct * s(x) * (1.0 - s(x))), "this is ct s'(x): silu is x s(x), so the product rule is wanted"),
            (each(|x, ct| ct * x * s(x)), "this is ct silu(x), the function itself in place of its derivative"),
            (each(|x, ct| ct * s(x) * (1.0 - x * (1.0 - s(x)))), "a sign: s'(x) = s(x) (1 - s(x)) is positive"),
        ],
    )
}

fn product_vjp(attempt: &Attempt) -> Checked {
    let [m, n, k] = [5usize, 3, 7];
    let draw = |count: usize, name| -> Vec<f32> {
        (0..count as u64).map(|i| Key::new(0).named(name).uniform(i) as f32).collect()
    };
    let (ct, b) = (draw(m * n, "ct"), draw(k * n, "b"));
    let stub = LESSON.exercises[1].stub;
    let got = attempt.kernel(stub, uniforms![m, n, k], &[&ct, &b], m * k, Workgroups::Elements(m * k))?.rows("da", k);
    let sum = |terms: std::ops::Range<usize>, f: fn(usize, usize, usize) -> [usize; 2]| -> Vec<f32> {
        let at = |x: &[f32], i: usize| x.get(i).copied().unwrap_or(f32::NAN);
        let element = |e: usize| terms.clone().map(|j| f(e / k, e % k, j)).map(|[i, j]| at(&ct, i) * at(&b, j)).sum();
        (0..m * k).map(element).collect()
    };
    judge(
        &got,
        &sum(0..n, |i, l, j| [i * 3 + j, l * 3 + j]),
        &[
            (vec![0.0; m * k], "every da[m, k] is 0: add up ct[m, n] b[k, n] over n"),
            (sum(n - 1..n, |i, l, j| [i * 3 + j, l * 3 + j]), "only the last product is left: add to sum with +="),
            (
                sum(0..n, |i, l, j| [i * 3 + j, j * 7 + l]),
                "b is read as if it were transposed: row k of b begins at k * p.n",
            ),
            (
                sum(0..k, |i, l, j| [i * 3 + j, l * 3 + j]),
                "yours has k terms and should have n: it runs over the columns, the axis that ct and b share",
            ),
            (
                sum(0..n, |i, l, j| [j * 3 + i, l * 3 + j]),
                "ct is read as if it were transposed: row m of ct begins at m * p.n",
            ),
        ],
    )
}
