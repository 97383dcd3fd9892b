//! The kernels that are timed, at sizes that fill a GPU.

use super::spot::draw;
use super::{Bench, Spot};
use crate::autodiff::grad;
use crate::error::Error;
use crate::gpu::Work;
use crate::ops::attention::Attention;
use crate::ops::conv2d::Conv;
use crate::ops::langevin::LangevinStep;
use crate::ops::{Case, Input};
use crate::optim::{Adam, AdamConfig};
use crate::tensor::{Device, Key, Tensor, Var};
use std::collections::VecDeque;
use std::rc::Rc;

/// Inputs rotate through this much memory: more than the last-level cache of common processors and GPUs.
const ROTATE_BYTES: usize = 256 << 20;
const MI: usize = 1 << 20;

/// One line for each kernel: name, case, what is checked, elements of the result, floating-point operations.
pub fn kernels() -> Vec<Bench> {
    let mut list = Vec::new();
    for (name, m, k, n) in [
        ("matmul_512", 512, 512, 512),
        ("matmul_1024", 1024, 1024, 1024),
        ("matmul_2048", 2048, 2048, 2048),
        ("matmul_1021x1019x1023", 1021, 1019, 1023),
    ] {
        list.push(matmul_by(name, [m, k, n], |a, b| a.matmul(b)));
    }
    list.extend(convolutions());
    list.extend(elementwise());
    list.extend(reductions());
    list.extend(images_and_rows());
    list.push(adam());
    list
}

/// `[m, k] x [k, n]`
pub(super) fn matmul_by(
    name: &'static str,
    [m, k, n]: [usize; 3],
    product: impl Fn(&Tensor, &Tensor) -> Tensor + 'static,
) -> Bench {
    let inputs = [Input::unit([m, k]), Input::unit([k, n])];
    let case = Case::new("matmul", inputs, move |x| product(&x[0], &x[1])).sum(k);
    bench(name, case, Spot::rows(4), m * n, 2 * m * k * n)
}

/// 3x3 convolutions with padding 1 over 64 images, c channels in and out: `conv2d_CcH`.
fn convolutions() -> Vec<Bench> {
    let names = [
        ("conv2d_64c32", "conv2d_64c32_input_grad", "conv2d_64c32_weight_grad", 64, 32),
        ("conv2d_128c16", "conv2d_128c16_input_grad", "conv2d_128c16_weight_grad", 128, 16),
        ("conv2d_61c31", "conv2d_61c31_input_grad", "conv2d_61c31_weight_grad", 61, 31),
    ];
    let how = Conv::same(3);
    let triple = |(forward, input_grad, weight_grad, c, h): (_, _, _, usize, usize)| {
        let (images, weights) = ([64, h, h, c], [c, 3, 3, c]);
        let (elements, flops) = (64 * h * h * c, 2 * 64 * h * h * c * 9 * c);
        let inputs = || [Input::unit(images), Input::unit(weights)];
        let y = Case::new(forward, inputs(), move |x| x[0].conv2d(&x[1], None, how)).sum(9 * c);
        let dx = Case::new(input_grad, inputs(), move |x| x[0].conv2d_input_grad(&x[1], [h, h], how)).sum(9 * c);
        let dw = move |x: &[Tensor]| x[0].conv2d_weight_grad(&x[1], [3, 3], how);
        let dw = Case::new(weight_grad, [Input::unit(images), Input::unit(images)], dw).sum(64 * h * h);
        // A weight gradient sums over all images; its first axis goes with the last of the cotangent.
        let filters = Spot::Ends { axis: 0, inputs: vec![Some(3)], width: 1 };
        [
            bench(forward, y, Spot::rows(1), elements, flops),
            bench(input_grad, dx, Spot::rows(1), elements, flops),
            bench(weight_grad, dw, filters, 9 * c * c, flops),
        ]
    };
    names.into_iter().flat_map(triple).collect()
}

fn elementwise() -> Vec<Bench> {
    let big = || Input::unit([16 * MI]);
    let add = Case::new("add", [big(), big()], |x| &x[0] + &x[1]);
    let bias = Case::new("bias", [Input::unit([64 * 1024, 256]), Input::unit([256])], |x| &x[0] + &x[1]);
    let silu = Case::new("silu", [Input::uniform([16 * MI], -8.0, 8.0)], |x| x[0].silu());
    let transpose = Case::new("transpose", [Input::unit([4096, 4096])], |x| x[0].transpose()).exact();
    let columns = Spot::Ends { axis: 1, inputs: vec![Some(0)], width: 3 };
    let key = Key::new(1);
    let normal = Case::new("normal", [Input::unit([1])], move |x| Tensor::normal(x[0].device(), [16 * MI], &key));
    let langevin = |x: &[Tensor]| LangevinStep::new(0.1, 0.3).apply(&x[0], &x[1], &Key::new(1));
    let langevin = Case::new("langevin", [big(), big()], langevin);
    let start = Spot::Start { inputs: vec![Some(0); 2], width: 5000 };
    vec![
        bench("add_16Mi", add, Spot::elements(2), 16 * MI, 16 * MI),
        bench("bias_add_64Kix256", bias, Spot::rows(16), 16 * MI, 16 * MI),
        bench("silu_16Mi", silu, Spot::elements(1), 16 * MI, 0),
        bench("transpose_4096", transpose, columns, 16 * MI, 0),
        bench("normal_16Mi", normal.ulps(64.0, 1.0), Spot::Whole, 16 * MI, 0),
        bench("langevin_16Mi", langevin.ulps(64.0, 1.0), start, 16 * MI, 0),
    ]
}

fn reductions() -> Vec<Bench> {
    let sum = Case::new("sum", [Input::unit([16 * MI])], |x| x[0].sum()).sum(16 * MI);
    let rows = Case::new("rows", [Input::unit([4096, 4096])], |x| x[0].sum_axes(&[1])).sum(4096);
    let columns = Case::new("columns", [Input::unit([64 * 1024, 256])], |x| x[0].sum_axes(&[0])).sum(64 * 1024);
    vec![
        bench("sum_16Mi", sum, Spot::Whole, 1, 16 * MI),
        bench("sum_rows_4096", rows, Spot::rows(16), 4096, 16 * MI),
        bench("sum_columns_64Kix256", columns, Spot::Ends { axis: 0, inputs: vec![Some(1)], width: 16 }, 256, 16 * MI),
    ]
}

fn images_and_rows() -> Vec<Bench> {
    let softmax = Case::new("softmax", [Input::uniform([4096, 1024], -4.0, 4.0)], |x| x[0].softmax(1));
    let images = || Input::unit([64, 32, 32, 64]);
    let pool = Case::new("pool", [images()], |x| x[0].avg_pool(2, 2, 0)).sum(4);
    let table = [Input::unit([64 * 1024, 256]), Input::below([64 * 1024], 64 * 1024)];
    let gather = Case::new("gather", table, |x| x[0].gather(0, &x[1])).exact();
    let rows = Spot::Ends { axis: 0, inputs: vec![None, Some(0)], width: 100 };
    let norm = |x: &[Tensor]| x[0].group_norm_silu(8, 1e-5, Some((&x[1], &x[2])));
    let norm = Case::new("norm", [images(), Input::uniform([64], 0.5, 1.5), Input::unit([64])], norm);
    // Forward and backward.
    let norm_grad = |x: &[Tensor]| {
        let (images, scale, bias) = (x[0].tracked(), x[1].tracked(), x[2].tracked());
        let y = images.group_norm_silu(8, 1e-5, Some((&scale, &bias))) * &x[3];
        grad(&y.sum(), &[&images, &scale, &bias]).remove(0)
    };
    let inputs = [images(), Input::uniform([64], 0.5, 1.5), Input::unit([64]), images()];
    let norm_grad = Case::new("norm grad", inputs, norm_grad);
    let one_image = Spot::Ends { axis: 0, inputs: vec![Some(0), None, None, Some(0)], width: 1 };
    let heads = || Input::unit([64, 256, 64]);
    let attention = |x: &[Tensor]| x[0].scaled_dot_product_attention(&x[1], &x[2], Attention::default());
    let attention = Case::new("attention", [heads(), heads(), heads()], attention);
    let one_head = Spot::Ends { axis: 0, inputs: vec![Some(0); 3], width: 1 };
    vec![
        bench("group_norm_silu_64c32", norm.ulps(32.0, 1.0), Spot::rows(1), 4 * MI, 0),
        bench("group_norm_silu_64c32_grad", norm_grad.ulps(256.0, 1.0), one_image, 4 * MI, 0),
        bench("attention_64x256x64", attention.ulps(256.0, 1.0), one_head, MI, 4 * 64 * 256 * 256 * 64),
        bench("softmax_4096x1024", softmax.ulps(64.0, 0.0), Spot::rows(16), 4 * MI, 0),
        bench("avg_pool_64c32", pool, Spot::rows(1), MI, 4 * MI),
        bench("gather_rows", gather, rows, 16 * MI, 0),
    ]
}

/// One Adam step over 16 Mi parameters: reads p, m, v, g, writes p, m, v, and reads g once more for its norm.
fn adam() -> Bench {
    let n = 16 * MI;
    let optimiser = |device: &Device, n: usize| {
        let p = Var::new(&Tensor::normal(device, [n], &Key::new(1)));
        (Adam::new(&p, AdamConfig::default()), p, Tensor::normal(device, [n], &Key::new(2)))
    };
    Bench {
        name: "adam_16Mi",
        work: Work { bytes: n as u64 * 32, flops: 0 },
        check: Box::new(move |device| {
            let after = |device: &Device| {
                let (adam, p, g) = optimiser(device, 10_001);
                adam.step(&g, &Tensor::new(device, [4], &adam.next_numbers()));
                p.get().to_f64()
            };
            // Normal draws differ by at most 64 ulp of 1 + |x| between devices, a step by its own rounding.
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 128.0 * f32::EPSILON as f64 * (1.0 + a.abs());
            match after(&Device::Oracle)?.iter().zip(&after(device)?).all(close) {
                true => Ok(()),
                false => Err(Error::Device("adam_16Mi is wrong".into())),
            }
        }),
        setup: Box::new(move |device| {
            let (adam, _, g) = optimiser(device, n);
            let numbers = Tensor::new(device, [4], &adam.next_numbers());
            Box::new(move || drop(adam.step(&g, &numbers)))
        }),
    }
}

/// A benchmark of a case: each element of the inputs and of the result is moved once.
fn bench(name: &'static str, case: Case, spot: Spot, result: usize, flops: usize) -> Bench {
    let input_bytes = case.inputs.iter().map(|i| i.shape.numel() * 4).sum::<usize>();
    let sets = (ROTATE_BYTES / input_bytes.max(1)).clamp(1, 8);
    let case = Rc::new(case);
    let (checked, timed) = (case.clone(), case);
    Bench {
        name,
        work: Work { bytes: (input_bytes + result * 4) as u64, flops: flops as u64 },
        check: Box::new(move |device| {
            let x = draw(&checked, device, &Key::new(2));
            let y = (checked.run)(&x);
            spot.check(name, &checked, &x, &y)
        }),
        setup: Box::new(move |device| {
            let key = Key::new(3);
            let mut inputs: VecDeque<_> = (0..sets).map(|i| draw(&timed, device, &key.index(i as u64))).collect();
            let case = timed.clone();
            // Results are kept as long as the inputs, so that they rotate too.
            let mut results: VecDeque<Tensor> = VecDeque::new();
            Box::new(move || {
                inputs.rotate_left(1);
                results.push_back((case.run)(&inputs[0]));
                if results.len() > sets {
                    results.pop_front();
                }
            })
        }),
    }
}
