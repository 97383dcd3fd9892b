//! Arrays as textures: for drivers that read texels much faster than buffers (software Vulkan, where a vec4f of a buffer
//! costs 20 texels). The recorder does it: it chooses the dispatches that gain, compiles their kernels with every buffer marked
//! `// @texels` declared as a texture, and copies the arrays into scratch textures before the dispatch. A copy serves all
//! dispatches that read the array until something writes to it, such as the weights of a net during a chain. A mark asserts
//! no more than that the kernel only reads the buffer, as `vec4f`.

use super::Slice;
use super::device::Backend;

/// Texels of a row, four floats each; element `e` of the array is component `e % 4` of texel `(e / 4 % ROW, e / 4 / ROW)`.
pub(super) const ROW: u64 = 4096;
const ROW_BYTES: u64 = ROW * 16;

/// From this many bytes of inputs on the copies cost less than they save on software Vulkan.
const FROM_BYTES: u64 = 64 << 10;
/// Every adapter has textures of 8192 rows.
const MOST_BYTES: u64 = 8192 * ROW_BYTES;

/// Whether reading these bindings (counted from 1) as texels makes a dispatch faster on a software adapter.
pub(super) fn pay(bindings: &[usize], slices: &[&Slice]) -> bool {
    let bytes = || bindings.iter().filter_map(|&binding| slices.get(binding - 1)).map(|s| s.bytes);
    bytes().sum::<u64>() >= FROM_BYTES && bytes().all(|bytes| bytes <= MOST_BYTES)
}

/// A scratch texture.
#[derive(Clone)]
pub(super) struct Texels {
    /// Identifies it among the resources of a bind group.
    pub id: u64,
    pub texture: wgpu::Texture,
    pub view: wgpu::TextureView,
}

/// Scratch textures, and which arrays they hold copies of when the queue, which runs in order, reaches what is recorded
/// next.
#[derive(Default)]
pub(super) struct Scratch {
    copies: Vec<Copied>,
    clock: u64,
}

struct Copied {
    texels: Texels,
    rows: u64,
    /// The identity of the buffer, and the first byte and the number of bytes in it.
    of: Option<(u64, u64, u64)>,
    last_used: u64,
}

/// Textures of one height: at least as many as a kernel has bindings that may be texels, at most so many, of so many bytes.
const FEWEST: usize = 4;
const MOST: usize = 64;
const KEPT_BYTES: u64 = 32 << 20;

impl Scratch {
    /// A texture that holds an array, and whether it must be filled first, because none does. A texture that was handed out
    /// for the same dispatch is not taken: these are the last `FEWEST - 1` at most.
    pub fn take(&mut self, backend: &Backend, slice: &Slice) -> (Texels, bool) {
        self.clock += 1;
        let of = Some((slice.buffer.id(), slice.offset, slice.bytes));
        if let Some(copied) = self.copies.iter_mut().find(|c| c.of == of) {
            copied.last_used = self.clock;
            return (copied.texels.clone(), false);
        }
        let rows = slice.bytes.div_ceil(ROW_BYTES).next_power_of_two();
        let most = ((KEPT_BYTES / (rows * ROW_BYTES)) as usize).clamp(FEWEST, MOST);
        if self.copies.iter().filter(|c| c.rows == rows).count() < most {
            // Buffers count from 1 up, textures from the top down.
            let texels = Texels::new(backend, u64::MAX - self.copies.len() as u64, rows as u32);
            self.copies.push(Copied { texels, rows, of: None, last_used: 0 });
        }
        // One that holds nothing of use, else the one that was not asked for for the longest time.
        let free = self.copies.iter_mut().filter(|c| c.rows == rows).min_by_key(|c| (c.of.is_some(), c.last_used));
        let copied = free.unwrap_or_else(|| unreachable!("there are textures of this height by now"));
        (copied.of, copied.last_used) = (of, self.clock);
        (copied.texels.clone(), true)
    }

    /// Copies of an array that is written to are out of date.
    pub fn written(&mut self, slice: &Slice) {
        let overlaps = |&(id, offset, bytes): &(u64, u64, u64)| {
            id == slice.buffer.id() && offset < slice.offset + slice.bytes && slice.offset < offset + bytes
        };
        self.copies.iter_mut().filter(|c| c.of.as_ref().is_some_and(overlaps)).for_each(|c| c.of = None);
    }

    /// What is recorded next may run after anything: no copy is known to hold.
    pub fn forget(&mut self) {
        self.copies.iter_mut().for_each(|c| c.of = None);
    }
}

impl Texels {
    fn new(backend: &Backend, id: u64, rows: u32) -> Texels {
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
