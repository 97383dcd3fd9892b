//! The device and its kernels. Knows nothing of tensors.
//!
//! `shader` expands a WGSL file into the text of one [`Kernel`]; `pipeline` compiles it, with its bindings and `uniforms`
//! read out of the shader itself; `texels` reads arrays as textures where that is faster; `buffer` pools memory;
//! `matrix_units` tells which adapters multiply whole matrices; `choices` measures which of several kernels is the fastest; `command` says what a device can be told, `recorder` collects commands and submits many at once; `capture` replays a
//! recorded step; `profile` times its commands and `report` and `table` show the times.

mod buffer;
mod capture;
mod choices;
mod command;
mod device;
mod matrix_units;
mod pipeline;
mod profile;
mod read;
mod recorder;
mod report;
mod shader;
mod table;
mod texels;
mod translate;
mod uniforms;

pub use buffer::{ALIGNMENT, PoolStats, Slice, round_up};
pub use capture::Captured;
pub use choices::{Choices, Tuned};
pub use command::Work;
pub use device::{INSTALL_HINT, Options, adapters, choose_adapter, describe, pin_software_threads};
pub use matrix_units::MatrixUnits;
pub use read::ReadBack;
pub use recorder::Workgroups;
pub use report::{Clock, PhaseRow, ProfileReport, ProfileRow, Roofs};
pub use shader::{INCLUDES, Kernel, Param, Source};
#[cfg(feature = "cli")]
pub(crate) use table::significant;
pub use translate::{Validated, for_browsers};
pub use uniforms::Uniform;

use crate::error::Error;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// A handle to an opened adapter. Clones share the device; it lives on one thread.
#[derive(Clone)]
pub struct Gpu(Rc<Inner>);

/// What kernels may rely on; also the description of an adapter that is not there (see [`Gpu::dry_run`]).
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The adapter's name.
    pub name: String,
    /// Whether the adapter is a software renderer on the host's processor.
    pub software: bool,
    /// The subgroup size, where subgroup operations exist and the size is fixed.
    pub subgroup: Option<u32>,
    /// Whether passes can be timed on the device.
    pub timestamps: bool,
    /// The largest array one kernel can bind.
    pub max_binding_bytes: u64,
    /// What multiplies matrices of f16, where it was asked for and computes right.
    pub matrix_units: Option<MatrixUnits>,
}

impl Profile {
    /// Adapters of every class that kernels are chosen for, none of which needs to exist.
    pub fn classes() -> Vec<Profile> {
        let units = |side, by_hand| Some(MatrixUnits { side, by_hand });
        let base = Profile { max_binding_bytes: 1 << 31, timestamps: true, ..Profile::default() };
        vec![
            Profile { name: "software with subgroups of 8".into(), software: true, subgroup: Some(8), ..base.clone() },
            Profile { name: "software without subgroups".into(), software: true, ..base.clone() },
            Profile { name: "GPU with subgroups of 32".into(), subgroup: Some(32), ..base.clone() },
            Profile { name: "GPU with matrix units".into(), matrix_units: units(16, false), ..base.clone() },
            Profile { name: "GPU with small matrix units".into(), matrix_units: units(8, false), ..base.clone() },
            Profile { name: "matrix units by hand".into(), matrix_units: units(16, true), ..base.clone() },
            Profile { name: "GPU with nothing optional".into(), ..base },
        ]
    }
}

struct Inner {
    profile: Profile,
    backend: Option<device::Backend>,
    options: Options,
    pool: RefCell<buffer::Pool>,
    pipelines: RefCell<pipeline::Pipelines>,
    recorder: RefCell<recorder::Recorder>,
    error: Arc<Mutex<Option<Error>>>,
    /// Sixteen zero bytes, for optional bindings.
    zero: OnceCell<Slice>,
    /// Whether kernels that read each number once gain by texels; of software adapters.
    texels_pay_once: Cell<bool>,
    /// Whether the profile's matrix units computed right.
    trust_matrix_units: Cell<bool>,
    choices: RefCell<Choices>,
    tuning: RefCell<Option<choices::Tuning>>,
}

impl Inner {
    fn new(
        profile: Profile,
        backend: Option<device::Backend>,
        options: Options,
        error: Arc<Mutex<Option<Error>>>,
    ) -> Inner {
        Inner {
            recorder: RefCell::new(recorder::Recorder::new(backend.as_ref())),
            profile,
            backend,
            options,
            pool: RefCell::default(),
            pipelines: RefCell::default(),
            error,
            zero: OnceCell::new(),
            texels_pay_once: Cell::new(true),
            trust_matrix_units: Cell::new(true),
            choices: RefCell::default(),
            tuning: RefCell::default(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Work still queued must not outlive the device handle.
        if let Some(backend) = &self.backend {
            let _ = backend.device.poll(wgpu::PollType::wait_indefinitely());
        }
    }
}
