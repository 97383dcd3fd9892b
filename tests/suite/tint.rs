//! Every kernel through `tint`, the WGSL compiler of Chrome, where it is installed: a second opinion on validity, and
//! the uniformity analysis that naga does not have.

use crate::shaders::{all_kernels, uses_matrix_units};
use ebm::gpu::for_browsers;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

#[test]
fn every_specialisation_passes_tint() {
    if Command::new("tint").arg("--version").output().is_err() {
        println!("skipped: every_specialisation_passes_tint: no tint on PATH");
        return;
    }
    let texts = all_kernels().into_iter().map(|(name, k)| (name, k.wgsl()));
    let known = texts.filter(|(_, text)| !uses_matrix_units(text));
    let kernels: Vec<(String, String)> = known.map(|(name, text)| (name, for_browsers(&text))).collect();
    let folder = std::env::temp_dir().join(format!("ebm-tint-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let failures = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (kernels, failures, file) = (&kernels, &failures, folder.join(format!("{worker}.wgsl")));
            scope.spawn(move || {
                for (name, text) in kernels.iter().skip(worker).step_by(workers) {
                    if let Err(why) = tint(&file, text) {
                        failures.lock().unwrap().push(format!("{name}: {why}"));
                    }
                }
            });
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
    let failures = failures.into_inner().unwrap();
    println!("{} kernels", kernels.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn tint(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).unwrap();
    let output = Command::new("tint").args(["--format", "wgsl"]).arg(file).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn tint_notices_a_barrier_in_divergent_control_flow() {
    if Command::new("tint").arg("--version").output().is_err() {
        println!("skipped: tint_notices_a_barrier_in_divergent_control_flow: no tint on PATH");
        return;
    }
    let file = std::env::temp_dir().join(format!("ebm-tint-{}.wgsl", std::process::id()));
    let text = "@compute @workgroup_size(64)\nfn main(@builtin(local_invocation_index) i: u32) {\n\
                if i < 3u { workgroupBarrier(); }\n}";
    let verdict = tint(&file, text);
    std::fs::remove_file(&file).unwrap();
    assert!(verdict.is_err_and(|why| why.contains("uniform")));
}
