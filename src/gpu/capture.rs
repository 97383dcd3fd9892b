//! Capture and replay: a training step is recorded once, while it runs, and its list of dispatches is then submitted
//! again and again. Eager and replayed steps are the same dispatches with the same parameters, so they give the same bits.
//!
//! What changes between replays must live in buffers that the host rewrites (step number, learning rate, batch rows) or
//! that the step itself updates.

use super::Gpu;
use super::command::{Command, Recording};
use std::collections::HashMap;

/// A recorded list of dispatches and the buffers it needs.
pub struct Captured {
    gpu: Gpu,
    recording: Recording,
}

impl Gpu {
    /// Runs `step` and records what it dispatches. The buffers it allocates stay reserved for the replays.
    ///
    /// # Panics
    /// When called inside another capture.
    pub fn capture<T>(&self, step: impl FnOnce() -> T) -> (T, Captured) {
        self.flush();
        {
            let recorder = &mut *self.0.recorder.borrow_mut();
            assert!(recorder.capture.is_none(), "a capture inside a capture");
            recorder.next_capture += 1;
            recorder.capture =
                Some(Recording { id: recorder.next_capture, commands: Vec::new(), externals: HashMap::new() });
        }
        let value = step();
        self.flush();
        let recording = self.0.recorder.borrow_mut().capture.take();
        let recording = recording.unwrap_or_else(|| unreachable!("the capture began above"));
        (value, Captured { gpu: self.clone(), recording })
    }

    pub(super) fn capture_id(&self) -> Option<u64> {
        self.0.recorder.borrow().capture.as_ref().map(|c| c.id)
    }

    /// Whether a capture is in progress.
    pub fn capturing(&self) -> bool {
        self.capture_id().is_some()
    }
}

impl Captured {
    /// Submits the recorded dispatches once more.
    pub fn replay(&self) {
        self.gpu.flush();
        for chunk in self.recording.commands.chunks(1024) {
            self.gpu.0.recorder.borrow_mut().pending.extend_from_slice(chunk);
            self.gpu.flush();
        }
    }

    /// Dispatches and copies per replay.
    pub fn len(&self) -> usize {
        self.recording.commands.len()
    }

    /// The names of the kernels it dispatches, in the order of their first dispatch, with how often each is.
    pub fn kernels(&self) -> Vec<(String, usize)> {
        let mut found: Vec<(String, usize)> = Vec::new();
        for recorded in &self.recording.commands {
            let Command::Dispatch { pipeline, .. } = &recorded.command else { continue };
            match found.iter_mut().find(|(name, _)| *name == pipeline.name) {
                Some((_, times)) => *times += 1,
                None => found.push((pipeline.name.clone(), 1)),
            }
        }
        found
    }

    /// Whether the step dispatched nothing.
    pub fn is_empty(&self) -> bool {
        self.recording.commands.is_empty()
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        self.gpu.0.pool.borrow_mut().end_capture(self.recording.id);
    }
}
