//! Every specialisation the code can choose, on every class of adapter: valid WGSL within the portable budget, and
//! translatable to SPIR-V, MSL and HLSL. Needs no GPU: ops run on devices that only record.

use ebm::gpu::{INCLUDES, Kernel, Profile, Validated};
use std::collections::{BTreeMap, BTreeSet};

/// Every kernel that any case of any op launches on any class of adapter, and every file as it lies on disk.
pub fn all_kernels() -> BTreeMap<String, Kernel> {
    let launched: BTreeMap<String, Kernel> = Profile::classes().iter().flat_map(ebm::kernels::kernels).collect();
    let files: Vec<Kernel> = launched.values().map(Kernel::default_of_file).collect();
    launched.into_iter().chain(files.into_iter().map(|kernel| (kernel.name(), kernel))).collect()
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
    let shader = Validated::new(text)?;
    budget(shader.module(), if text.contains("// gemm/cooperative - ") { 32 } else { 16 } * 1024)?;
    shader.spirv()?;
    shader.msl()?;
    // HLSL has no matrix units that wgpu knows of.
    if !uses_matrix_units(text) {
        shader.hlsl()?;
    }
    Ok(())
}

/// Whether a kernel is for adapters with matrix units; tint does not know them either.
pub fn uses_matrix_units(text: &str) -> bool {
    text.lines().any(|line| line == "enable wgpu_cooperative_matrix;")
}

/// The portable budget: at most 8 storage buffers, 256 invocations, 16 KiB of workgroup memory (32 KiB for tiles of matrix units, which
/// every adapter that has some offers), 256 bytes of parameters.
fn budget(module: &naga::Module, most_workgroup: u32) -> Result<(), String> {
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
    if storage > 8 || workgroup > most_workgroup || invocations > 256 {
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
