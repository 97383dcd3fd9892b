//! The kernels of `ebm bench` under criterion: each is checked against the oracle, then timed.
//!
//! `cargo bench --bench kernels` runs all of them, `cargo bench --bench kernels -- matmul` those with that name.

use criterion::{Criterion, SamplingMode, Throughput};
use ebm::bench::{Bench, all};
use ebm::gpu::{Options, pin_software_threads};
use ebm::tensor::Device;
use std::time::Duration;

fn main() {
    let device = match Device::choose("auto", Options::default()) {
        Ok(device) => device,
        Err(why) => return println!("skipped: {why}"),
    };
    pin_software_threads();
    let Some(gpu) = device.gpu() else { return };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for bench in all(gpu.profile()) {
        measure(&mut criterion, &bench, &device);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, bench: &Bench, device: &Device) {
    let mut group = criterion.benchmark_group("kernels");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(match bench.work.flops {
        0 => Throughput::Bytes(bench.work.bytes),
        flops => Throughput::Elements(flops),
    });
    // The closure runs only for benchmarks that the filter on the command line lets through.
    group.bench_function(bench.name, |bencher| {
        (bench.check)(device).unwrap_or_else(|e| panic!("{e}"));
        let mut time = bench.timer(device).unwrap_or_else(|e| panic!("{e}"));
        let mut seconds = |iterations| time(iterations).unwrap_or_else(|e| panic!("{e}"));
        bencher.iter_custom(|iterations| Duration::from_secs_f64(seconds(iterations)));
    });
    group.finish();
}
