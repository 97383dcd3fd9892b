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

/// What a thread sums up stays in registers without the help of a driver that unrolls loops: no kernel of family W reaches into a
/// variable of its own by an index that is not a constant, in what Vulkan and Metal are given.
#[test]
fn family_w_indexes_its_registers_by_constants() {
    let tiles = || all_kernels().into_iter().filter(|(_, kernel)| kernel.path() == "gemm/tile.wgsl");
    assert!(tiles().count() > 10);
    for (name, kernel) in tiles() {
        let shader = Validated::new(&kernel.wgsl()).unwrap();
        assert_eq!(indexed_locals(&shader.spirv().unwrap()), 0, "{name}, SPIR-V");
        let indices = indices_of(&shader.msl().unwrap(), "sums");
        assert!(indices.len() >= 8, "{name}, MSL: {indices:?}");
        assert!(indices.iter().all(|i| i.parse::<u32>().is_ok()), "{name}, MSL: {indices:?}");
    }
    let looping = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;
        @compute @workgroup_size(1) fn main() {
            var sums: array<f32, 4>;
            for (var i = 0u; i < 4u; i++) { sums[i] += out[i]; }
            out[0] = sums[1];
        }";
    let looping = Validated::new(looping).unwrap();
    assert!(indexed_locals(&looping.spirv().unwrap()) > 0);
    assert!(indices_of(&looping.msl().unwrap(), "sums").iter().any(|i| i.parse::<u32>().is_err()));
}

/// How many times SPIR-V reaches into a variable of a function, or into a vector, by an index that is not a constant.
fn indexed_locals(words: &[u32]) -> usize {
    const CONSTANT: u32 = 43;
    const VARIABLE: u32 = 59;
    const ACCESS_CHAIN: u32 = 65;
    const VECTOR_EXTRACT_DYNAMIC: u32 = 77;
    const VECTOR_INSERT_DYNAMIC: u32 = 78;
    const FUNCTION: u32 = 7;
    let (mut constants, mut locals, mut found) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut rest = &words[5..];
    while let [first, ..] = rest {
        let (instruction, after) = rest.split_at((first >> 16) as usize);
        rest = after;
        match (first & 0xffff, &instruction[1..]) {
            (CONSTANT, [_, id, ..]) => drop(constants.insert(*id)),
            (VARIABLE, [_, id, FUNCTION, ..]) => drop(locals.insert(*id)),
            (ACCESS_CHAIN, [_, id, base, indices @ ..]) if locals.contains(base) => {
                locals.insert(*id);
                found += indices.iter().filter(|i| !constants.contains(i)).count();
            }
            (VECTOR_EXTRACT_DYNAMIC | VECTOR_INSERT_DYNAMIC, _) => found += 1,
            _ => (),
        }
    }
    found
}

/// What stands in brackets behind every name that begins with `name`; arrays are structures with an `inner` there.
fn indices_of(text: &str, name: &str) -> Vec<String> {
    let after = text.split(name).skip(1).map(|s| s.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
    let inner = after.map(|s| s.strip_prefix(".inner").unwrap_or(s));
    inner.filter_map(|s| s.strip_prefix('[')?.split(']').next().map(str::to_string)).collect()
}
