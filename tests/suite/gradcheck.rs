//! Every derivative rule against central differences, to order 2, in f64.

use ebm::autodiff::check_grads;
use ebm::ops::{Case, list};
use ebm::tensor::{Array, Device, Key, Tensor};

#[test]
fn every_op_agrees_with_finite_differences_to_order_2() {
    let mut failures = Vec::new();
    for entry in list() {
        let mut checked = 0;
        for case in (entry.cases)().iter().filter(|c| c.order > 0) {
            let error = check(case);
            checked += 1;
            if !(error < 1e-6) {
                failures.push(format!("{} {}: relative error {error:e}", entry.name, case.label));
            }
        }
        println!("{}: {checked} cases", entry.name);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Case) -> f64 {
    let key = Key::new(11).named(&case.label);
    let values = case.draw(&key);
    let arrays: Vec<Array> =
        case.inputs.iter().zip(values).map(|(input, v)| Array::new(input.shape.clone(), v)).collect();
    // Inputs without a derivative (indices, conditions) stay fixed.
    let free: Vec<usize> = (0..arrays.len()).filter(|&i| case.inputs[i].differentiable()).collect();
    let f = |xs: &[Tensor]| {
        let mut all: Vec<Tensor> =
            arrays.iter().map(|a| Tensor::from_f64(&Device::Oracle, a.shape.clone(), a.to_vec())).collect();
        free.iter().zip(xs).for_each(|(&i, x)| all[i] = x.clone());
        (case.run)(&all)
    };
    let xs: Vec<Array> = free.iter().map(|&i| arrays[i].clone()).collect();
    check_grads(&f, &xs, case.order, &key)
}
