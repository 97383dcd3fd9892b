//! Arrays as textures: for drivers that read texels faster than buffers (software Vulkan, on some processors by up to 20
//! times). The recorder does it: it chooses the dispatches that gain, compiles their kernels with every buffer marked
//! `// @texels` declared as a texture, and copies the arrays into scratch textures right before the dispatch. A mark
//! asserts no more than that the kernel only reads the buffer, as `vec4f`.

use super::command::Work;
use super::device::Backend;
use super::{Gpu, Kernel, Slice, Workgroups};
use crate::{shader, uniforms};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Texels of a row, four floats each; element `e` of the array is component `e % 4` of texel `(e / 4 % ROW, e / 4 / ROW)`.
pub(super) const ROW: u64 = 4096;
const ROW_BYTES: u64 = ROW * 16;

/// Where one reading pays, from this many bytes of inputs on the copies cost less than they save.
const FROM_BYTES: u64 = 64 << 10;
/// Products read each number so often that texels pay on every processor: from this many operations a byte on.
const FROM_FLOPS: u64 = 32;
/// Every adapter has textures of 8192 rows.
const MOST_BYTES: u64 = 8192 * ROW_BYTES;

/// Whether reading these bindings (counted from 1) as texels makes a dispatch faster on a software adapter; `once` says
/// whether even those gain that read each number once.
pub(super) fn pay(bindings: &[usize], slices: &[&Slice], work: Work, once: bool) -> bool {
    let bytes = || bindings.iter().filter_map(|&binding| slices.get(binding - 1)).map(|s| s.bytes);
    let gains = work.flops >= FROM_FLOPS * work.bytes || once && bytes().sum::<u64>() >= FROM_BYTES;
    gains && !bindings.is_empty() && bytes().all(|bytes| bytes <= MOST_BYTES)
}

/// What [`Gpu::texels_pay_once`] found for each adapter this process has opened.
static FOUND: Mutex<Vec<(String, bool)>> = Mutex::new(Vec::new());

impl Gpu {
    /// Whether a copy of an array takes less time from texels, the copy to them included: timed once per adapter and process.
    pub(super) fn texels_pay_once(&self) -> bool {
        let name = &self.profile().name;
        let mut found = FOUND.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, pays)) = found.iter().find(|(of, _)| of == name) {
            return *pays;
        }
        const BYTES: u64 = 1 << 20;
        let [x, y] = [self.alloc(BYTES), self.alloc(BYTES)];
        let kernel = Kernel::new(shader!("roof/copy.wgsl"));
        let seconds = |texels: bool| {
            self.0.texels_pay_once.set(texels);
            let start = Instant::now();
            for _ in 0..4 {
                let quads = BYTES as usize / 16;
                self.dispatch(
                    &kernel,
                    uniforms![quads],
                    &[&x, &y],
                    Workgroups::Elements(quads),
                    Work::bytes(2 * BYTES),
                );
            }
            self.wait().map_or(f64::INFINITY, |()| start.elapsed().as_secs_f64())
        };
        // The first round compiles.
        let rounds: Vec<[f64; 2]> = (0..6).map(|_| [true, false].map(seconds)).collect();
        let best = |which: usize| rounds.iter().map(|r| r[which]).fold(f64::INFINITY, f64::min);
        let pays = best(0) < best(1);
        found.push((name.clone(), pays));
        pays
    }
}

/// A scratch texture.
#[derive(Clone)]
pub(super) struct Texels {
    /// Identifies it among the resources of a bind group; buffers count from 1 up, textures from the top down.
    pub id: u64,
    pub texture: wgpu::Texture,
    pub view: wgpu::TextureView,
}

/// One texture for each binding number and height. It holds its content from a copy to the dispatch right after it, and
/// the queue runs in order, so one is enough however many dispatches are pending or captured.
#[derive(Default)]
pub(super) struct Scratch(HashMap<(usize, u32), Texels>);

impl Scratch {
    /// The texture for `bytes` bytes at a binding.
    pub fn take(&mut self, backend: &Backend, binding: usize, bytes: u64) -> Texels {
        let rows = bytes.div_ceil(ROW_BYTES).next_power_of_two() as u32;
        let id = u64::MAX - self.0.len() as u64;
        let make = || {
            let texture = backend.device.create_texture(&wgpu::TextureDescriptor {
                label: Some("texels"),
                size: wgpu::Extent3d { width: ROW as u32, height: rows, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba32Float,
                usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::TEXTURE_BINDING,
                view_formats: &[],
            });
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            Texels { id, texture, view }
        };
        self.0.entry((binding, rows)).or_insert_with(make).clone()
    }
}

/// Copies `bytes` bytes (a multiple of 16): the whole rows, then the rest of the last one.
pub(super) fn copy(
    encoder: &mut wgpu::CommandEncoder,
    from: &wgpu::Buffer,
    offset: u64,
    to: &wgpu::Texture,
    bytes: u64,
) {
    let rows = bytes / ROW_BYTES;
    let rest = bytes % ROW_BYTES / 16;
    for (y, width, height) in [(0, ROW, rows), (rows, rest, 1)] {
        if width * height == 0 {
            continue;
        }
        let layout = wgpu::TexelCopyBufferLayout {
            offset: offset + y * ROW_BYTES,
            bytes_per_row: Some(ROW_BYTES as u32),
            rows_per_image: None,
        };
        let to = wgpu::TexelCopyTextureInfo {
            texture: to,
            mip_level: 0,
            origin: wgpu::Origin3d { x: 0, y: y as u32, z: 0 },
            aspect: wgpu::TextureAspect::All,
        };
        let size = wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
        encoder.copy_buffer_to_texture(wgpu::TexelCopyBufferInfo { buffer: from, layout }, to, size);
    }
}
