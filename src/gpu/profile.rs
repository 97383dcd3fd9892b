//! Timing every command of eager and replayed steps on its own.
//!
//! While a profile runs, each dispatch gets a pass of its own with a timestamp at either end and each copy stands between
//! two empty passes that take one; a submission is still up to 1024 commands, whose timestamps are resolved together.
//! Where the adapter has no timestamps, each command is submitted alone and the host waits for it.

use super::Gpu;
use super::command::{Command, MAX_PENDING, Recorded, Work};
use super::device::Backend;
use super::read::Mapping;
use super::report::{Clock, ProfileReport, ProfileRow, Roofs};
use crate::error::Result;
use std::collections::HashMap;
use std::time::Instant;

/// What tells one row of a profile from another.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    phase: &'static str,
    name: String,
    grid: Option<[u32; 2]>,
    work: Work,
}

impl Key {
    fn of(recorded: &Recorded) -> Key {
        let (name, grid, work) = match &recorded.command {
            Command::Dispatch { pipeline, grid, work, .. } => (pipeline.name.clone(), Some(*grid), *work),
            Command::Texels { bytes, .. } => ("copy to texels".into(), None, Work::bytes(2 * bytes)),
            Command::Copy { bytes, .. } => ("copy".into(), None, Work::bytes(2 * bytes)),
        };
        Key { phase: recorded.phase, name, grid, work }
    }
}

/// A profile in progress.
#[derive(Default)]
pub(super) struct Profiler {
    /// Whether the adapter has timestamps.
    timestamps: bool,
    /// What was submitted and is not read yet: its commands, its timestamps, the nanoseconds of a tick.
    unread: Vec<(Vec<Key>, Mapping, f64)>,
    /// How often each kind of command ran, and for how many seconds.
    rows: HashMap<Key, (u64, f64)>,
    /// Seconds from the first command of a submission to its last, summed over submissions.
    seconds: f64,
}

impl Profiler {
    /// Submits `commands` with `submit`, waits for them and adds their times; in a browser, where nothing may wait, their times
    /// are read when the profile stops.
    pub fn submit<T>(
        &mut self,
        backend: &Backend,
        commands: &[Recorded],
        mut submit: impl FnMut(&[Recorded], Option<&Timer>) -> T,
    ) {
        if self.timestamps {
            let timer = Timer::new(backend);
            submit(commands, Some(&timer));
            let keys = commands.iter().map(Key::of).collect();
            let readable = Mapping::of(&backend.device, timer.readable);
            self.unread.push((keys, readable, backend.queue.get_timestamp_period().into()));
            #[cfg(not(target_arch = "wasm32"))]
            pollster::block_on(self.read());
            return;
        }
        for command in commands {
            let start = Instant::now();
            submit(std::slice::from_ref(command), None);
            let _ = backend.device.poll(wgpu::PollType::wait_indefinitely());
            let seconds = start.elapsed().as_secs_f64();
            self.add(Key::of(command), seconds);
            self.seconds += seconds;
        }
    }

    /// Adds the times of all that was submitted, when they have arrived.
    async fn read(&mut self) {
        for (keys, readable, nanoseconds) in std::mem::take(&mut self.unread) {
            let buffer = readable.buffer.clone();
            // A lost device returns no times; it has reported its error.
            let arrived = readable.await.is_ok();
            let Some(view) = arrived.then(|| buffer.get_mapped_range(..).ok()).flatten() else { continue };
            let ticks: &[[u64; 2]] = bytemuck::cast_slice(&view);
            let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 * nanoseconds * 1e-9;
            if let Some([[first, _], .., [_, last]] | [[first, last]]) = ticks.get(..keys.len()) {
                self.seconds += seconds(*first, *last);
            }
            for (key, [begin, end]) in keys.into_iter().zip(ticks) {
                self.add(key, seconds(*begin, *end));
            }
        }
    }

    fn add(&mut self, key: Key, seconds: f64) {
        let row = self.rows.entry(key).or_default();
        row.0 += 1;
        row.1 += seconds;
    }

    fn report(self, gpu: &Gpu) -> ProfileReport {
        let row = |(key, (count, seconds)): (Key, (u64, f64))| {
            ProfileRow::new(key.phase, key.name, key.grid, key.work, count, seconds)
        };
        let clock = if self.timestamps { Clock::Device } else { Clock::Host };
        let rows = self.rows.into_iter().map(row).collect();
        ProfileReport::new(gpu.describe(), clock, self.seconds * 1e3, gpu.pool_stats().allocated_bytes, rows)
    }
}

/// Two timestamps for each command of a submission.
pub(super) struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readable: wgpu::Buffer,
}

/// Bytes of a command's two timestamps.
const PAIR: u64 = 16;

impl Timer {
    fn new(backend: &Backend) -> Timer {
        let buffer = |usage| {
            let size = MAX_PENDING as u64 * PAIR;
            backend.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        Timer {
            queries: backend.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: MAX_PENDING as u32 * 2,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            readable: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        }
    }

    /// Timestamps at the beginning and the end of the pass of command `i`.
    pub fn around(&self, i: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(i as u32 * 2),
            end_of_pass_write_index: Some(i as u32 * 2 + 1),
        }
    }

    /// Writes the timestamp before (`end` = 0) or after (`end` = 1) the copy that is command `i`, with an empty pass.
    pub fn mark(&self, encoder: &mut wgpu::CommandEncoder, i: usize, end: u32) {
        let at = wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(i as u32 * 2 + end),
            end_of_pass_write_index: None,
        };
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(at) });
    }

    /// Makes the timestamps of the first `commands` commands readable.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder, commands: usize) {
        encoder.resolve_query_set(&self.queries, 0..commands as u32 * 2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readable, 0, commands as u64 * PAIR);
    }
}

impl Gpu {
    /// Starts timing every dispatch and every copy on its own, in eager and in replayed steps. Results keep their bits;
    /// steps take longer. Where the adapter has no timestamps the host's clock is used ([`Clock::Host`]), which browsers
    /// lack. A profile already in progress starts afresh.
    pub fn profile_start(&self) {
        // An error shows at the caller's next read or wait.
        let _ = self.wait();
        let timestamps = self.0.backend.is_some() && self.profile().timestamps;
        self.0.recorder.borrow_mut().profile = Some(Profiler { timestamps, ..Profiler::default() });
    }

    /// Stops timing and returns what ran since [`Gpu::profile_start`], slowest first; nothing if it was not called.
    pub fn profile_stop(&self) -> ProfileReport {
        pollster::block_on(self.profile_stop_async())
    }

    /// [`Gpu::profile_stop`] where nothing may wait.
    pub async fn profile_stop_async(&self) -> ProfileReport {
        self.flush();
        let mut profiler = self.0.recorder.borrow_mut().profile.take().unwrap_or_default();
        profiler.read().await;
        profiler.report(self)
    }

    /// Where the time of a step goes. Calls `step` twice to warm up (the first run of a captured step is eager and compiles
    /// its kernels), then 3 x `steps` times to see how long a step normally takes (the median of three means, each up to
    /// the moment when the device has finished), then `steps` times under the profile.
    ///
    /// Each row is what the device does, `between_ms` the rest of the normal step; together they are all of it.
    ///
    /// # Errors
    /// The first error of `step` or of the device.
    pub fn profile_steps(
        &self,
        steps: u64,
        roofs: Option<Roofs>,
        mut step: impl FnMut() -> Result<()>,
    ) -> Result<ProfileReport> {
        let steps = steps.max(1);
        let mut mean_ms = |count: u64| {
            let start = Instant::now();
            (0..count).try_for_each(|_| step())?;
            self.wait()?;
            Ok(start.elapsed().as_secs_f64() * 1e3 / count as f64)
        };
        mean_ms(2)?;
        let mut normal = [mean_ms(steps)?, mean_ms(steps)?, mean_ms(steps)?];
        normal.sort_by(f64::total_cmp);
        self.profile_start();
        let profiled = mean_ms(steps);
        let report = self.profile_stop();
        profiled.map(|_| report.of_steps(steps, normal[1], roofs))
    }

    /// Runs `f`; what it records counts in profiles as phase `label` (outside any phase: "forward"). Of nested phases the
    /// innermost counts. A captured command keeps its phase when it is replayed.
    pub fn phase<T>(&self, label: &'static str, f: impl FnOnce() -> T) -> T {
        let set = |label| std::mem::replace(&mut self.0.recorder.borrow_mut().phase, label);
        let outer = set(label);
        let value = f();
        set(outer);
        value
    }
}
