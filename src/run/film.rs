//! A film of a training on points: chains that move on the energy while it is learnt.
//!
//! The run is trained again: the same seed gives the same numbers, so this is how the energy in its folder came about.

use super::measures::energies;
use super::pictures::square;
use super::{Registry, RunConfig, build};
use crate::error::{Error, Result};
use crate::plot::{Bounds, Panel, Picture, panels, quantiles};
use crate::sample::Langevin;
use crate::tensor::{Device, Key, Tensor};
use crate::train::Training;

/// Cells per side of the map.
const CELLS: usize = 96;
/// Shades of the map: as on a map of heights, and few colours make a small file.
const SHADES: f32 = 24.0;
/// Chains that are shown.
const CHAINS: usize = 300;
/// Langevin steps of the chains between two pictures.
const STEPS: usize = 15;
/// The standard deviation of a step's noise, in parts of the box.
const STRIDE: f64 = 0.012;

/// Trains as `config` says and draws `frames` pictures on the way, more of them early, when more happens. `tell` is given the
/// number of pictures done.
///
/// # Errors
/// [`Error::Setting`] for a run whose samples are not points of the plane, that starts from another one, or has no energy.
pub fn film(
    registry: &Registry,
    config: &RunConfig,
    device: &Device,
    frames: usize,
    tell: &mut dyn FnMut(usize),
) -> Result<Vec<Picture>> {
    if let Some(init) = config.init.as_ref().filter(|init| init.from != "none") {
        let from = &init.from;
        return Err(Error::setting(format!("a film starts where training does; this run starts from {from}")));
    }
    let data = registry.load(&config.data, crate::data::Split::Train)?;
    if data.sample_shape != [2] {
        let shape = &data.sample_shape;
        return Err(Error::setting(format!("a film shows points of the plane, and samples are {shape:?}")));
    }
    let bounds = square(&data.bounds());
    let mut training = build(registry, config, device)?;
    let key = Key::new(config.seed).named("film");
    let mut chains =
        Tensor::uniform(device, [CHAINS, 2], &key).affine(f64::from(2.0 * half(bounds)), f64::from(-half(bounds)));
    let mut pictures = Vec::new();
    for frame in 0..frames {
        let until = moment(frame, frames, config.trainer.steps);
        while training.done() < until {
            let metrics = pollster::block_on(training.advance());
            if metrics.step % 50 == 0 {
                pollster::block_on(metrics.read().values())?.check()?;
            }
        }
        chains = walk(&training, bounds, &chains, &key.index(frame as u64))?;
        pictures.push(picture(&training, bounds, &chains)?);
        tell(frame + 1);
    }
    Ok(pictures)
}

/// After how many of `steps` iterations picture `frame` is drawn: as the square of its place.
fn moment(frame: usize, frames: usize, steps: u64) -> u64 {
    let part = frame as f64 / (frames.max(2) - 1) as f64;
    (part * part * steps as f64).round() as u64
}

fn half(bounds: Bounds) -> f32 {
    0.5 * (bounds.x[1] - bounds.x[0])
}

/// Moves the chains on the averaged energy.
fn walk(training: &Training, bounds: Bounds, x: &Tensor, key: &Key) -> Result<Tensor> {
    let model = training.algorithm();
    let noise = STRIDE * f64::from(2.0 * half(bounds));
    let [lo, hi] = [bounds.x[0].min(bounds.y[0]), bounds.x[1].max(bounds.y[1])];
    let langevin = Langevin {
        steps: STEPS,
        step_size: noise * noise / (2.0 * model.temperature()),
        temperature: model.temperature(),
        clip: Some((f64::from(lo), f64::from(hi))),
        ..Langevin::default()
    };
    Ok(langevin.run(&*model.energy()?, x, key))
}

/// The energy in shades, and the chains on it.
fn picture(training: &Training, bounds: Bounds, chains: &Tensor) -> Result<Picture> {
    let cells: Vec<f32> = bounds.grid(CELLS, CELLS).into_iter().flatten().collect();
    let model = training.algorithm();
    let mut map = energies(&*model.energy()?, chains.device(), &[2], &cells, 8192)?;
    map.iter_mut().for_each(|e| *e /= model.temperature() as f32);
    let [low, high] = quantiles(&map, 0.0, 0.8);
    let shade = |e: f32| low + (high - low) * ((e - low) / (high - low) * SHADES).floor().clamp(0.0, SHADES) / SHADES;
    let shaded: Vec<f32> = map.iter().map(|&e| if high > low { shade(e) } else { e }).collect();
    let points: Vec<[f32; 2]> = chains.to_vec()?.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    let title = format!("energy, iteration {}", training.done());
    let panel = Panel::map(&title, bounds, &shaded, CELLS, CELLS).range([low, high]);
    Ok(panels(&[panel.points(&points)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_close_together_early_and_end_with_the_last_iteration() {
        let moments: Vec<u64> = (0..5).map(|frame| moment(frame, 5, 160)).collect();
        assert_eq!(moments, [0, 10, 40, 90, 160]);
        assert_eq!(moment(0, 1, 160), 0);
    }
}
