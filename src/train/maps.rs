//! Pictures of a 2-D energy: the energy, its density, and samples.

use super::evaluate::energies;
use crate::energy::Energy;
use crate::error::Result;
use crate::plot::{Bounds, Colormap, Panel, Picture, histogram, panels, quantiles};
use crate::tensor::Device;

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
    let top = quantiles(&density, 0.0, 1.0)[1];
    Ok(panels(&[
        Panel::map("energy", bounds, &map, CELLS, CELLS).colors(Colormap::Diverging).range(quantiles(&map, 0.0, 0.95)),
        Panel::map("model density", bounds, &density, CELLS, CELLS),
        Panel::map("samples", bounds, &found, CELLS / 2, CELLS / 2).range([0.0, top]),
    ]))
}
