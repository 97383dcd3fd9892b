//! Which devices the tests run on.

use ebm::gpu::{Gpu, Options, Profile};
use ebm::tensor::Device;

/// A GPU for tests, with buffers poisoned before use; `None`, with a line naming the test, where there is no adapter.
/// `REQUIRE_GPU=1` makes that a failure.
pub fn gpu(test: &str, checked: bool) -> Option<Device> {
    let options = Options { checked, poison: true, pipeline_cache: None };
    match Gpu::open("auto", options) {
        Ok(gpu) => {
            println!("{test}: {}", gpu.describe());
            Some(Device::Gpu(gpu))
        }
        Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{test}: {e}"),
        Err(e) => {
            println!("skipped: {test}: {e}");
            None
        }
    }
}

/// Adapters of every class the kernels are chosen for, none of which needs to exist.
pub fn profiles() -> Vec<Profile> {
    let base = Profile { max_binding_bytes: 1 << 31, timestamps: true, ..Profile::default() };
    vec![
        Profile { name: "software with subgroups of 8".into(), software: true, subgroup: Some(8), ..base.clone() },
        Profile { name: "software without subgroups".into(), software: true, ..base.clone() },
        Profile { name: "GPU with subgroups of 32 and f16".into(), subgroup: Some(32), f16: true, ..base.clone() },
        Profile { name: "GPU with nothing optional".into(), ..base },
    ]
}
