//! Adapters: listing, choosing, opening with the adapter's real limits, and errors that come from the device.

use super::matrix_units::{FEATURES, MatrixUnits};
use super::{Gpu, Inner, Profile};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// What to tell someone whose machine has no adapter.
pub const INSTALL_HINT: &str =
    "install a Vulkan driver (software Vulkan on Debian or Ubuntu: apt-get install mesa-vulkan-drivers)";

/// How a GPU is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keep the runtime checks of the shader compiler (bounds, loops, division): slower, for tests.
    pub checked: bool,
    /// Fill every buffer with NaN before it is used, so that reading what was never written shows: for tests.
    pub poison: bool,
    /// Keep the compiled pipelines of each adapter in this folder between runs (Vulkan only).
    pub pipeline_cache: Option<PathBuf>,
    /// Multiply matrices on the adapter's matrix units, where it has some that compute right: operands are rounded to f16 (11 bits,
    /// at most 65 504), sums stay f32.
    pub matrix_units: bool,
    /// Changes what kernels may rely on, to run those chosen for another class of adapter on this one: for tests.
    pub pretend: Option<fn(&mut Profile)>,
}

/// The wgpu objects of an opened adapter.
pub(super) struct Backend {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub cache: Option<wgpu::PipelineCache>,
    /// The file of `cache`, if it is kept.
    cache_file: Option<PathBuf>,
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends();
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    wgpu::Instance::new(descriptor)
}

fn backends() -> wgpu::Backends {
    wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12 | wgpu::Backends::BROWSER_WEBGPU
}

/// Every adapter this machine offers, best first: discrete, integrated, virtual, software.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    let mut list = instance().enumerate_adapters(backends()).await;
    list.retain(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    list.sort_by_key(|a| rank(a.get_info().device_type));
    list
}

fn rank(kind: wgpu::DeviceType) -> u32 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// One line about an adapter: name, API, kind, driver.
pub fn describe(info: &wgpu::AdapterInfo) -> String {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    };
    format!("{} ({}, {kind}, {} {})", info.name, info.backend, info.driver, info.driver_info)
}

/// The adapter that `choice` names: `auto`, its number in the listing, or a part of its name (any case).
pub async fn choose_adapter(choice: &str) -> Result<wgpu::Adapter> {
    let mut list = adapters().await;
    if list.is_empty() {
        return Err(Error::NoAdapter(format!("no GPU adapter found; {INSTALL_HINT}")));
    }
    let names = list.iter().map(|a| a.get_info().name).collect::<Vec<_>>();
    let number = choice.parse::<usize>().ok().filter(|&n| n < list.len());
    let index = match choice {
        "auto" => Some(0),
        _ => number.or_else(|| names.iter().position(|n| n.to_lowercase().contains(&choice.to_lowercase()))),
    };
    let unknown = || Error::NoAdapter(format!("no adapter called \"{choice}\"; there is: {}", names.join(", ")));
    Ok(list.swap_remove(index.ok_or_else(unknown)?))
}

impl Gpu {
    /// Opens the adapter that `choice` names, see [`choose_adapter`].
    pub async fn open_async(choice: &str, options: Options) -> Result<Gpu> {
        Gpu::from_adapter(&choose_adapter(choice).await?, options).await
    }

    /// Blocking form of [`Gpu::open_async`].
    pub fn open(choice: &str, options: Options) -> Result<Gpu> {
        pollster::block_on(Gpu::open_async(choice, options))
    }

    async fn from_adapter(adapter: &wgpu::Adapter, options: Options) -> Result<Gpu> {
        let info = adapter.get_info();
        let wanted = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE;
        let units = options.matrix_units.then(|| MatrixUnits::of(adapter)).flatten();
        let mut features = adapter.features() & wanted;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if units.is_some() {
            features |= FEATURES;
            // SAFETY: one kernel uses them, and none before a product of it was right.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            required_features: features,
            experimental_features,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let refused = |e: wgpu::RequestDeviceError| Error::NoAdapter(format!("{}: {e}", info.name));
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(refused)?;

        let error = Arc::new(Mutex::new(None));
        let seen = error.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| note(&seen, from_wgpu(e))));
        let seen = error.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&seen, Error::Device(format!("the device was lost: {message}")));
            }
        });

        let has = |f| features.contains(f);
        let mut profile = Profile {
            name: info.name.clone(),
            software: info.device_type == wgpu::DeviceType::Cpu,
            subgroup: (has(wgpu::Features::SUBGROUP) && info.subgroup_min_size == info.subgroup_max_size)
                .then_some(info.subgroup_min_size),
            timestamps: has(wgpu::Features::TIMESTAMP_QUERY),
            max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            matrix_units: units,
        };
        if let Some(pretend) = options.pretend {
            pretend(&mut profile);
        }
        let cache_key = wgpu::util::pipeline_cache_key(&info);
        let cache_file = options.pipeline_cache.as_ref().zip(cache_key).map(|(folder, key)| folder.join(key));
        let cache = match has(wgpu::Features::PIPELINE_CACHE) {
            true => Some(open_pipeline_cache(&device, cache_file.as_deref()).await),
            false => None,
        };
        let backend = Backend { device, queue, info, cache, cache_file };
        let gpu = Gpu(Rc::new(Inner::new(profile, Some(backend), options, error)));
        if gpu.profile().software && cfg!(not(target_family = "wasm")) {
            gpu.0.texels_pay_once.set(gpu.texels_pay_once());
        }
        if let Some(units) = gpu.profile().matrix_units {
            gpu.0.trust_matrix_units.set(gpu.multiplies_right(&units.product(64)).await);
        }
        Ok(gpu)
    }

    /// The matrix units that products may use: there, asked for, and right when they were tried.
    pub fn matrix_units(&self) -> Option<MatrixUnits> {
        self.0.profile.matrix_units.filter(|_| self.0.trust_matrix_units.get())
    }

    /// A device that records which kernels would run on an adapter like `profile`, and runs nothing.
    pub fn dry_run(profile: Profile) -> Gpu {
        Gpu(Rc::new(Inner::new(profile, None, Options::default(), Arc::default())))
    }

    pub(crate) fn same(&self, other: &Gpu) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// What this adapter offers.
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// One line about the adapter, and whether it multiplies in f16.
    pub fn describe(&self) -> String {
        let adapter = self.0.backend.as_ref().map_or("dry run".into(), |b| describe(&b.info));
        if self.matrix_units().is_some() { adapter + ", products in f16 on matrix units" } else { adapter }
    }

    /// The first error the device reported, if any. A failed device stays failed.
    pub fn check(&self) -> Result<()> {
        match &*self.0.error.lock().unwrap_or_else(|e| e.into_inner()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.check().is_err()
    }

    pub(super) fn fail(&self, error: Error) {
        note(&self.0.error, error);
    }

    /// Bytes of device memory in use and reserved, as the allocator below wgpu reports them.
    pub fn allocator_report(&self) -> Option<(u64, u64)> {
        let report = self.0.backend.as_ref()?.device.generate_allocator_report()?;
        Some((report.total_allocated_bytes, report.total_reserved_bytes))
    }

    /// Writes the compiled pipelines into the folder of [`Options::pipeline_cache`], if the backend can.
    pub fn save_pipeline_cache(&self) {
        let Some(backend) = &self.0.backend else { return };
        let data = backend.cache.as_ref().and_then(|cache| cache.get_data());
        if let (Some(path), Some(data)) = (&backend.cache_file, data) {
            // A cache that cannot be written only costs the next start some time.
            let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
            let written =
                path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&temporary, data));
            if written.and_then(|()| std::fs::rename(&temporary, path)).is_err() {
                let _ = std::fs::remove_file(&temporary);
            }
        }
    }
}

/// The pipelines that an earlier process compiled; a file that is damaged or of another device counts as none.
async fn open_pipeline_cache(device: &wgpu::Device, file: Option<&Path>) -> wgpu::PipelineCache {
    let data = file.filter(|path| path.is_file()).and_then(|path| std::fs::read(path).ok());
    let create = |data: Option<&[u8]>| {
        let descriptor = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
        // SAFETY: the data was written by `save_pipeline_cache`; a driver that finds it foreign starts afresh.
        unsafe { device.create_pipeline_cache(&descriptor) }
    };
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let cache = create(data.as_deref());
    match scope.pop().await {
        None => cache,
        Some(_) => create(None),
    }
}

fn note(slot: &Mutex<Option<Error>>, error: Error) {
    slot.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
}

fn from_wgpu(error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { source } => Error::OutOfMemory(source.to_string()),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::Device(description)
        }
    }
}

/// Gives each compute thread of software Vulkan a core of its own, among those this process may use (Linux). Unpinned,
/// two of them can share one core for a whole run, which halves the speed.
///
/// Call it right after opening the device.
#[cfg(target_os = "linux")]
pub fn pin_software_threads() {
    let Some(cores) = allowed_cores() else { return };
    for (worker, thread) in compute_threads() {
        // SAFETY: a plain system call on a zeroed set of our own; failure leaves the thread unpinned.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cores[worker % cores.len()], &mut set);
            libc::sched_setaffinity(thread, std::mem::size_of_val(&set), &set);
        }
    }
}

/// The numbers and ids of llvmpipe's compute threads. They bear no name: the driver starts n rasteriser threads called
/// `llvmpipe-0` ... `llvmpipe-(n-1)`, which a compute program leaves idle, and right after them the n compute threads.
#[cfg(target_os = "linux")]
fn compute_threads() -> Vec<(usize, i32)> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let mut threads: Vec<(i32, String)> = tasks
        .flatten()
        .filter_map(|t| {
            Some((t.file_name().to_str()?.parse().ok()?, std::fs::read_to_string(t.path().join("comm")).ok()?))
        })
        .collect();
    threads.sort();
    let (mut found, mut rasterisers, mut worker) = (Vec::new(), 0, 0);
    for (id, name) in threads {
        if name.starts_with("llvmpipe-") {
            (rasterisers, worker) = (if worker == 0 { rasterisers + 1 } else { 1 }, 0);
        } else if worker < rasterisers {
            found.push((worker, id));
            worker += 1;
        }
    }
    found
}

/// Elsewhere there is nothing to pin.
#[cfg(not(target_os = "linux"))]
pub fn pin_software_threads() {}

/// The cores the calling thread may run on; `None` where the system does not say.
#[cfg(target_os = "linux")]
fn allowed_cores() -> Option<Vec<usize>> {
    // SAFETY: a plain system call that fills a set of our own; CPU_ISSET stays below CPU_SETSIZE.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let known = libc::sched_getaffinity(0, std::mem::size_of_val(&set), &mut set) == 0;
        let cores: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|&c| libc::CPU_ISSET(c, &set)).collect();
        (known && !cores.is_empty()).then_some(cores)
    }
}
