//! Runs benchmarks of the library's list under criterion.

use criterion::{Criterion, SamplingMode, Throughput};
use ebm::bench::Bench;
use ebm::gpu::{Options, Profile, pin_software_threads};
use ebm::tensor::Device;
use std::time::Duration;

/// Runs the benchmarks that `list` has for this machine's best adapter; says so where there is none.
pub fn run(group: &str, list: impl Fn(&Profile) -> Vec<Bench>) {
    let device = match Device::choose("auto", Options::default()) {
        Ok(device) => device,
        Err(why) => return println!("skipped: {group}: {why}"),
    };
    pin_software_threads();
    let Some(gpu) = device.gpu() else { return };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for bench in list(gpu.profile()) {
        measure(&mut criterion, group, &bench, &device);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, group: &str, bench: &Bench, device: &Device) {
    let mut group = criterion.benchmark_group(group);
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
