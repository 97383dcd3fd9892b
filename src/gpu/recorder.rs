//! Recording: many dispatches, one compute pass, one submission. Nothing here waits for the device.

use super::command::{Command, DEFAULT_PHASE, MAX_PENDING, Recorded, Recording};
use super::device::Backend;
use super::pipeline::{Access, Pipeline};
use super::profile::{Profiler, Timer};
use super::texels::{self, Scratch, Texels};
use super::uniforms::{PARAMS_BYTES, Uniform};
use super::{Gpu, Kernel, Slice, Work, round_up};
use crate::uniforms;
use std::collections::{HashMap, VecDeque};

/// How many workgroups a dispatch starts. They are folded into x and y past 65,535; the shader unfolds them with
/// `linear_group`.
#[derive(Clone, Copy, Debug)]
pub enum Workgroups {
    /// Enough for this many elements. An invocation has as many as the constant `EACH` of the shader says, 1 without it.
    Elements(usize),
    /// This many.
    Count(usize),
}

/// WebGPU's bound on workgroups per dimension.
const MAX_WORKGROUPS: usize = 65_535;

impl Workgroups {
    fn grid(self, pipeline: &Pipeline) -> [u32; 2] {
        let count = match self {
            Workgroups::Elements(n) => n.div_ceil(pipeline.workgroup * pipeline.each),
            Workgroups::Count(n) => n,
        };
        let rows = count.div_ceil(MAX_WORKGROUPS).max(1);
        [count.div_ceil(rows) as u32, rows as u32]
    }
}

pub(super) struct Recorder {
    pub pending: Vec<Recorded>,
    pub capture: Option<Recording>,
    pub next_capture: u64,
    pub profile: Option<Profiler>,
    /// The phase of what is recorded now.
    pub phase: &'static str,
    /// The uniform arena: one block per pending dispatch, bound with a dynamic offset.
    arena: Option<wgpu::Buffer>,
    stride: u64,
    bindings: HashMap<(Vec<Access>, Vec<[u64; 3]>), wgpu::BindGroup>,
    scratch: Scratch,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    pub staging: HashMap<u64, Vec<wgpu::Buffer>>,
}

/// Submissions the host may be ahead of the device.
const MAX_IN_FLIGHT: usize = 3;
/// Bind groups kept; they hold their buffers, so the cache must not grow for ever.
const MAX_BINDINGS: usize = 16_384;

impl Recorder {
    pub fn new(backend: Option<&Backend>) -> Recorder {
        let alignment = backend.map_or(256, |b| b.device.limits().min_uniform_buffer_offset_alignment as u64);
        let stride = round_up(PARAMS_BYTES, alignment);
        Recorder {
            pending: Vec::new(),
            capture: None,
            next_capture: 0,
            profile: None,
            phase: DEFAULT_PHASE,
            arena: backend.map(|b| {
                b.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("uniforms"),
                    size: stride * MAX_PENDING as u64,
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            }),
            stride,
            bindings: HashMap::new(),
            scratch: Scratch::default(),
            in_flight: VecDeque::new(),
            staging: HashMap::new(),
        }
    }

    fn bind(
        &mut self,
        backend: &Backend,
        pipeline: &Pipeline,
        slices: &[&Slice],
        texels: &[Option<Texels>],
    ) -> wgpu::BindGroup {
        let identity = |(s, t): (&&Slice, &Option<Texels>)| match t {
            Some(texels) => [texels.id, 0, 0],
            None => [s.buffer.id(), s.offset, s.bytes],
        };
        let key = (pipeline.access.clone(), slices.iter().zip(texels).map(identity).collect());
        if self.bindings.len() >= MAX_BINDINGS {
            self.bindings.clear();
        }
        let (arena, Some((_, layout))) = (&self.arena, &pipeline.raw) else { unreachable!("bind on a dry run") };
        self.bindings
            .entry(key)
            .or_insert_with(|| {
                let buffer = |buffer, offset, bytes| {
                    let size = wgpu::BufferSize::new(bytes);
                    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
                };
                let arena = arena.as_ref().map(|a| (0, buffer(a, 0, PARAMS_BYTES))).into_iter();
                let rest = slices.iter().zip(texels).enumerate().filter_map(|(i, (s, t))| {
                    let resource = match t {
                        Some(texels) => wgpu::BindingResource::TextureView(&texels.view),
                        None => buffer(s.buffer.raw()?, s.offset, s.bytes),
                    };
                    Some((i as u32 + 1, resource))
                });
                let entries: Vec<_> =
                    arena.chain(rest).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
                let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
                backend.device.create_bind_group(&descriptor)
            })
            .clone()
    }
}

impl Gpu {
    /// Records one dispatch of `kernel`.
    ///
    /// `uniforms` are the fields of `Params` at binding 0 (see [`uniforms!`](crate::uniforms)); `slices` are the storage
    /// bindings from 1 on, inputs first. `work` counts the bytes and flops the kernel must at least move and do.
    ///
    /// # Panics
    /// When a uniform or a binding is missing or not the shader's.
    pub fn dispatch(
        &self,
        kernel: &Kernel,
        uniforms: &[(&'static str, Uniform)],
        slices: &[&Slice],
        workgroups: Workgroups,
        work: Work,
    ) {
        if self.failed() {
            return;
        }
        let program = self.program(kernel);
        let once = self.0.texels_pay_once.get();
        let texels = self.profile().software && texels::pay(&program.texel_bindings, slices, work, once);
        let pipeline = self.pipeline(&program, texels);
        assert_eq!(pipeline.access.len(), slices.len(), "{}: bindings", pipeline.name);
        let uniforms = pipeline.uniforms.block(&pipeline.name, uniforms);
        let Some(backend) = &self.0.backend else { return };
        let limit = self.profile().max_binding_bytes;
        if let Some(bytes) = slices.iter().map(|s| s.bytes).find(|&bytes| bytes > limit) {
            let adapter = self.profile().name.clone();
            return self.fail(crate::Error::TooLarge { what: "a tensor".into(), bytes, limit, adapter });
        }
        let grid = workgroups.grid(&pipeline);
        if grid.contains(&0) {
            return;
        }
        let texels = self.copy_to_texels(backend, &pipeline.access, slices);
        let bindings = self.0.recorder.borrow_mut().bind(backend, &pipeline, slices, &texels);
        self.record(Command::Dispatch { pipeline, bindings, uniforms, grid, work }, slices);
    }

    /// Copies what the kernel reads as texels into scratch textures.
    fn copy_to_texels(&self, backend: &Backend, access: &[Access], slices: &[&Slice]) -> Vec<Option<Texels>> {
        let copy = |(i, slice): (usize, &&Slice)| {
            let from = slice.buffer.raw().filter(|_| access[i] == Access::Texels)?;
            let texels = self.0.recorder.borrow_mut().scratch.take(backend, i, slice.bytes);
            let (from, to) = (from.clone(), texels.texture.clone());
            self.record(Command::Texels { from, from_offset: slice.offset, to, bytes: slice.bytes }, &[slice]);
            Some(texels)
        };
        slices.iter().enumerate().map(copy).collect()
    }

    /// Records a copy of `bytes` bytes (a multiple of 4) into `to` at byte `to_offset`.
    pub fn copy(&self, from: &Slice, to: &Slice, to_offset: u64, bytes: u64) {
        if let (false, Some(a), Some(b)) = (self.failed() || bytes == 0, from.buffer.raw(), to.buffer.raw()) {
            let command = Command::Copy {
                from: a.clone(),
                from_offset: from.offset,
                to: b.clone(),
                to_offset: to.offset + to_offset,
                bytes,
            };
            self.record(command, &[from, to]);
        }
    }

    /// Fills a buffer with one 32-bit pattern.
    pub fn fill(&self, to: &Slice, pattern: u32) {
        let kernel = Kernel::new(crate::shader!("movement/fill.wgsl"));
        for part in to.parts(self.profile().max_binding_bytes) {
            let quads = part.bytes as usize / 16;
            let work = Work::bytes(part.bytes);
            self.dispatch(&kernel, uniforms![quads, pattern], &[&part], Workgroups::Elements(quads), work);
        }
    }

    fn record(&self, command: Command, slices: &[&Slice]) {
        let full = {
            let recorder = &mut *self.0.recorder.borrow_mut();
            let recorded = Recorded { command, phase: recorder.phase };
            if let Some(capture) = &mut recorder.capture {
                capture.note(&recorded, slices);
            }
            recorder.pending.push(recorded);
            recorder.pending.len() >= MAX_PENDING
        };
        if full {
            self.flush();
        }
    }

    /// Overwrites the start of a buffer with host data, after everything recorded so far.
    pub fn write(&self, to: &Slice, data: &[u8]) {
        assert!(data.len() as u64 <= to.bytes, "write of {} bytes into {}", data.len(), to.bytes);
        self.flush();
        if let (false, Some(backend), Some(raw)) = (self.failed(), &self.0.backend, to.buffer.raw()) {
            backend.queue.write_buffer(raw, to.offset, data);
        }
    }

    /// Submits what was recorded. Returns at once, unless the device is several submissions behind.
    pub fn flush(&self) {
        let Some(backend) = &self.0.backend else { return };
        let recorder = &mut *self.0.recorder.borrow_mut();
        if recorder.pending.is_empty() || self.failed() {
            recorder.pending.clear();
            return;
        }
        let commands = std::mem::take(&mut recorder.pending);
        if let Some(mut profiler) = recorder.profile.take() {
            profiler.submit(backend, &commands, |part, timer| recorder.submit(backend, part, timer));
            recorder.profile = Some(profiler);
        } else {
            let submission = recorder.submit(backend, &commands, None);
            recorder.in_flight.push_back(submission);
        }
        while recorder.in_flight.len() > MAX_IN_FLIGHT {
            let submission_index = recorder.in_flight.pop_front();
            let _ = backend.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
        }
        // Lets wgpu free what dropped objects held.
        let _ = backend.device.poll(wgpu::PollType::Poll);
    }

    /// Submits what was recorded and waits until the device has done it.
    pub fn wait(&self) -> crate::Result<()> {
        self.flush();
        if let Some(backend) = &self.0.backend {
            let _ = backend.device.poll(wgpu::PollType::wait_indefinitely());
            self.0.recorder.borrow_mut().in_flight.clear();
        }
        self.check()
    }
}

impl Recorder {
    pub fn submit(&mut self, backend: &Backend, commands: &[Recorded], timer: Option<&Timer>) -> wgpu::SubmissionIndex {
        let mut blocks = vec![0u8; commands.len() * self.stride as usize];
        let mut encoder = backend.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = None;
        for (i, Recorded { command, .. }) in commands.iter().enumerate() {
            let copies = !matches!(command, Command::Dispatch { .. });
            if copies || timer.is_some() {
                drop(pass.take());
            }
            if let (Some(timer), true) = (timer, copies) {
                timer.mark(&mut encoder, i, 0);
            }
            match command {
                Command::Dispatch { pipeline, bindings, uniforms, grid, .. } => {
                    let at = i * self.stride as usize;
                    blocks[at..at + uniforms.len() * 4].copy_from_slice(bytemuck::cast_slice(uniforms));
                    let pass = pass.get_or_insert_with(|| {
                        let timestamp_writes = timer.map(|t| t.around(i));
                        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                        encoder.begin_compute_pass(&descriptor).forget_lifetime()
                    });
                    if let Some((raw, _)) = &pipeline.raw {
                        pass.set_pipeline(raw);
                        pass.set_bind_group(0, bindings, &[at as u32]);
                        pass.dispatch_workgroups(grid[0], grid[1], 1);
                    }
                }
                Command::Texels { from, from_offset, to, bytes } => {
                    texels::copy(&mut encoder, from, *from_offset, to, *bytes);
                }
                Command::Copy { from, from_offset, to, to_offset, bytes } => {
                    encoder.copy_buffer_to_buffer(from, *from_offset, to, *to_offset, *bytes);
                }
            }
            if let (Some(timer), true) = (timer, copies) {
                timer.mark(&mut encoder, i, 1);
            }
        }
        drop(pass);
        if let Some(timer) = timer {
            timer.resolve(&mut encoder, commands.len());
        }
        if let Some(arena) = &self.arena {
            backend.queue.write_buffer(arena, 0, &blocks);
        }
        backend.queue.submit([encoder.finish()])
    }
}
