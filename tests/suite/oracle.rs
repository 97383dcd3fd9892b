//! Every kernel against the f64 oracle, in checked and unchecked shaders, and second derivatives on the GPU.

use crate::support;
use ebm::autodiff::grad_graph;
use ebm::gpu::{Choices, MatrixUnits, Profile, Tuned};
use ebm::ops::{Case, list};
use ebm::tensor::{Array, Device, Key, Tensor};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn every_kernel_agrees_with_the_oracle() {
    let Some(fast) = support::gpu("every_kernel_agrees_with_the_oracle", false) else { return };
    let Some(checked) = support::gpu("every_kernel_agrees_with_the_oracle", true) else { return };
    let mut failures = Vec::new();
    for entry in list() {
        for case in (entry.cases)() {
            let values = case.draw(&Key::new(5).named(&case.label));
            let gpu = run(&case, &fast, &values);
            if gpu.iter().map(|v| v.to_bits()).ne(run(&case, &checked, &values).iter().map(|v| v.to_bits())) {
                failures.push(format!("{} {}: checked and unchecked shaders differ", entry.name, case.label));
            }
            if let Err(why) = case.judge(&arrays(&case, &values), &gpu) {
                failures.push(format!("{} {}: {why}", entry.name, case.label));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The kernels for a real GPU, and those for software without subgroups, must be right although this machine prefers others.
#[test]
fn kernels_for_other_adapters_agree_with_the_oracle() {
    let name = "kernels_for_other_adapters_agree_with_the_oracle";
    let gpu = support::gpu_as(name, |p| (p.software, p.subgroup) = (false, None));
    let software = support::gpu_as(name, |p| (p.software, p.subgroup) = (true, None));
    let mut failures = Vec::new();
    for device in [gpu, software].iter().flatten() {
        for (entry, case) in list().iter().flat_map(|e| (e.cases)().into_iter().map(move |c| (e.name, c))) {
            let values = case.draw(&Key::new(9).named(&case.label));
            if let Err(why) = case.judge(&arrays(&case, &values), &run(&case, device, &values)) {
                failures.push(format!("{entry} {}: {why}", case.label));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whatever `ebm tune` may choose computes the same product.
#[test]
fn every_plan_of_a_product_agrees_with_the_oracle() {
    let name = "every_plan_of_a_product_agrees_with_the_oracle";
    let this = support::gpu(name, false);
    let other = support::gpu_as(name, |p| (p.software, p.subgroup) = (false, None));
    // Splits that are needed, ragged edges, operations of every loader, a bias; of kernels for other adapters two.
    let some = [
        "1x65x127x129 true false",
        "1x257x66x131 false true",
        "1x3x5x300001 false",
        "linear 255x129x65",
        "[2, 16, 16, 64]",
    ];
    let mut failures = Vec::new();
    for (device, some, least) in [(&this, &some[..], 30), (&other, &some[..2], 8)] {
        let Some(device) = device else { continue };
        let (gpu, mut plans) = (device.gpu().unwrap(), 0);
        for case in list().iter().flat_map(|entry| (entry.cases)()).filter(|c| some.iter().any(|s| c.label.contains(s)))
        {
            let values = case.draw(&Key::new(13).named(&case.label));
            let found = Rc::new(RefCell::new(Vec::new()));
            let told = found.clone();
            gpu.choose_by(Choices::new());
            let tell = move |tuned: &Tuned| told.borrow_mut().push(tuned.clone());
            gpu.tune(Duration::from_secs(600), tell, || drop(run(&case, device, &values)));
            for Tuned { task, candidates, .. } in found.take() {
                for (plan, _) in candidates {
                    gpu.choose_by([(task.clone(), plan.clone())].into());
                    plans += 1;
                    if let Err(why) = case.judge(&arrays(&case, &values), &run(&case, device, &values)) {
                        failures.push(format!("{} by {plan}: {why}", case.label));
                    }
                }
            }
        }
        assert!(plans >= least, "only {plans} plans were tried");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// On numbers that f16 holds, products on matrix units are as near the oracle as those of f32. By hand: this machine has no such units.
#[test]
fn matrix_units_multiply_what_f16_holds() {
    let pretend = |p: &mut Profile| {
        (p.software, p.subgroup, p.matrix_units) = (false, None, Some(MatrixUnits { side: 16, by_hand: true }));
    };
    let Some(device) = support::gpu_as("matrix_units_multiply_what_f16_holds", pretend) else { return };
    let mut failures = Vec::new();
    for entry in list().iter().filter(|entry| ["matmul", "conv2d"].contains(&entry.name)) {
        // One of the four largest is enough.
        for case in (entry.cases)().iter().filter(|c| !c.label.starts_with("128x") || c.label.ends_with("true false")) {
            let rounded = |v: Vec<f64>| v.iter().map(|x| (x * 64.0).round() / 64.0).collect();
            let values: Vec<Vec<f64>> = case.draw(&Key::new(11).named(&case.label)).into_iter().map(rounded).collect();
            if let Err(why) = case.judge(&arrays(case, &values), &run(case, &device, &values)) {
                failures.push(format!("{} {}: {why}", entry.name, case.label));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let used: Vec<String> =
        device.gpu().unwrap().kernels().into_keys().filter(|k| k.starts_with("gemm/coop")).collect();
    for part in ["BM=64", "BM=128", "load_matmul", "load_conv_forward", "load_conv_input_grad", "load_conv_weight_grad"]
    {
        assert!(used.iter().any(|kernel| kernel.contains(part)), "{part} was not tried: {used:?}");
    }
}

/// What rounding to f16 costs: |error| <= (2^-10 + 2^-22) sum |a| |b|.
#[test]
fn matrix_units_round_their_operands_alone() {
    let pretend = |p: &mut Profile| {
        (p.software, p.subgroup, p.matrix_units) = (false, None, Some(MatrixUnits { side: 16, by_hand: true }));
    };
    let Some(device) = support::gpu_as("matrix_units_round_their_operands_alone", pretend) else { return };
    let draw = |name: &str| Tensor::normal(&Device::Oracle, [96, 96], &Key::new(3).named(name));
    let (a, b) = (draw("a"), draw("b"));
    let there = |x: &Tensor| Tensor::from_f64(&device, [96, 96], x.to_f64().unwrap());
    let got = there(&a).matmul(&there(&b)).to_f64().unwrap();
    let (want, bound) = (a.matmul(&b).to_f64().unwrap(), a.abs().matmul(&b.abs()).to_f64().unwrap());
    let worst = (0..got.len()).map(|i| (got[i] - want[i]).abs() / bound[i]).fold(0.0, f64::max);
    let allowed = 2f64.powi(-10) + 2f64.powi(-22);
    assert!((1e-5..allowed).contains(&worst), "{worst} of the sum of |a| |b|: f32 gives 1e-7, f16 up to {allowed}");
}

fn run(case: &Case, device: &Device, values: &[Vec<f64>]) -> Vec<f64> {
    (case.run)(&case.tensors(device, values)).to_f64().unwrap()
}

fn arrays(case: &Case, values: &[Vec<f64>]) -> Vec<Array> {
    case.inputs.iter().zip(values).map(|(input, v)| Array::new(input.shape.clone(), v.clone())).collect()
}

#[test]
fn second_derivatives_on_the_gpu_agree_with_the_oracle() {
    let Some(gpu) = support::gpu("second_derivatives_on_the_gpu_agree_with_the_oracle", false) else { return };
    let mut failures = Vec::new();
    for entry in list() {
        for case in (entry.cases)().iter().filter(|c| c.order >= 2) {
            let values = case.draw(&Key::new(6).named(&case.label));
            let want = second_order(case, &Device::Oracle, &values);
            let got = second_order(case, &gpu, &values);
            let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let difference: Vec<f64> = want.iter().zip(&got).map(|(a, b)| a - b).collect();
            if !(norm(&difference) <= 1e-3 * norm(&want).max(1e-3)) {
                failures.push(format!("{} {}: {} of {}", entry.name, case.label, norm(&difference), norm(&want)));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The gradient of |d sum(w f) / dx|^2 with respect to the inputs, all in one list.
fn second_order(case: &Case, device: &Device, values: &[Vec<f64>]) -> Vec<f64> {
    let all = case.tensors(device, values);
    let all: Vec<Tensor> =
        all.iter().zip(&case.inputs).map(|(x, i)| if i.differentiable() { x.tracked() } else { x.clone() }).collect();
    let free: Vec<&Tensor> = all.iter().filter(|x| x.is_tracked()).collect();
    let y = (case.run)(&all);
    let key = Key::new(8);
    let weights = Tensor::from_f64(device, y.shape(), (0..y.numel() as u64).map(|i| key.uniform(i)).collect());
    let first = grad_graph(&(&y * &weights).sum(), &free);
    let square = first.iter().map(|g| g.square().sum()).reduce(|a, b| &a + &b).unwrap();
    let second = if square.is_tracked() {
        grad_graph(&square, &free)
    } else {
        free.iter().map(|x| Tensor::zeros(device, x.shape())).collect()
    };
    first.iter().chain(&second).flat_map(|g| g.to_f64().unwrap()).collect()
}
