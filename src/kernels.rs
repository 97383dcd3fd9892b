//! Every kernel the program can launch: what `ebm kernel` lists and the shader tests translate.

use crate::autodiff::grad;
use crate::bench;
use crate::gpu::{Gpu, Kernel, Profile};
use crate::ops::{Case, list};
use crate::optim;
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// The kernels, by name, that the cases of all ops (with their gradients) and the benchmarks' roofs launch on an
/// adapter like `profile`. Needs no such adapter: the ops run on a device that only records.
pub fn kernels(profile: &Profile) -> BTreeMap<String, Kernel> {
    let gpu = Gpu::dry_run(profile.clone());
    let device = Device::Gpu(gpu.clone());
    for entry in list() {
        (entry.cases)().iter().for_each(|case| launch(case, &device));
    }
    optim::exercise(&device);
    bench::roofs(profile).iter().for_each(|roof| (roof.setup)(&device)());
    gpu.kernels()
}

/// Records a case and its first derivatives. The values do not matter: nothing runs.
fn launch(case: &Case, device: &Device) {
    let input = |input: &crate::ops::Input| {
        let x = Tensor::zeros(device, input.shape.clone());
        if input.differentiable() { x.tracked() } else { x }
    };
    let x: Vec<Tensor> = case.inputs.iter().map(input).collect();
    let y = (case.run)(&x);
    if case.order > 0 && y.is_tracked() {
        grad(&y, &x.iter().filter(|x| x.is_tracked()).collect::<Vec<_>>());
    }
}
