//! Pictures of a model: for points energy, density and samples; for images samples and how they arose.

use super::measures::energies;
use crate::check;
use crate::energy::Energy;
use crate::error::Result;
use crate::plot::{self, Bounds, Colormap, Panel, Picture, histogram, panels, quantiles};
use crate::tensor::{Key, Tensor};
use crate::train::Model;

/// Cells per side of a map.
const CELLS: usize = 160;
/// Points in a picture of samples.
const POINTS: usize = 5000;
/// Images in a grid.
const IMAGES: usize = 60;

/// Whether samples of this shape can be drawn, or are no images.
pub fn check(sample_shape: &[usize]) -> Result<()> {
    match sample_shape {
        &[_, _, channels] => check::within("the channels of the images", channels, 1..=plot::MOST_CHANNELS),
        _ => Ok(()),
    }
}

/// What is drawn while a model trains, by file stem: for points a row a noise level, the cleanest first; for images a grid of
/// samples and, where there are levels, strips of a few of them from noise to the end. `bounds` is the data's box.
pub fn preview(model: &dyn Model, bounds: &[[f64; 2]]) -> Result<Vec<(String, Picture)>> {
    let key = Key::new(0).named("pictures");
    let mut list = samples(model, bounds, &key)?;
    list.extend(stages(model, bounds, &key)?.map(|picture| ("stages".to_string(), picture)));
    Ok(list)
}

/// [`preview`] without the stages.
pub fn samples(model: &dyn Model, bounds: &[[f64; 2]], key: &Key) -> Result<Vec<(String, Picture)>> {
    match model.sample_shape() {
        [2] => {
            let samples = model.preview(POINTS, key)?;
            // The states at levels T..0 end with the cleanest; the marginal of x_{t-1} belongs to level t.
            let states = if samples.trajectory.is_empty() { vec![samples.x] } else { samples.trajectory };
            let row = |((energy, temperature), x): ((Box<dyn Energy + '_>, f64), &Tensor)| {
                points(&*energy, temperature, bounds, x)
            };
            let levels = model.levels();
            let picture = match levels.is_empty() {
                true => cloud("samples", bounds, &states[states.len() - 1].to_vec()?),
                false => {
                    plot::stack(&levels.into_iter().zip(states.iter().rev()).map(row).collect::<Result<Vec<_>>>()?)
                }
            };
            Ok(vec![("samples".to_string(), picture)])
        }
        &[h, w, c] => {
            let samples = model.preview(IMAGES, key)?;
            let columns = if model.classes() > 1 { model.classes() } else { 10 };
            let grid = plot::grid(&samples.x.to_vec()?, [samples.x.dim(0), h, w, c], columns);
            let mut list = vec![("samples".to_string(), grid)];
            if !samples.trajectory.is_empty() {
                list.push(("levels".to_string(), trajectory(&samples.trajectory, 10)?));
            }
            Ok(list)
        }
        _ => Ok(Vec::new()),
    }
}

/// The stages that samples arise by, from the first guess on the left to the end, where the model has them: for points the
/// density at each, for images a row of each of ten.
pub fn stages(model: &dyn Model, bounds: &[[f64; 2]], key: &Key) -> Result<Option<Picture>> {
    let points = model.sample_shape() == [2];
    let stages = model.stages(if points { POINTS } else { 10 }, key)?;
    let states: Vec<Tensor> = stages.iter().map(|(_, x)| x.clone()).collect();
    match model.sample_shape() {
        _ if stages.is_empty() => Ok(None),
        [2] => {
            let bounds = square(bounds);
            let density = |x: &Tensor| Ok(density_of(&x.to_vec()?, bounds));
            let maps: Vec<Vec<f32>> = states.iter().map(density).collect::<Result<_>>()?;
            // One scale for all, that of the end.
            let range = [0.0, quantiles(&maps[maps.len() - 1], 0.0, 0.995)[1]];
            let side = CELLS / 2;
            let titled = stages.iter().zip(&maps);
            let all: Vec<Panel> =
                titled.map(|(s, map)| Panel::map(&s.0, bounds, map, side, side).range(range)).collect();
            Ok(Some(panels(&all)))
        }
        [_, _, _] => trajectory(&states, 10).map(Some),
        _ => Ok(None),
    }
}

/// Three panels over the box: E / T, exp(-E / T) normalised there, and the density of `samples [n, 2]`.
pub fn points(energy: &dyn Energy, temperature: f64, bounds: &[[f64; 2]], samples: &Tensor) -> Result<Picture> {
    points_of("energy", energy, temperature, bounds, samples)
}

/// [`points`] with another title over the energy, such as whose it is.
pub fn points_of(
    title: &str,
    energy: &dyn Energy,
    temperature: f64,
    bounds: &[[f64; 2]],
    samples: &Tensor,
) -> Result<Picture> {
    let bounds = square(bounds);
    let cells: Vec<f32> = bounds.grid(CELLS, CELLS).into_iter().flatten().collect();
    let mut map = energies(energy, samples.device(), &[2], &cells, 8192)?;
    map.iter_mut().for_each(|e| *e /= temperature as f32);
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let weights: Vec<f32> = map.iter().map(|e| (least - e).exp()).collect();
    let area = (bounds.x[1] - bounds.x[0]) * (bounds.y[1] - bounds.y[0]) / (CELLS * CELLS) as f32;
    let total: f32 = weights.iter().sum::<f32>() * area;
    let density: Vec<f32> = weights.iter().map(|w| w / total).collect();
    let found = density_of(&samples.to_vec()?, bounds);
    Ok(panels(&[
        Panel::map(title, bounds, &map, CELLS, CELLS).colors(Colormap::Diverging).range(quantiles(&map, 0.0, 0.95)),
        Panel::map("model density", bounds, &density, CELLS, CELLS).range([0.0, quantiles(&density, 0.0, 0.995)[1]]),
        Panel::map("samples", bounds, &found, CELLS / 2, CELLS / 2).range([0.0, quantiles(&found, 0.0, 0.995)[1]]),
    ]))
}

/// The density of points `[n, 2]`, one panel.
pub fn cloud(title: &str, bounds: &[[f64; 2]], samples: &[f32]) -> Picture {
    let bounds = square(bounds);
    let found = density_of(samples, bounds);
    panels(&[Panel::map(title, bounds, &found, CELLS / 2, CELLS / 2).range([0.0, quantiles(&found, 0.0, 0.995)[1]])])
}

fn density_of(samples: &[f32], bounds: Bounds) -> Vec<f32> {
    let points: Vec<[f32; 2]> = samples.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    histogram(&points, bounds, CELLS / 2, CELLS / 2)
}

/// The box of a picture, whose pixels are square: that of the data, the shorter side widened.
pub fn square(bounds: &[[f64; 2]]) -> Bounds {
    let (x, y) = (bounds[0], bounds[bounds.len() - 1]);
    let half = 0.5 * (x[1] - x[0]).max(y[1] - y[0]);
    let side = |b: [f64; 2]| [(0.5 * (b[0] + b[1]) - half) as f32, (0.5 * (b[0] + b[1]) + half) as f32];
    Bounds { x: side(x), y: side(y) }
}

/// The first `shown` images of each of `states`, a row an image, from noise on the left to the end.
pub fn trajectory(states: &[Tensor], shown: usize) -> Result<Picture> {
    let [n, h, w, c] = states[0].shape()[..] else { panic!("a trajectory of images is wanted") };
    let shown = shown.min(n);
    let frame = |x: &Tensor| x.narrow(0, 0, shown).to_vec();
    Ok(plot::strips(&states.iter().map(frame).collect::<Result<Vec<_>>>()?, [shown, h, w, c]))
}
