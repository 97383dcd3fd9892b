//! From WGSL text to what the drivers compile: SPIR-V (Vulkan), MSL (Metal), HLSL (DX12), by naga.

use naga::ShaderStage;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

/// The same text with its optional features enabled, as browsers want it; naga takes subgroups without, and refuses the line.
pub fn for_browsers(text: &str) -> String {
    let code = || text.lines().map(|l| l.split("//").next().unwrap_or_default());
    let mut out = String::new();
    for (feature, word) in [("subgroups", "subgroup"), ("f16", "f16")] {
        if code().any(|l| l.contains(word)) && !code().any(|l| l.starts_with(&format!("enable {feature}"))) {
            out += &format!("enable {feature};\n");
        }
    }
    out + text
}

/// A WGSL compute shader that naga accepts, with the optional features the kernels may use: f16, subgroups and
/// cooperative matrices.
pub struct Validated {
    module: naga::Module,
    info: ModuleInfo,
}

impl Validated {
    /// Parses and validates `text`; the error points at the line.
    pub fn new(text: &str) -> Result<Validated, String> {
        let mut options = naga::front::wgsl::Options::new();
        options.capabilities = Capabilities::all();
        let module =
            naga::front::wgsl::Frontend::new_with_options(options).parse(text).map_err(|e| e.emit_to_string(text))?;
        let optional = Capabilities::SHADER_FLOAT16
            | Capabilities::SHADER_FLOAT16_IN_FLOAT32
            | Capabilities::SUBGROUP
            | Capabilities::COOPERATIVE_MATRIX;
        let info = Validator::new(ValidationFlags::all(), optional)
            .subgroup_stages(ShaderStages::COMPUTE)
            .subgroup_operations(SubgroupOperationSet::all())
            .validate(&module)
            .map_err(|e| e.emit_to_string(text))?;
        Ok(Validated { module, info })
    }

    /// The shader as naga sees it.
    pub fn module(&self) -> &naga::Module {
        &self.module
    }

    /// The SPIR-V words of the entry point `main`.
    pub fn spirv(&self) -> Result<Vec<u32>, String> {
        let main = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into() };
        spv::write_vec(&self.module, &self.info, &spv::Options::default(), Some(&main))
            .map_err(|e| format!("SPIR-V: {e}"))
    }

    /// The shader in the Metal Shading Language 3.0.
    pub fn msl(&self) -> Result<String, String> {
        let options = msl::Options { lang_version: (3, 0), fake_missing_bindings: true, ..Default::default() };
        let written = msl::write_string(&self.module, &self.info, &options, &msl::PipelineOptions::default());
        Ok(written.map_err(|e| format!("MSL: {e}"))?.0)
    }

    /// The shader in HLSL, shader model 6.2.
    pub fn hlsl(&self) -> Result<String, String> {
        let shader_model = hlsl::ShaderModel::V6_2;
        let options = hlsl::Options { shader_model, fake_missing_bindings: true, ..Default::default() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&self.module, &self.info, None)
            .map_err(|e| format!("HLSL: {e}"))?;
        Ok(text)
    }
}
