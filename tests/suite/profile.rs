//! Profiles: each command is credited with its own time, and being watched changes nothing.

use crate::{replay, support};
use ebm::gpu::{Captured, Clock, Gpu, ProfileReport, Roofs, Slice};
use ebm::prelude::*;
use std::cell::Cell;

const LARGE: u64 = 64 << 20;
const TINY: u64 = 256;

/// A captured step of one large fill, two tiny ones in another phase, and a copy.
fn step(gpu: &Gpu) -> (Captured, [Slice; 2]) {
    let buffers = [gpu.alloc(LARGE), gpu.alloc(TINY)];
    let (_, captured) = gpu.capture(|| {
        gpu.fill(&buffers[0], 1);
        gpu.phase("chain", || {
            gpu.fill(&buffers[1], 2);
            gpu.phase("update", || gpu.copy(&buffers[0], &buffers[1], 0, TINY));
            gpu.fill(&buffers[1], 3);
        });
    });
    (captured, buffers)
}

/// Phase, name, number of runs and bytes of a run of each row.
fn counts(report: &ProfileReport) -> Vec<(&str, &str, u64, u64)> {
    let mut rows: Vec<_> = report.rows.iter().map(|r| (r.phase, r.name.as_str(), r.count, r.bytes)).collect();
    rows.sort();
    rows
}

/// What [`counts`] gives for [`step`].
fn expected(replays: u64) -> Vec<(&'static str, &'static str, u64, u64)> {
    vec![
        ("chain", "movement/fill", 2 * replays, TINY),
        ("forward", "movement/fill", replays, LARGE),
        ("update", "copy", replays, 2 * TINY),
    ]
}

#[test]
fn a_replay_credits_each_command_with_its_own_time() {
    let Some(device) = support::gpu("a_replay_credits_each_command_with_its_own_time", false) else { return };
    let gpu = device.gpu().unwrap();
    if !gpu.profile().timestamps {
        return println!("skipped: {} has no timestamps", gpu.describe());
    }
    let (captured, _buffers) = step(gpu);
    captured.replay();
    gpu.profile_start();
    (0..20).for_each(|_| captured.replay());
    let report = gpu.profile_stop();

    assert_eq!((report.clock, counts(&report)), (Clock::Device, expected(20)));
    assert_eq!((report.dispatches, report.copies), (60, 20));
    let mean = |bytes| report.rows.iter().find(|r| r.bytes == bytes).unwrap().mean_ms;
    assert!(mean(LARGE) > 5.0 * mean(TINY), "{}", report.table());
    let covered = report.rows_ms() / report.profiled_ms;
    assert!((0.95..1.0 + 1e-9).contains(&covered), "the rows cover {covered} of the time\n{}", report.table());
}

#[test]
fn eager_commands_are_counted_across_submissions() {
    let Some(device) = support::gpu("eager_commands_are_counted_across_submissions", false) else { return };
    let gpu = device.gpu().unwrap();
    let buffer = gpu.alloc(TINY);
    gpu.profile_start();
    (0..1500).for_each(|_| gpu.fill(&buffer, 1));
    device.phase("readback", || gpu.read(&buffer, 64)).wait().unwrap();
    let report = gpu.profile_stop();
    assert_eq!(
        counts(&report),
        [("forward", "movement/fill", 1500, TINY), ("readback", "copy", 1, 2 * TINY)],
        "{}",
        report.table()
    );
}

#[test]
fn without_timestamps_the_host_waits_for_each_command() {
    let test = "without_timestamps_the_host_waits_for_each_command";
    let Some(device) = support::gpu_as(test, |profile| profile.timestamps = false) else { return };
    let gpu = device.gpu().unwrap();
    let (captured, _buffers) = step(gpu);
    let replay = || {
        captured.replay();
        Ok(())
    };
    let report = gpu.profile_steps(2, None, replay).unwrap();
    assert_eq!((report.clock, counts(&report), report.between_ms), (Clock::Host, expected(2), 0.0));
    assert!(report.table().contains("the host's clock"), "{}", report.table());
}

#[test]
fn a_profile_changes_no_bit() {
    let pretends: [fn(&mut ebm::gpu::Profile); 2] = [|_| (), |profile| profile.timestamps = false];
    for pretend in pretends {
        let Some(device) = support::gpu_as("a_profile_changes_no_bit", pretend) else { return };
        let gpu = device.gpu().unwrap();
        for captured in [true, false] {
            let step = || captured.then(|| CapturedStep::new(&device));
            let plain = replay::run(&device, step(), 4);
            gpu.profile_start();
            let watched = replay::run(&device, step(), 4);
            assert!(gpu.profile_stop().dispatches > 0);
            assert_eq!(plain, watched);
        }
    }
}

#[test]
fn profiles_leave_nothing_on_the_device() {
    let Some(device) = support::gpu("profiles_leave_nothing_on_the_device", false) else { return };
    let gpu = device.gpu().unwrap();
    let (captured, _buffers) = step(gpu);
    let profile = || {
        gpu.profile_start();
        captured.replay();
        assert_eq!(counts(&gpu.profile_stop()), expected(1));
        gpu.wait().unwrap();
        (gpu.pool_stats(), gpu.allocator_report())
    };
    let first = profile();
    (0..20).for_each(|_| assert_eq!(profile(), first));
}

#[test]
fn nothing_started_is_an_empty_report() {
    let Some(device) = support::gpu("nothing_started_is_an_empty_report", false) else { return };
    let gpu = device.gpu().unwrap();
    gpu.fill(&gpu.alloc(TINY), 1);
    let report = gpu.profile_stop();
    assert!(report.rows.is_empty() && report.phases.is_empty() && report.dispatches == 0);
    assert!(report.table().contains("total"));
}

#[test]
fn a_profile_of_steps_adds_up_to_the_normal_step() {
    let Some(device) = support::gpu("a_profile_of_steps_adds_up_to_the_normal_step", false) else { return };
    let gpu = device.gpu().unwrap();
    let mut step = CapturedStep::new(&device);
    let (x, calls) = (Tensor::uniform(&device, [256, 256], &Key::new(1)), Cell::new(0));
    let run = || {
        calls.set(calls.get() + 1);
        step.run(|| device.phase("chain", || x.matmul(&x)));
        Ok(())
    };
    let report = gpu.profile_steps(3, Some(Roofs { gbps: 10.0, gflops: 100.0 }), run).unwrap();
    assert_eq!((calls.get(), report.steps), (2 + 4 * 3, 3));
    assert!(report.rows.iter().all(|r| r.phase == "chain" && r.count % 3 == 0 && r.percent_of_roof.is_some()));
    let whole = report.rows_ms() / 3.0 + report.between_ms;
    assert!(report.clock == Clock::Host || (whole - report.step_ms.unwrap()).abs() < 1e-9 * whole);

    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    let gemm = report.rows.iter().position(|r| r.flops == 2 * 256 * 256 * 256).unwrap();
    assert_eq!(json["rows"][gemm]["count"], 3);
    assert_eq!(json["rows"][gemm]["phase"], "chain");
    assert!(json["rows"][gemm]["gflops"].as_f64().unwrap() > 0.0);
    assert_eq!(json["memory_bytes"], gpu.pool_stats().allocated_bytes);
}

#[test]
fn an_error_of_the_step_ends_the_profile() {
    let Some(device) = support::gpu("an_error_of_the_step_ends_the_profile", false) else { return };
    let gpu = device.gpu().unwrap();
    let mut left = 6;
    // The warm-up takes two steps, the normal ones three: the error comes in the profiled step.
    let failing = || {
        left -= 1;
        if left > 0 { Ok(()) } else { Err(Error::setting("enough")) }
    };
    assert!(gpu.profile_steps(1, None, failing).is_err());
    gpu.fill(&gpu.alloc(TINY), 1);
    assert_eq!(gpu.profile_stop().dispatches, 0, "the profile must have stopped");
}

#[test]
fn phases_run_on_the_oracle() {
    assert_eq!(Device::oracle().phase("chain", || 3), 3);
}
