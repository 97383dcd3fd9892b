//! Reverse mode: walk the history backwards and apply each node's vector-Jacobian product.

use crate::tensor::{Paused, Tensor};
use std::collections::{HashMap, HashSet};

/// The gradients `d sum(y) / dx` for each x, as constants.
///
/// A tensor that `y` does not depend on gets zeros.
///
/// ```
/// # use ebm::prelude::*;
/// let x = Tensor::new(&Device::oracle(), [2], &[3.0, 4.0]).tracked();
/// assert_eq!(grad(&x.square().sum(), &[&x])[0].to_vec().unwrap(), [6.0, 8.0]);
/// ```
#[track_caller]
pub fn grad(y: &Tensor, xs: &[&Tensor]) -> Vec<Tensor> {
    let _paused = Paused::new();
    walk(y, xs)
}

/// [`grad`] whose results remember how they were made, so that they can be differentiated again.
///
/// ```
/// # use ebm::prelude::*;
/// let x = Tensor::new(&Device::oracle(), [1], &[2.0]).tracked();
/// let dx = grad_graph(&(&x.square() * &x).sum(), &[&x]).remove(0); // 3 x^2
/// assert_eq!(grad(&dx.sum(), &[&x])[0].to_vec().unwrap(), [12.0]); // 6 x
/// ```
#[track_caller]
pub fn grad_graph(y: &Tensor, xs: &[&Tensor]) -> Vec<Tensor> {
    walk(y, xs)
}

#[track_caller]
fn walk(y: &Tensor, xs: &[&Tensor]) -> Vec<Tensor> {
    for x in xs {
        assert!(x.is_tracked(), "grad: a tensor of shape {} is not tracked; call tracked()", x.shape());
    }
    let targets: HashSet<u64> = xs.iter().map(|x| x.id()).collect();
    let order = topological(y);
    // What leads to a target. Everything else (weights, while only dE/dx is wanted) is never visited.
    let mut leads: HashSet<u64> = targets.clone();
    for tensor in &order {
        if tensor.node().is_some_and(|node| node.inputs.iter().any(|i| leads.contains(&i.id()))) {
            leads.insert(tensor.id());
        }
    }
    let mut cotangents: HashMap<u64, Tensor> = HashMap::new();
    cotangents.insert(y.id(), Tensor::full(y.device(), y.shape(), 1.0));
    for tensor in order.iter().rev().filter(|t| leads.contains(&t.id())) {
        let Some(node) = tensor.node() else { continue };
        let taken = if targets.contains(&tensor.id()) {
            cotangents.get(&tensor.id()).cloned()
        } else {
            cotangents.remove(&tensor.id())
        };
        let Some(ct) = taken else { continue };
        let need: Vec<bool> = node.inputs.iter().map(|i| leads.contains(&i.id())).collect();
        let parts = node.op.vjp(&node.inputs, tensor, &ct, &need);
        for ((input, part), _) in node.inputs.iter().zip(parts).zip(&need).filter(|(_, need)| **need) {
            let Some(part) = part else { continue };
            assert_eq!(part.shape(), input.shape(), "{}: a gradient has another shape than its input", node.op.name());
            let sum = match cotangents.remove(&input.id()) {
                Some(before) => &before + &part,
                None => part,
            };
            cotangents.insert(input.id(), sum);
        }
    }
    let gradient = |x: &&Tensor| cotangents.get(&x.id()).cloned();
    xs.iter().map(|x| gradient(x).unwrap_or_else(|| Tensor::zeros(x.device(), x.shape()))).collect()
}

/// Every tensor `y` was made from, inputs before results.
fn topological(y: &Tensor) -> Vec<Tensor> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    // (tensor, whether its inputs are done): an explicit stack, so that long chains do not overflow.
    let mut stack = vec![(y.clone(), false)];
    while let Some((tensor, done)) = stack.pop() {
        if done {
            order.push(tensor);
        } else if seen.insert(tensor.id()) {
            let inputs = tensor.node().map(|n| n.inputs.clone()).unwrap_or_default();
            stack.push((tensor, true));
            stack.extend(inputs.into_iter().filter(|i| i.is_tracked()).map(|i| (i, false)));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, no_grad};

    fn value(x: f64) -> Tensor {
        Tensor::from_f64(&Device::oracle(), [1], vec![x]).tracked()
    }

    #[test]
    fn a_tensor_used_twice_gets_both_parts() {
        let x = value(3.0);
        let y = &(&x * &x) + &x;
        assert_eq!(grad(&y, &[&x])[0].item().unwrap(), 7.0);
    }

    #[test]
    fn third_derivatives_follow_from_the_same_rules() {
        let x = value(0.7);
        let d1 = grad_graph(&x.sin(), &[&x]).remove(0);
        let d2 = grad_graph(&d1, &[&x]).remove(0);
        let d3 = grad(&d2, &[&x]).remove(0);
        assert!((d3.item().unwrap() + 0.7f64.cos()).abs() < 1e-15);
    }

    #[test]
    fn the_gradient_of_an_inner_tensor_and_of_an_unused_one() {
        let (x, unused) = (value(2.0), value(1.0));
        let h = x.square();
        let y = h.square();
        let g = grad(&y, &[&h, &x, &unused]);
        assert_eq!(g.iter().map(|g| g.item().unwrap()).collect::<Vec<_>>(), [8.0, 32.0, 0.0]);
    }

    #[test]
    fn constants_carry_no_history_and_long_chains_do_not_overflow() {
        let x = value(1.0);
        assert!(!x.detach().square().is_tracked() && no_grad(|| x.square()).node().is_none());
        let mut y = x.clone();
        for _ in 0..100_000 {
            y = y.mul_scalar(1.0);
        }
        assert_eq!(grad(&y, &[&x])[0].item().unwrap(), 1.0);
    }
}
