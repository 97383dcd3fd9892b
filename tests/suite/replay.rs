//! Captured steps: the same bits as eager ones, and no growth of memory.

use crate::support;
use ebm::optim::{OptimizerConfig, RateConfig, SgdConfig};
use ebm::prelude::*;

/// A toy training loop with everything that changes between steps: a clock, a variable, fresh noise.
pub fn run(device: &Device, mut captured: Option<CapturedStep<Tensor>>, n: u64) -> Vec<u32> {
    let key = Key::new(3).named("noise");
    let clock = Var::from_host(device, [1], &[0.0]);
    let weights = Var::new(&Tensor::uniform(device, [64, 8], &Key::new(1)));
    let mut losses = Vec::new();
    for i in 0..n {
        clock.write(&[i as f32]);
        let step = || {
            let w = weights.get().tracked();
            let x = Tensor::normal(device, [64, 8], &key.clocked(&clock.get()));
            let loss = (&(&w * &x).silu() - &x.sin()).square().mean();
            let g = grad(&loss, &[&w]).remove(0);
            weights.set(&w - &g.mul_scalar(0.5));
            loss
        };
        let loss = captured.as_mut().map_or_else(step, |captured| captured.run(step));
        device.flush();
        losses.push(loss.to_vec().unwrap()[0]);
    }
    losses.extend(weights.get().to_vec().unwrap());
    losses.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn replayed_steps_give_the_bits_of_eager_ones() {
    let Some(device) = support::gpu("replayed_steps_give_the_bits_of_eager_ones", false) else { return };
    let eager = run(&device, None, 6);
    let replayed = run(&device, Some(CapturedStep::new(&device)), 6);
    assert_eq!(eager, replayed);
    assert_ne!(eager[0], eager[1], "the loss must move");
}

#[test]
fn a_thousand_steps_do_not_grow_device_memory() {
    let Some(device) = support::gpu("a_thousand_steps_do_not_grow_device_memory", false) else { return };
    let gpu = device.gpu().unwrap();
    run(&device, None, 20);
    let before = (gpu.pool_stats().created, gpu.allocator_report());
    run(&device, None, 1000);
    assert_eq!(before, (gpu.pool_stats().created, gpu.allocator_report()));
}

/// Products of this size read arrays as texels on software adapters, from copies.
#[test]
fn an_array_that_changes_between_two_reads_is_read_anew() {
    let Some(device) = support::gpu("an_array_that_changes_between_two_reads_is_read_anew", false) else { return };
    let n = 65_536;
    let (first, second) = (vec![0.5; n], vec![-2.0; n]);
    let identity: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i / 256 == i % 256))).collect();
    let identity = Tensor::new(&device, [256, 256], &identity);
    let times = |x: &Tensor| x.reshape([256, 256]).matmul(&identity).reshape([n]);
    let x = Var::from_host(&device, [n], &first);
    let read = || times(&x.get());
    let (before, twice) = (read(), read());
    x.write(&second); // by the host
    let after = read();
    let whole = Var::new(&read());
    // In place by a kernel: p <- p - lr g.
    let sgd = SgdConfig { rate: RateConfig { lr: 1.0, ..Default::default() }, momentum: 0.0, ..Default::default() };
    let optimizer = OptimizerConfig::Sgd(sgd).build(&whole);
    let numbers = Tensor::new(&device, [4], &optimizer.next_numbers());
    let unmoved = times(&whole.get()).to_vec().unwrap();
    optimizer.step(&Tensor::full(&device, [n], 1.0), &numbers);
    let moved = times(&whole.get()).to_vec().unwrap();
    let check = |got: Vec<f32>, want: f32| assert!(got.iter().all(|v| (v - want).abs() < 1e-4), "{} {want}", got[0]);
    check(before.to_vec().unwrap(), 0.5);
    check(twice.to_vec().unwrap(), 0.5);
    check(after.to_vec().unwrap(), -2.0);
    check(unmoved, -2.0);
    check(moved, -3.0);
}
