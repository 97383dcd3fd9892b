//! Which sampler, as it stands in a configuration file.

use super::{Hmc, Langevin, Mala, Moved, Sampler};
use crate::check;
use crate::energy::Energy;
use crate::error::Result;
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// The samplers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// [`Langevin`]: every move counts, the law is biased by the step size.
    #[default]
    Langevin,
    /// [`Mala`].
    Mala,
    /// [`Hmc`].
    Hmc,
}

/// L of Hamiltonian moves, unless told otherwise.
const LEAPFROG: usize = 10;

/// A sampler and its settings; what only one of them has is refused for the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// Which one.
    #[serde(skip_serializing_if = "is_langevin")]
    pub kind: SamplerKind,
    /// K, the number of moves.
    pub steps: usize,
    /// eta of a Langevin move, in units of x^2 per unit of energy; eps of a leapfrog step, in units of x.
    pub step_size: f64,
    /// L, leapfrog steps of a Hamiltonian move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leapfrog: Option<usize>,
    /// T, in units of energy.
    pub temperature: f64,
    /// The noise of a Langevin step, where it is not `sqrt(2 step_size temperature)`.
    pub noise_scale: Option<f64>,
    /// Whether a Langevin step adds its noise before the gradient is taken, see [`Langevin::noise_first`].
    pub noise_first: bool,
    /// Keeps every coordinate in this interval: Langevin clips, the others bounce off its ends.
    pub clip: Option<(f64, f64)>,
    /// Whether step sizes and noise are in units of the data, half the width of their box (see [`SamplerConfig::in_units`]).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub relative: bool,
    /// Runs whole Langevin chains in one kernel where there is one, see [`Langevin::fused`].
    pub fused: bool,
}

/// Settings without a kind mean Langevin, and are written so: files from before there were others stay as they are.
fn is_langevin(kind: &SamplerKind) -> bool {
    *kind == SamplerKind::Langevin
}

impl Default for SamplerConfig {
    fn default() -> SamplerConfig {
        Langevin::default().into()
    }
}

impl From<Langevin> for SamplerConfig {
    fn from(langevin: Langevin) -> SamplerConfig {
        let Langevin { steps, step_size, temperature, noise_scale, noise_first, clip, fused } = langevin;
        let kind = SamplerKind::Langevin;
        SamplerConfig {
            kind,
            steps,
            step_size,
            leapfrog: None,
            temperature,
            noise_scale,
            noise_first,
            clip,
            relative: false,
            fused,
        }
    }
}

impl SamplerConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.langevin`.
    pub fn check(&self, name: &str) -> Result<()> {
        self.langevin().check(name)?;
        let (leapfrog, hmc) = (self.leapfrog.unwrap_or(1), self.kind == SamplerKind::Hmc);
        check::ensure(
            hmc || self.leapfrog.is_none(),
            format!("{name}.leapfrog"),
            leapfrog,
            "only kind = \"hmc\" has it",
        )?;
        check::within(format!("{name}.leapfrog"), leapfrog, 1..=check::MOST_STEPS / self.steps)?;
        if !is_langevin(&self.kind) {
            let scale = self.noise_scale.unwrap_or(0.0);
            let why = "only kind = \"langevin\" has it";
            check::ensure(self.noise_scale.is_none(), format!("{name}.noise_scale"), scale, why)?;
            check::ensure(!self.noise_first, format!("{name}.noise_first"), self.noise_first, why)?;
            check::positive(format!("{name}.temperature"), self.temperature)?;
        }
        Ok(())
    }

    /// The sampler with its sizes in x, if they are given in units of `unit`: `noise_scale` and the step of a leapfrog times
    /// `unit`, the step of a Langevin move times `unit^2`.
    pub fn in_units(&self, unit: f64) -> SamplerConfig {
        if !self.relative {
            return self.clone();
        }
        let power = if self.kind == SamplerKind::Hmc { 1 } else { 2 };
        SamplerConfig {
            step_size: self.step_size * unit.powi(power),
            noise_scale: self.noise_scale.map(|noise| noise * unit),
            relative: false,
            ..self.clone()
        }
    }

    /// How far the randomness of one move carries a coordinate, as a standard deviation.
    pub fn noise(&self) -> f64 {
        if self.kind == SamplerKind::Hmc { self.step_size } else { self.langevin().noise() }
    }

    fn langevin(&self) -> Langevin {
        let SamplerConfig { steps, step_size, temperature, noise_scale, noise_first, clip, fused, .. } = *self;
        Langevin { steps, step_size, temperature, noise_scale, noise_first, clip, fused }
    }
}

impl Sampler for SamplerConfig {
    fn advance(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Moved {
        let SamplerConfig { kind, steps, step_size, temperature, clip, .. } = *self;
        match kind {
            SamplerKind::Langevin => self.langevin().advance(energy, x_0, key),
            SamplerKind::Mala => Mala { steps, step_size, temperature, clip }.advance(energy, x_0, key),
            SamplerKind::Hmc => {
                let leapfrog = self.leapfrog.unwrap_or(LEAPFROG);
                Hmc { steps, leapfrog, step_size, temperature, clip }.advance(energy, x_0, key)
            }
        }
    }
}
