//! How one point of each density is drawn.

use std::f64::consts::{PI, TAU};

use super::{Modes, RING_STD, RINGS, Squares, Toy};
use crate::data::draws::Draws;

/// Draws one point.
pub(super) type Recipe = Box<dyn Fn(&mut Draws) -> [f64; 2]>;

impl Toy {
    /// The recipe of one point.
    pub(super) fn sampler(self) -> Recipe {
        match self {
            Toy::EightGaussians | Toy::TwentyFiveGaussians => {
                let Modes { centres, std } = self.modes().expect("a mixture");
                Box::new(move |d| centres[d.below(centres.len())].map(|c| c + std * d.normal()))
            }
            Toy::CheckerboardA | Toy::CheckerboardB => {
                let Squares { corners, side } = self.squares().expect("a checkerboard");
                Box::new(move |d| corners[d.below(corners.len())].map(|c| c + side * d.uniform()))
            }
            Toy::TwoSpirals => Box::new(|d| {
                let s = 3.0 * PI * d.uniform().sqrt();
                let arm = [-s * s.cos() + d.uniform() / 2.0, s * s.sin() + d.uniform() / 2.0];
                let sign = if d.chance(0.5) { 1.0 } else { -1.0 };
                arm.map(|a| sign * a / 3.0 + 0.1 * d.normal())
            }),
            Toy::SwissRoll => Box::new(|d| {
                let t = 1.5 * PI * (1.0 + 2.0 * d.uniform());
                [t * t.cos(), t * t.sin()].map(|a| (a + 0.05 * d.normal()) / 20.0)
            }),
            Toy::TwoMoons => Box::new(|d| {
                let (sin, cos) = (PI * d.uniform()).sin_cos();
                let moon = if d.chance(0.5) { [cos, sin] } else { [1.0 - cos, 0.5 - sin] };
                moon.map(|a| (a + 0.05 * d.normal()) / 2.0)
            }),
            Toy::Rings => Box::new(|d| {
                let radius = RINGS[d.below(RINGS.len())] + RING_STD * d.normal();
                let angle = d.between(0.0, TAU);
                [radius * angle.cos(), radius * angle.sin()]
            }),
            // e^-U is a sum of two terms that are at most 1; those of U1 do not overlap (the sum is below 1 + 3e-10).
            Toy::U1 => self.rejection(1.001),
            Toy::U2 => self.rejection(1.0),
            Toy::U3 | Toy::U4 => self.rejection(2.0),
        }
    }

    /// Exact draws from exp(-U) on the bounds: uniform points, kept with probability exp(-U) / `most`.
    fn rejection(self, most: f64) -> Recipe {
        let [lo, hi] = self.bounds();
        Box::new(move |d| {
            loop {
                let x = [d.between(lo, hi), d.between(lo, hi)];
                let energy = self.potential(x).expect("one of U1 to U4");
                if d.chance((-energy).exp() / most) {
                    return x;
                }
            }
        })
    }
}
