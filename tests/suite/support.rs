//! Which devices the tests run on.

use ebm::gpu::{Gpu, Options, Profile};
use ebm::tensor::Device;

/// A GPU for tests, with buffers poisoned before use; `None`, with a line naming the test, where there is no adapter.
/// `REQUIRE_GPU=1` makes that a failure.
pub fn gpu(test: &str, checked: bool) -> Option<Device> {
    open(test, Options { checked, poison: true, ..Options::default() })
}

/// The same adapter, running the kernels that are chosen for another class of adapters.
pub fn gpu_as(test: &str, pretend: fn(&mut Profile)) -> Option<Device> {
    open(test, Options { poison: true, pretend: Some(pretend), ..Options::default() })
}

fn open(test: &str, options: Options) -> Option<Device> {
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
