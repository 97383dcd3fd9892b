//! Augmentation moves: random changes of kept chains before they go on, so that they hop between modes.
//!
//! Du et al. 2021, section "data augmentation": a chain that Langevin steps cannot take from one mode to another is moved there
//! by a change that the data are (nearly) invariant under. On the device; no gradient flows through a move.

use super::image_moves;
use crate::check;
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::tensor::{Key, Tensor, no_grad};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_4;

/// What may happen to a kept chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Moves {
    /// Nothing.
    #[default]
    None,
    /// Points of the plane are turned, mirrored, or thrown.
    Plane(PlaneMoves),
    /// Images are cropped and enlarged, mirrored, recoloured, made grey, blurred.
    Images(Augment),
}

/// Each move happens with its own probability, in this order: our analogue of the image moves in two dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaneMoves {
    /// Probability of a rotation about the origin by 0, 45, ..., 315 degrees.
    pub rotate: f64,
    /// Probability of `(x, y) -> (x, -y)`.
    pub reflect: f64,
    /// Probability of a jump by `N(0, jump_std^2)`.
    pub jump: f64,
    /// The standard deviation of a jump per coordinate.
    pub jump_std: f64,
}

impl Default for PlaneMoves {
    fn default() -> PlaneMoves {
        PlaneMoves { rotate: 0.05, reflect: 0.05, jump: 0.05, jump_std: 0.5 }
    }
}

impl Moves {
    /// Whether the settings make sense for samples of this shape; `name` is where they stand.
    pub fn check(&self, name: &str, sample: &[usize]) -> Result<()> {
        match (self, sample) {
            (Moves::None, _) => Ok(()),
            (Moves::Plane(moves), [2]) => moves.check(name),
            (Moves::Plane(_), _) => Err(Error::setting(format!(
                "{name}.kind = \"plane\": turns points of the plane, the data are {sample:?}; use \"images\" or \"none\""
            ))),
            (Moves::Images(moves), &[h, w, c]) => {
                check::ensure(
                    [1, 3].contains(&c),
                    format!("{name}.kind"),
                    "images",
                    "wants images of 1 or 3 channels",
                )?;
                moves.check([h, w, c]).map_err(|e| Error::setting(format!("{name}: {e}")))
            }
            (Moves::Images(_), _) => Err(Error::setting(format!(
                "{name}.kind = \"images\": crops images, the data are {sample:?}; use \"plane\" or \"none\""
            ))),
        }
    }

    /// The samples `x [N, ...]`, each changed by chance.
    pub fn apply(&self, x: &Tensor, key: &Key) -> Tensor {
        no_grad(|| match self {
            Moves::None => x.clone(),
            Moves::Plane(moves) => moves.apply(x, key),
            Moves::Images(moves) => image_moves::apply(moves, x, key),
        })
    }
}

impl PlaneMoves {
    fn check(&self, name: &str) -> Result<()> {
        for (move_, p) in [("rotate", self.rotate), ("reflect", self.reflect), ("jump", self.jump)] {
            check::within(format!("{name}.{move_}"), p, 0.0..=1.0)?;
        }
        check::not_negative(format!("{name}.jump_std"), self.jump_std)
    }

    fn apply(&self, x: &Tensor, key: &Key) -> Tensor {
        let n = x.dim(0);
        let coin = |name: &str, p: f64| chance(x, name, p, key);
        let eighths = Tensor::uniform(x.device(), [n, 1], &key.named("angle")).mul_scalar(8.0).floor();
        let angle = eighths.mul_scalar(FRAC_PI_4) * coin("rotate", self.rotate);
        let (a, b) = (x.narrow(1, 0, 1), x.narrow(1, 1, 1));
        let (cos, sin) = (angle.cos(), angle.sin());
        let side = coin("reflect", self.reflect).affine(-2.0, 1.0); // -1 for a reflection, else 1
        let turned = Tensor::concat(&[&(&a * &cos - &b * &sin), &((&a * &sin + &b * &cos) * side)], 1);
        let jump = Tensor::normal(x.device(), [n, 2], &key.named("jump")).mul_scalar(self.jump_std);
        turned + jump * coin("jumps", self.jump)
    }
}

/// 1 with probability `p`, else 0, for each sample: `[N, 1, ...]`.
pub(super) fn chance(x: &Tensor, name: &str, p: f64, key: &Key) -> Tensor {
    let u = Tensor::uniform(x.device(), [x.dim(0)], &key.named(name));
    u.less(&Tensor::scalar(x.device(), p)).per_sample(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// Radius and angle of each point after `moves`, from (2, 0).
    fn moved(moves: PlaneMoves) -> Vec<(f64, f64)> {
        let x = Tensor::new(&Device::oracle(), [4000, 2], &[2.0, 0.0].repeat(4000));
        let y = Moves::Plane(moves).apply(&x, &Key::new(1)).to_f64().unwrap();
        y.chunks(2).map(|p| (p[0].hypot(p[1]), p[1].atan2(p[0]))).collect()
    }

    #[test]
    fn points_turn_by_eighths_and_jump_with_their_probabilities() {
        let still = PlaneMoves { rotate: 0.0, reflect: 0.0, jump: 0.0, jump_std: 0.5 };
        assert!(moved(still.clone()).iter().all(|p| *p == (2.0, 0.0)));
        let mut counts = [0.0f64; 8];
        for (radius, angle) in moved(PlaneMoves { rotate: 0.5, ..still.clone() }) {
            let eighth = angle / FRAC_PI_4;
            assert!((radius - 2.0).abs() < 1e-12 && (eighth - eighth.round()).abs() < 1e-12, "{radius} {angle}");
            counts[eighth.round().rem_euclid(8.0) as usize] += 1.0 / 4000.0;
        }
        // Half of the points turn, an eighth of them by 0.
        for (k, share) in counts.into_iter().enumerate() {
            let want: f64 = if k == 0 { 0.5 + 0.5 / 8.0 } else { 0.5 / 8.0 };
            assert!((share - want).abs() < 5.0 * (want * (1.0 - want) / 4000.0).sqrt(), "{k}: {share}");
        }
        // E|x - x'|^2 = p 2 std^2, with variance p 2 (2 std^2)^2 - its square.
        let x = Tensor::zeros(&Device::oracle(), [4000, 2]);
        let jumps = Moves::Plane(PlaneMoves { jump: 0.25, ..still }).apply(&x, &Key::new(2));
        let (mean, want) = (jumps.square().sum().item().unwrap() / 4000.0, 0.25 * 0.5);
        let deviation = ((0.25 * 2.0 * 0.25 - want * want) / 4000.0f64).sqrt();
        assert!((mean - want).abs() < 5.0 * deviation, "{mean}");
    }

    #[test]
    fn a_reflection_keeps_x_and_turns_y_round() {
        let x = Tensor::new(&Device::oracle(), [1, 2], &[0.3, -0.4]);
        let moves = PlaneMoves { rotate: 0.0, reflect: 1.0, jump: 0.0, jump_std: 0.0 };
        let y = Moves::Plane(moves).apply(&x, &Key::new(1)).to_f64().unwrap();
        assert!(y[0] == x.to_f64().unwrap()[0] && y[1] == -x.to_f64().unwrap()[1], "{y:?}");
    }
}
