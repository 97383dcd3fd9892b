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
    staging: Option<wgpu::Buffer>,
    floats: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    result: Option<std::result::Result<(), String>>,
    waker: Option<Waker>,
}

impl Gpu {
    /// Queues the copy of the first `floats` values of `from` to the host and returns at once.
    pub fn read(&self, from: &Slice, floats: usize) -> ReadBack {
        let state = Arc::new(Mutex::new(State::default()));
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
            let done = state.clone();
            staging.map_async(wgpu::MapMode::Read, .., move |result| {
                let mut state = done.lock().unwrap_or_else(|e| e.into_inner());
                state.result = Some(result.map_err(|e| e.to_string()));
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
            });
            staging
        });
        ReadBack { gpu: self.clone(), staging, floats, state }
    }
}

impl ReadBack {
    /// Whether the value has arrived.
    pub fn ready(&self) -> bool {
        if let Some(backend) = &self.gpu.0.backend {
            let _ = backend.device.poll(wgpu::PollType::Poll);
        }
        self.staging.is_none() || self.gpu.failed() || self.lock().result.is_some()
    }

    /// Waits for the value.
    pub fn wait(self) -> Result<Vec<f32>> {
        pollster::block_on(self)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn take(&mut self) -> Result<Vec<f32>> {
        self.gpu.check()?;
        let no_value = || Error::Device("this device runs nothing, so there is nothing to read".into());
        let staging = self.staging.take().ok_or_else(no_value)?;
        if let Some(Err(why)) = self.lock().result.take() {
            return Err(Error::Device(format!("read-back failed: {why}")));
        }
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
        self.lock().waker = Some(context.waker().clone());
        // A browser calls back by itself. Elsewhere nobody does but the thread that waits: so it waits here.
        #[cfg(not(target_arch = "wasm32"))]
        if let (Some(backend), false) = (&self.gpu.0.backend, self.ready()) {
            let _ = backend.device.poll(wgpu::PollType::wait_indefinitely());
        }
        if self.ready() { Poll::Ready(self.take()) } else { Poll::Pending }
    }
}
