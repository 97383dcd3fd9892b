//! Annealed importance sampling against normalising constants in closed form and on a grid, on the oracle.

use ebm::energy::{GaussianMixture, Quadratic};
use ebm::prelude::*;
use ebm::run::ais::{Ais, Base, Place, grid_log_z};
use std::f64::consts::TAU;

fn mixture() -> GaussianMixture {
    let centres = Tensor::new(&Device::Oracle, [2, 2], &[-1.0, 0.3, 1.2, -0.5]);
    GaussianMixture { centres, std: 0.4 }
}

/// Over seeds: no bias, most estimates within two stated errors, and errors neither too small nor far too large.
#[test]
fn the_stated_error_of_log_z_is_honest() {
    let exact = 2f64.ln() + (TAU * 0.4 * 0.4).ln();
    let ais = Ais { chains: 60, temperatures: 12, moves: 1, base: Base::Normal };
    let box_ = [[-2.5, 2.5]; 2];
    let seeds = 30;
    let off: Vec<f64> = (0..seeds)
        .map(|seed| {
            let key = Key::new(3).index(seed);
            let z = ais.log_z(&mixture(), &Device::Oracle, (&[2], &box_), &key).unwrap();
            assert!(z.n == 60 && (1.0..=60.0).contains(&z.effective) && z.error < 0.4, "{z:?}");
            (z.value - exact) / z.error
        })
        .collect();
    let within = off.iter().filter(|z| z.abs() < 2.0).count();
    let rms = (off.iter().map(|z| z * z).sum::<f64>() / seeds as f64).sqrt();
    assert!(within >= 25 && (0.6..1.5).contains(&rms), "{within} of {seeds} within two errors, rms {rms}: {off:?}");
}

/// Z of the box, with a mode cut off by its wall, in a box that is no square: as on the grid.
#[test]
fn on_a_box_it_agrees_with_the_grid() {
    let bounds = [[-1.5, 2.0], [-0.4, 0.9]];
    let ais = Ais { chains: 400, temperatures: 20, ..Ais::default() };
    let z = ais.log_z(&mixture(), &Device::Oracle, (&[2], &bounds), &Key::new(1)).unwrap();
    let grid = grid_log_z(&mixture(), &Device::Oracle, &bounds).unwrap();
    assert!((z.value - grid).abs() < 4.0 * z.error && z.error < 0.1, "{z:?}, on the grid {grid}");
    // The walls take a good part of the mass.
    assert!(grid < 2f64.ln() + (TAU * 0.16).ln() - 0.3, "{grid}");
}

/// Images of six pixels; and more temperatures make better use of the chains.
#[test]
fn in_more_dimensions_annealing_beats_plain_importance_sampling() {
    let energy = Quadratic { variance: 0.04 };
    let run = |temperatures| {
        let ais = Ais { chains: 200, temperatures, moves: 1, base: Base::Normal };
        ais.log_z(&energy, &Device::Oracle, (&[2, 3, 1], &[[-1.0, 2.0]]), &Key::new(2)).unwrap()
    };
    let (plain, annealed) = (run(1), run(40));
    let exact = 3.0 * (TAU * 0.04).ln();
    assert!((annealed.value - exact).abs() < 4.0 * annealed.error && annealed.error < 0.3, "{annealed:?} {exact}");
    assert!(annealed.effective > 4.0 * plain.effective, "{plain:?} {annealed:?}");
}

#[test]
fn the_weights_do_not_depend_on_how_often_they_are_asked_for() {
    let ais = Ais { chains: 20, temperatures: 5, ..Ais::default() };
    let place = Place::new(&Device::Oracle, &[2], &[[-2.0, 2.0]], Base::Uniform);
    let run = || ais.anneal(&mixture(), &place, &Key::new(5)).unwrap();
    assert_eq!(run().log_weights, run().log_weights);
    assert!(run().z.to_f64().unwrap().iter().all(|v| (0.0..=1.0).contains(v)));
}
