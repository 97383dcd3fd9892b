//! Pooled storage buffers: freed buffers are kept by size class and handed out again.
//!
//! The queue executes in order, so a buffer may be reused as soon as the host lets go of it: whoever writes it next
//! is recorded after whoever read it last.

use super::{Gpu, Inner};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

/// A reference-counted storage buffer; the last clone returns it to the pool.
#[derive(Clone)]
pub struct Buffer(Rc<Block>);

struct Block {
    memory: Memory,
    /// The capture this buffer was allocated in, if any: it then returns to that capture's own free list.
    capture: Option<u64>,
    owner: Weak<Inner>,
}

/// What the pool stores: an identity, a size and the device's buffer (none on a dry run).
#[derive(Clone)]
pub(super) struct Memory {
    pub id: u64,
    pub bytes: u64,
    pub raw: Option<wgpu::Buffer>,
}

/// A byte range of a buffer that is bound as one array. Offsets are multiples of 256.
#[derive(Clone)]
pub struct Slice {
    pub(super) buffer: Buffer,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Pool counters, in bytes and buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Bytes of all buffers ever created and not destroyed.
    pub allocated_bytes: u64,
    /// Bytes of the buffers that tensors hold now.
    pub in_use_bytes: u64,
    /// Buffers created from the device (a steady training step creates none).
    pub created: u64,
}

#[derive(Default)]
pub(super) struct Pool {
    free: HashMap<(Option<u64>, u64), Vec<Memory>>,
    stats: PoolStats,
    next_id: u64,
}

impl Buffer {
    pub(super) fn id(&self) -> u64 {
        self.0.memory.id
    }

    pub(super) fn raw(&self) -> Option<&wgpu::Buffer> {
        self.0.memory.raw.as_ref()
    }

    pub(super) fn capture(&self) -> Option<u64> {
        self.0.capture
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(gpu) = self.owner.upgrade() {
            gpu.pool.borrow_mut().release(self.memory.clone(), self.capture);
        }
    }
}

impl Slice {
    /// The size in bytes, a multiple of 16.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether both name the same bytes of the same buffer.
    pub fn same_memory(&self, other: &Slice) -> bool {
        (self.buffer.id(), self.offset) == (other.buffer.id(), other.offset)
    }

    /// `bytes` bytes from byte `offset` (a multiple of 256) of this slice: the same memory under another name.
    pub fn view(&self, offset: u64, bytes: u64) -> Slice {
        assert!(
            offset.is_multiple_of(ALIGNMENT) && offset + bytes <= self.bytes,
            "view {offset}+{bytes} of {}",
            self.bytes
        );
        Slice { buffer: self.buffer.clone(), offset: self.offset + offset, bytes: round_up(bytes.max(1), 16) }
    }

    /// Views of at most `limit` bytes that cover it.
    pub fn parts(&self, limit: u64) -> Vec<Slice> {
        let most = limit / ALIGNMENT * ALIGNMENT;
        let part = |start: u64| self.view(start, most.min(self.bytes - start));
        (0..self.bytes.div_ceil(most)).map(|i| part(i * most)).collect()
    }
}

/// Offsets of views are multiples of this on every backend.
pub const ALIGNMENT: u64 = 256;

/// The smallest multiple of `unit` that is at least `n`.
pub fn round_up(n: u64, unit: u64) -> u64 {
    n.div_ceil(unit) * unit
}

/// The bytes really allocated for a request: 256, then quarter steps between powers of two (waste below 25 %).
fn size_class(bytes: u64, limit: u64) -> u64 {
    let quarter = (bytes.max(256).next_power_of_two() / 8).max(64);
    let class = round_up(bytes.max(256), quarter);
    if class <= limit { class } else { round_up(bytes, 16) }
}

impl Pool {
    fn take(&mut self, class: u64, capture: Option<u64>) -> Option<Memory> {
        let own = self.free.get_mut(&(capture, class)).and_then(Vec::pop);
        let memory = own.or_else(|| self.free.get_mut(&(None, class)).and_then(Vec::pop))?;
        self.stats.in_use_bytes += memory.bytes;
        Some(memory)
    }

    fn add(&mut self, bytes: u64, raw: Option<wgpu::Buffer>) -> Memory {
        self.next_id += 1;
        self.stats.allocated_bytes += bytes;
        self.stats.in_use_bytes += bytes;
        self.stats.created += 1;
        Memory { id: self.next_id, bytes, raw }
    }

    fn release(&mut self, memory: Memory, capture: Option<u64>) {
        self.stats.in_use_bytes -= memory.bytes;
        self.free.entry((capture, memory.bytes)).or_default().push(memory);
    }

    /// A dropped capture gives its buffers back to everyone.
    pub fn end_capture(&mut self, capture: u64) {
        let keys: Vec<_> = self.free.keys().filter(|(c, _)| *c == Some(capture)).copied().collect();
        for key in keys {
            let list = self.free.remove(&key).unwrap_or_default();
            self.free.entry((None, key.1)).or_default().extend(list);
        }
    }

    pub fn stats(&self) -> PoolStats {
        self.stats
    }
}

impl Gpu {
    /// A storage buffer of at least `bytes` bytes; its content is undefined.
    ///
    /// It may be larger than what the adapter can bind at once: then only views of it go into dispatches. A request that
    /// the device cannot satisfy marks it as failed: the error comes back at the next [`Gpu::check`] or read.
    pub fn alloc(&self, bytes: u64) -> Slice {
        self.alloc_for(bytes, self.capture_id())
    }

    /// A buffer for host data: never part of a capture's own memory, because replays do not upload again.
    pub fn alloc_for_upload(&self, bytes: u64) -> Slice {
        self.alloc_for(bytes, None)
    }

    fn alloc_for(&self, bytes: u64, capture: Option<u64>) -> Slice {
        let bytes = round_up(bytes.max(1), 16);
        let limit = self.0.backend.as_ref().map_or(u64::MAX, |backend| backend.device.limits().max_buffer_size);
        if bytes > limit {
            let (what, adapter) = ("a tensor".to_string(), self.profile().name.clone());
            self.fail(crate::Error::TooLarge { what, bytes, limit, adapter });
        }
        // A failed device hands out small dummies; nothing is dispatched on it any more.
        let wanted = if self.failed() { 256 } else { bytes };
        let class = size_class(wanted, self.profile().max_binding_bytes.max(wanted));
        let reused = self.0.pool.borrow_mut().take(class, capture);
        let memory = reused.unwrap_or_else(|| {
            let raw = self.0.backend.as_ref().map(|backend| {
                backend.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size: class,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            });
            self.0.pool.borrow_mut().add(class, raw)
        });
        let block = Block { memory, capture, owner: Rc::downgrade(&self.0) };
        let slice = Slice { buffer: Buffer(Rc::new(block)), offset: 0, bytes };
        // Uploads are written by the host; inside a capture, a fill of theirs would be replayed.
        if self.0.options.poison && capture == self.capture_id() {
            self.fill(&slice, f32::NAN.to_bits());
        }
        slice
    }

    /// Sixteen zero bytes, to bind where a kernel's input is left out.
    pub fn zero(&self) -> Slice {
        let make = || {
            let zero = self.alloc_for_upload(16);
            self.write(&zero, &[0; 16]);
            zero
        };
        self.0.zero.get_or_init(make).clone()
    }

    /// Pool counters.
    pub fn pool_stats(&self) -> PoolStats {
        self.0.pool.borrow().stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_waste_less_than_a_quarter_and_respect_the_limit() {
        for bytes in (1..100_000u64).step_by(37) {
            let class = size_class(bytes, u64::MAX);
            assert!(class >= bytes && (bytes < 256 || class * 4 <= bytes * 5 + 256), "{bytes} -> {class}");
        }
        assert_eq!(size_class(1000, 1008), 1008);
    }
}
