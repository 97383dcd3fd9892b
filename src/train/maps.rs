//! Pictures of energies: for points the energy, its density and samples; for images samples and how they arose.

use super::evaluate::energies;
use super::recovery_likelihood::RecoveryLikelihood;
use super::request::SampleRequest;
use super::trainer::Algorithm;
use crate::energy::Energy;
use crate::error::Result;
use crate::plot::{self, Bounds, Colormap, Panel, Picture, histogram, panels, quantiles};
use crate::tensor::{Device, Key, Tensor};

/// Cells per side.
const CELLS: usize = 160;

/// Three panels over the box [lo, hi]^2: E / T, exp(-E / T) normalised there, and the density of `samples [n, 2]`.
pub fn plot_points(
    energy: &dyn Energy,
    temperature: f64,
    device: &Device,
    [lo, hi]: [f64; 2],
    samples: &[f32],
) -> Result<Picture> {
    let bounds = Bounds { x: [lo as f32, hi as f32], y: [lo as f32, hi as f32] };
    let cells: Vec<f32> = bounds.grid(CELLS, CELLS).into_iter().flatten().collect();
    let mut map = energies(energy, device, &[2], &cells, 8192)?;
    map.iter_mut().for_each(|e| *e /= temperature as f32);
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let weights: Vec<f32> = map.iter().map(|e| (least - e).exp()).collect();
    let area = ((hi - lo) / CELLS as f64).powi(2) as f32;
    let total: f32 = weights.iter().sum::<f32>() * area;
    let density: Vec<f32> = weights.iter().map(|w| w / total).collect();
    let points: Vec<[f32; 2]> = samples.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    let found = histogram(&points, bounds, CELLS / 2, CELLS / 2);
    Ok(panels(&[
        Panel::map("energy", bounds, &map, CELLS, CELLS).colors(Colormap::Diverging).range(quantiles(&map, 0.0, 0.95)),
        Panel::map("model density", bounds, &density, CELLS, CELLS).range([0.0, quantiles(&density, 0.0, 0.995)[1]]),
        Panel::map("samples", bounds, &found, CELLS / 2, CELLS / 2).range([0.0, quantiles(&found, 0.0, 0.995)[1]]),
    ]))
}

/// For points: energy, density and samples at every level, the cleanest first (a row a level). For images: a grid of
/// samples, one class after another where there are classes, and strips that show a few of them from noise to the end.
pub(super) fn level_pictures(of: &RecoveryLikelihood) -> Result<Vec<(String, Vec<u8>)>> {
    let key = Key::new(0).named("pictures");
    match of.data().sample_shape.as_slice() {
        [2] => {
            let samples = of.sample(&SampleRequest { trajectory: true, ..SampleRequest::new(5000) }, &key)?;
            Ok(vec![("levels".to_string(), plot_levels(of, &samples.trajectory)?.png())])
        }
        &[h, w, c] => {
            let shown = 60;
            let classes = (0..shown as u32).map(|i| i % of.classes.max(1) as u32).collect();
            let concepts = if of.classes > 0 { vec![classes] } else { Vec::new() };
            let samples =
                of.sample(&SampleRequest { concepts, trajectory: true, ..SampleRequest::new(shown) }, &key)?;
            let columns = if of.classes > 0 { of.classes } else { 10 };
            let grid = plot::grid(&samples.x.to_vec()?, [shown, h, w, c], columns);
            let strips = plot_trajectory(&samples.trajectory, 10)?;
            Ok(vec![("samples".to_string(), grid.png()), ("levels".to_string(), strips.png())])
        }
        _ => Ok(Vec::new()),
    }
}

/// A row a level, t = 1 first: E / s_t^2, its density, and the samples of `states` (levels T to 0) there.
pub(super) fn plot_levels(of: &RecoveryLikelihood, states: &[Tensor]) -> Result<Picture> {
    let values = of.data().rows(&(0..of.data().len()).collect::<Vec<_>>());
    let half = f64::from(values.iter().fold(0.0f32, |m, v| m.max(v.abs()))).ceil();
    let top = states.len() - 1;
    let row = |t: usize| {
        let temperature = of.table.step(t).s.powi(2);
        let samples = states[top - (t - 1)].to_vec()?;
        plot_points(&of.marginal(t), temperature, &of.device, [-half, half], &samples)
    };
    Ok(plot::stack(&(1..=top).map(row).collect::<Result<Vec<_>>>()?))
}

/// The first `shown` images of each of `states`, a row an image, from noise on the left to the end.
pub fn plot_trajectory(states: &[Tensor], shown: usize) -> Result<Picture> {
    let [n, h, w, c] = states[0].shape()[..] else { panic!("a trajectory of images is wanted") };
    let shown = shown.min(n);
    let frame = |x: &Tensor| x.narrow(0, 0, shown).to_vec();
    Ok(plot::strips(&states.iter().map(frame).collect::<Result<Vec<_>>>()?, [shown, h, w, c]))
}
