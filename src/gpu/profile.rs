//! Per-kernel times from device timestamps: one pass and one timestamp pair per dispatch.

use super::Gpu;
use super::device::Backend;
use std::collections::BTreeMap;

/// The least a kernel must move and compute: the numerator of its GB/s and GFLOP/s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// One line of the profile.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// The kernel's name with its specialisation.
    pub name: String,
    /// How often it ran.
    pub count: u64,
    /// Its total time in milliseconds.
    pub total_ms: f64,
    /// Achieved GB/s over all runs.
    pub gbps: f64,
    /// Achieved GFLOP/s over all runs.
    pub gflops: f64,
}

#[derive(Default)]
pub(super) struct Table(BTreeMap<String, (u64, f64, Work)>);

impl Table {
    pub fn add(&mut self, name: &str, seconds: f64, work: Work) {
        let row = self.0.entry(name.to_string()).or_default();
        row.0 += 1;
        row.1 += seconds;
        row.2.bytes += work.bytes;
        row.2.flops += work.flops;
    }
}

/// A pair of timestamps around one pass.
pub(super) struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readable: wgpu::Buffer,
}

impl Timer {
    pub fn new(backend: &Backend) -> Timer {
        let buffer = |usage| {
            let descriptor = wgpu::BufferDescriptor { label: None, size: 256, usage, mapped_at_creation: false };
            backend.device.create_buffer(&descriptor)
        };
        Timer {
            queries: backend.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            readable: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        }
    }

    pub fn writes(&self) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        }
    }

    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readable, 0, 16);
    }

    /// Waits for the pass and returns its duration in seconds.
    pub fn read(&self, backend: &Backend) -> f64 {
        self.readable.map_async(wgpu::MapMode::Read, 0..16, |_| ());
        let _ = backend.device.poll(wgpu::PollType::wait_indefinitely());
        let Ok(view) = self.readable.get_mapped_range(0..16) else { return 0.0 };
        let ticks: &[u64] = bytemuck::cast_slice(&view);
        ticks[1].saturating_sub(ticks[0]) as f64 * backend.queue.get_timestamp_period() as f64 * 1e-9
    }
}

impl Gpu {
    /// Starts timing every dispatch on the device, each in a pass of its own (slow; for finding where time goes).
    /// Does nothing where the adapter has no timestamps.
    pub fn profile_start(&self) {
        self.flush();
        if self.profile().timestamps {
            self.0.recorder.borrow_mut().profile = Some(Table::default());
        }
    }

    /// Stops timing and returns the kernels, slowest first.
    pub fn profile_stop(&self) -> Vec<ProfileRow> {
        self.flush();
        let table = self.0.recorder.borrow_mut().profile.take().unwrap_or_default();
        let row = |(name, (count, seconds, work)): (String, (u64, f64, Work))| ProfileRow {
            name,
            count,
            total_ms: seconds * 1e3,
            gbps: work.bytes as f64 / seconds / 1e9,
            gflops: work.flops as f64 / seconds / 1e9,
        };
        let mut rows: Vec<ProfileRow> = table.0.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
        rows
    }
}
