//! From a kernel's text to a compute pipeline. The bindings are read from the shader, never written twice.

use super::device::Backend;
use super::shader::texel_buffers;
use super::translate::for_browsers;
use super::uniforms::{Layout, PARAMS_BYTES};
use super::{Gpu, Kernel};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// A compiled kernel.
pub(super) struct Pipeline {
    pub name: String,
    pub raw: Option<(wgpu::ComputePipeline, wgpu::BindGroupLayout)>,
    /// How the shader uses each binding from 1 on. Also identifies the layout.
    pub access: Vec<Access>,
    /// Invocations of a workgroup.
    pub workgroup: usize,
    /// Elements of an invocation.
    pub each: usize,
    pub uniforms: Layout,
}

/// A kernel and the pipelines made of it.
pub(super) struct Program {
    kernel: Kernel,
    /// The bindings that a pipeline may read as textures.
    pub texel_bindings: Vec<usize>,
    buffers: OnceCell<Rc<Pipeline>>,
    texels: OnceCell<Rc<Pipeline>>,
}

/// How a shader uses an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    /// As a buffer that it only reads.
    Read,
    /// As a buffer that it writes.
    Write,
    /// As a texture (`texture_2d<f32>`) that the recorder copies the array into; see `texels`.
    Texels,
}

#[derive(Default)]
pub(super) struct Pipelines {
    programs: HashMap<Kernel, Rc<Program>>,
    layouts: HashMap<Vec<Access>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    compiled: BTreeMap<String, Kernel>,
}

/// What the host needs to know of a shader, as naga reads it.
struct Interface {
    access: Vec<Access>,
    workgroup: usize,
    each: usize,
    uniforms: Layout,
}

/// Reads bindings, uniforms, workgroup size and elements of an invocation (`const EACH`, else 1) out of WGSL text.
fn reflect(text: &str) -> Result<Interface, String> {
    let mut options = naga::front::wgsl::Options::new();
    options.capabilities = naga::valid::Capabilities::all();
    let module =
        naga::front::wgsl::Frontend::new_with_options(options).parse(text).map_err(|e| e.emit_to_string(text))?;
    let mut bindings: Vec<(u32, Access)> = Vec::new();
    for (_, global) in module.global_variables.iter() {
        let access = match global.space {
            naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => Access::Write,
            naga::AddressSpace::Storage { .. } => Access::Read,
            naga::AddressSpace::Handle => Access::Texels,
            _ => continue,
        };
        bindings.extend(global.binding.as_ref().map(|at| (at.binding, access)));
    }
    bindings.sort_by_key(|b| b.0);
    if let Some((i, _)) = bindings.iter().enumerate().find(|(i, (b, _))| *b as usize != i + 1) {
        return Err(format!("bindings must be 1, 2, ...: number {} is missing", i + 1));
    }
    let entry = module.entry_points.iter().find(|e| e.name == "main").ok_or("no entry point `main`")?;
    let each = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some("EACH"));
    let each = match each.map(|(_, c)| &module.global_expressions[c.init]) {
        Some(naga::Expression::Literal(naga::Literal::U32(each))) => *each as usize,
        Some(_) => return Err("EACH must be a u32".into()),
        None => 1,
    };
    Ok(Interface {
        access: bindings.iter().map(|b| b.1).collect(),
        workgroup: entry.workgroup_size.iter().product::<u32>() as usize,
        each,
        uniforms: Layout::of(&module)?,
    })
}

impl Gpu {
    /// What is known of `kernel`, from the cache or freshly read.
    pub(super) fn program(&self, kernel: &Kernel) -> Rc<Program> {
        if let Some(program) = self.0.pipelines.borrow().programs.get(kernel) {
            return program.clone();
        }
        let text = kernel.wgsl();
        let program = Rc::new(Program {
            kernel: kernel.clone(),
            texel_bindings: texel_buffers(&text).iter().map(|&(_, binding, _)| binding).collect(),
            buffers: OnceCell::new(),
            texels: OnceCell::new(),
        });
        self.0.pipelines.borrow_mut().programs.insert(kernel.clone(), program.clone());
        program
    }

    /// The compiled pipeline of a kernel that reads its inputs from buffers, or what it may as texels.
    pub(super) fn pipeline(&self, program: &Program, texels: bool) -> Rc<Pipeline> {
        match texels {
            true => program.texels.get_or_init(|| Rc::new(self.compile(program.kernel.texels()))).clone(),
            false => program.buffers.get_or_init(|| Rc::new(self.compile(program.kernel.clone()))).clone(),
        }
    }

    fn compile(&self, kernel: Kernel) -> Pipeline {
        let (name, text) = (kernel.name(), kernel.wgsl());
        let Interface { access, workgroup, each, uniforms } = reflect(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let pipelines = &mut *self.0.pipelines.borrow_mut();
        let raw = self.0.backend.as_ref().map(|backend| {
            let (bind_layout, layout) =
                pipelines.layouts.entry(access.clone()).or_insert_with(|| make_layout(backend, &access));
            (compile(backend, &name, &text, layout, self.0.options.checked), bind_layout.clone())
        });
        let other = pipelines.compiled.insert(name.clone(), kernel);
        assert!(other.is_none(), "two kernels are called {name}");
        Pipeline { name, raw, access, workgroup, each, uniforms }
    }

    /// Every kernel compiled so far on this device, by name.
    pub fn kernels(&self) -> BTreeMap<String, Kernel> {
        self.0.pipelines.borrow().compiled.clone()
    }
}

fn make_layout(backend: &Backend, access: &[Access]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entry =
        |binding, ty| wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None };
    let buffer =
        |ty, has_dynamic_offset, min| wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: min };
    let storage = |read_only| buffer(wgpu::BufferBindingType::Storage { read_only }, false, None);
    let texture = wgpu::BindingType::Texture {
        sample_type: wgpu::TextureSampleType::Float { filterable: false },
        view_dimension: wgpu::TextureViewDimension::D2,
        multisampled: false,
    };
    let params = wgpu::BufferSize::new(PARAMS_BYTES);
    let mut entries = vec![entry(0, buffer(wgpu::BufferBindingType::Uniform, true, params))];
    for (i, access) in access.iter().enumerate() {
        let ty = match access {
            Access::Read => storage(true),
            Access::Write => storage(false),
            Access::Texels => texture,
        };
        entries.push(entry(i as u32 + 1, ty));
    }
    let bind_layout =
        backend.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let layout = backend.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&bind_layout)],
        immediate_size: 0,
    });
    (bind_layout, layout)
}

fn compile(
    backend: &Backend,
    name: &str,
    text: &str,
    layout: &wgpu::PipelineLayout,
    checked: bool,
) -> wgpu::ComputePipeline {
    let browser = backend.info.backend == wgpu::Backend::BrowserWebGpu;
    let text = if browser { for_browsers(text) } else { text.to_string() };
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(text.into()) };
    let checks = if checked { wgpu::ShaderRuntimeChecks::checked() } else { wgpu::ShaderRuntimeChecks::unchecked() };
    // SAFETY: the shaders are this crate's own files; the test suite runs each of them checked and unchecked.
    let module = unsafe { backend.device.create_shader_module_trusted(descriptor, checks) };
    backend.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[],
            zero_initialize_workgroup_memory: checked,
        },
        cache: backend.cache.as_ref(),
    })
}
