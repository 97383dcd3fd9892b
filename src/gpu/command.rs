//! What the device is told to do: one by one, and as the list that a capture keeps.

use super::Slice;
use super::pipeline::Pipeline;
use std::collections::HashMap;
use std::rc::Rc;

/// The least a kernel must move and compute: the numerator of its GB/s and GFLOP/s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Work {
    /// Bytes read and written once.
    pub bytes: u64,
    /// Floating-point operations; a multiply-add counts two.
    pub flops: u64,
}

impl Work {
    /// Work that only moves memory.
    pub fn bytes(bytes: u64) -> Work {
        Work { bytes, flops: 0 }
    }
}

/// The phase of commands that are recorded outside every [`Gpu::phase`].
pub(super) const DEFAULT_PHASE: &str = "forward";

/// Something the device will do.
#[derive(Clone)]
pub(super) enum Command {
    Dispatch {
        pipeline: Rc<Pipeline>,
        bindings: wgpu::BindGroup,
        uniforms: Rc<[u32]>,
        grid: [u32; 2],
        work: Work,
    },
    /// Fills a scratch texture for the dispatch that follows.
    Texels {
        from: wgpu::Buffer,
        from_offset: u64,
        to: wgpu::Texture,
        bytes: u64,
    },
    Copy {
        from: wgpu::Buffer,
        from_offset: u64,
        to: wgpu::Buffer,
        to_offset: u64,
        bytes: u64,
    },
}

/// A command and the phase it was recorded in.
#[derive(Clone)]
pub(super) struct Recorded {
    pub command: Command,
    pub phase: &'static str,
}

/// Dispatches per submission at most; also the number of blocks in the arena.
pub(super) const MAX_PENDING: usize = 1024;

/// A capture in progress.
pub(super) struct Recording {
    pub id: u64,
    pub commands: Vec<Recorded>,
    /// Buffers from before the capture that its commands use; kept alive so that nobody else gets them.
    pub externals: HashMap<u64, Slice>,
}

impl Recording {
    pub fn note(&mut self, command: &Recorded, slices: &[&Slice]) {
        self.commands.push(command.clone());
        for slice in slices.iter().filter(|s| s.buffer.capture() != Some(self.id)) {
            self.externals.entry(slice.buffer.id()).or_insert_with(|| (*slice).clone());
        }
    }
}
