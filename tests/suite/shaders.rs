//! Every specialisation the code can choose, on every class of adapter: valid WGSL within the portable budget, and
//! translatable to SPIR-V, MSL and HLSL. Needs no GPU: ops run on devices that only record.

use crate::support;
use ebm::gpu::{Gpu, INCLUDES, Kernel};
use ebm::ops::list;
use ebm::tensor::{Device, Key};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::collections::{BTreeMap, BTreeSet};

/// Every kernel that any case of any op launches on any class of adapter.
fn all_kernels() -> BTreeMap<String, Kernel> {
    let mut kernels = BTreeMap::new();
    for profile in support::profiles() {
        let gpu = Gpu::dry_run(profile);
        let device = Device::Gpu(gpu.clone());
        for entry in list() {
            for case in (entry.cases)() {
                let x: Vec<_> = case.tensors(&device, &case.draw(&Key::new(0)));
                let x: Vec<_> = x
                    .iter()
                    .zip(&case.inputs)
                    .map(|(x, i)| if i.differentiable() { x.tracked() } else { x.clone() })
                    .collect();
                let y = (case.run)(&x);
                let free: Vec<_> = x.iter().filter(|x| x.is_tracked()).collect();
                if case.order > 0 && y.is_tracked() {
                    ebm::autodiff::grad(&y, &free);
                }
            }
        }
        kernels.extend(gpu.kernels().into_iter().map(|k| (k.name().to_string(), k)));
    }
    kernels
}

#[test]
fn every_specialisation_is_valid_and_translates_to_every_backend() {
    let mut failures = Vec::new();
    let kernels = all_kernels();
    for (name, kernel) in &kernels {
        if let Err(why) = translate(&kernel.wgsl()) {
            failures.push(format!("{name}: {why}"));
        }
    }
    println!("{} kernels", kernels.len());
    assert!(kernels.len() > 50);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn translate(text: &str) -> Result<(), String> {
    let mut options = naga::front::wgsl::Options::new();
    options.capabilities = Capabilities::all();
    let module =
        naga::front::wgsl::Frontend::new_with_options(options).parse(text).map_err(|e| e.emit_to_string(text))?;
    let capabilities = Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|e| e.emit_to_string(text))?;
    budget(&module)?;
    let pipeline =
        naga::back::spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    naga::back::spv::write_vec(&module, &info, &naga::back::spv::Options::default(), Some(&pipeline))
        .map_err(|e| format!("SPIR-V: {e}"))?;
    let msl = naga::back::msl::Options { lang_version: (3, 0), fake_missing_bindings: true, ..Default::default() };
    naga::back::msl::write_string(&module, &info, &msl, &naga::back::msl::PipelineOptions::default())
        .map_err(|e| format!("MSL: {e}"))?;
    let hlsl = naga::back::hlsl::Options {
        shader_model: naga::back::hlsl::ShaderModel::V6_2,
        fake_missing_bindings: true,
        ..Default::default()
    };
    let mut out = String::new();
    naga::back::hlsl::Writer::new(&mut out, &hlsl, &naga::back::hlsl::PipelineOptions::default())
        .write(&module, &info, None)
        .map_err(|e| format!("HLSL: {e}"))?;
    Ok(())
}

/// The portable budget: at most 8 storage buffers, 256 invocations, 16 KiB of workgroup memory, 256 bytes of parameters.
fn budget(module: &naga::Module) -> Result<(), String> {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| e.to_string())?;
    let (mut storage, mut workgroup) = (0, 0);
    for (_, v) in module.global_variables.iter() {
        let size = layouter[v.ty].size;
        match v.space {
            naga::AddressSpace::Storage { .. } => storage += 1,
            naga::AddressSpace::WorkGroup => workgroup += size,
            naga::AddressSpace::Uniform if size > 256 => return Err(format!("{size} bytes of parameters")),
            _ => (),
        }
    }
    let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
    if storage > 8 || workgroup > 16 * 1024 || invocations > 256 {
        return Err(format!(
            "{storage} storage buffers, {workgroup} bytes of workgroup memory, {invocations} invocations"
        ));
    }
    Ok(())
}

#[test]
fn every_shader_file_is_used() {
    let mut used: BTreeSet<String> = INCLUDES.iter().map(|s| s.path.to_string()).collect();
    used.extend(all_kernels().values().map(|k| k.path().to_string()));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut unused = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !used.contains(&name) {
                unused.push(name);
            }
        }
    }
    assert!(unused.is_empty(), "no op launches {unused:?}");
}
