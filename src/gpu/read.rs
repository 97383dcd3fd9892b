//! Reading device memory back. [`ReadBack`] is a future; `wait` is its blocking form.

use super::command::{Command, Recorded};
use super::{Gpu, Slice, round_up};
use crate::error::{Error, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// A read-back under way: the copy is queued, the value arrives later. Dropping it cancels nothing and costs nothing.
pub struct ReadBack {
    gpu: Gpu,
    staging: Option<Mapping>,
    floats: usize,
}

/// A buffer that is being mapped for the host.
pub(super) struct Mapping {
    device: wgpu::Device,
    pub buffer: wgpu::Buffer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    result: Option<std::result::Result<(), String>>,
    waker: Option<Waker>,
}

impl Mapping {
    /// Asks for the contents of `buffer` once all that was submitted is done.
    pub fn of(device: &wgpu::Device, buffer: wgpu::Buffer) -> Mapping {
        let state = Arc::new(Mutex::new(State::default()));
        let done = state.clone();
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            let mut state = done.lock().unwrap_or_else(|e| e.into_inner());
            state.result = Some(result.map_err(|e| e.to_string()));
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        Mapping { device: device.clone(), buffer, state }
    }

    /// Whether they have arrived.
    fn ready(&self) -> bool {
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.lock().result.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Future for Mapping {
    type Output = std::result::Result<(), String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.lock().waker = Some(context.waker().clone());
        // A browser calls back by itself. Elsewhere nobody does but the thread that waits: so it waits here.
        #[cfg(not(target_arch = "wasm32"))]
        if !self.ready() {
            let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        }
        let result = self.lock().result.take();
        result.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Gpu {
    /// Queues the copy of the first `floats` values of `from` to the host and returns at once.
    pub fn read(&self, from: &Slice, floats: usize) -> ReadBack {
        let bytes = round_up(floats.max(1) as u64 * 4, 16);
        let staging = self.0.backend.as_ref().filter(|_| !self.failed()).map(|backend| {
            let reused = self.0.recorder.borrow_mut().staging.get_mut(&bytes).and_then(Vec::pop);
            let staging = reused.unwrap_or_else(|| {
                backend.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("read-back"),
                    size: bytes,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            });
            if let Some(raw) = from.buffer.raw() {
                let recorder = &mut *self.0.recorder.borrow_mut();
                let command = Command::Copy {
                    from: raw.clone(),
                    from_offset: from.offset,
                    to: staging.clone(),
                    to_offset: 0,
                    bytes: bytes.min(from.bytes),
                };
                recorder.pending.push(Recorded { command, phase: recorder.phase });
            }
            self.flush();
            Mapping::of(&backend.device, staging)
        });
        ReadBack { gpu: self.clone(), staging, floats }
    }
}

impl ReadBack {
    /// Whether the value has arrived.
    pub fn ready(&self) -> bool {
        self.staging.as_ref().is_none_or(Mapping::ready) || self.gpu.failed()
    }

    /// Waits for the value.
    pub fn wait(self) -> Result<Vec<f32>> {
        pollster::block_on(self)
    }

    fn take(&mut self) -> Result<Vec<f32>> {
        self.gpu.check()?;
        let no_value = || Error::Device("this device runs nothing, so there is nothing to read".into());
        let staging = self.staging.take().ok_or_else(no_value)?.buffer;
        let values = {
            let view = staging.get_mapped_range(..).map_err(|e| Error::Device(format!("read-back failed: {e}")))?;
            bytemuck::cast_slice(&view)[..self.floats].to_vec()
        };
        staging.unmap();
        self.gpu.0.recorder.borrow_mut().staging.entry(staging.size()).or_default().push(staging);
        Ok(values)
    }
}

impl Future for ReadBack {
    type Output = Result<Vec<f32>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.staging.as_mut().map(|staging| Pin::new(staging).poll(context)) {
            Some(Poll::Pending) if !self.gpu.failed() => Poll::Pending,
            Some(Poll::Ready(Err(why))) => {
                self.gpu.check()?;
                Poll::Ready(Err(Error::Device(format!("read-back failed: {why}"))))
            }
            _ => Poll::Ready(self.take()),
        }
    }
}
