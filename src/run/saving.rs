//! The state of a training as a checkpoint, and back.

use crate::error::{Error, Result};
use crate::io::Checkpoint;
use crate::train::{Algorithm, State, Training};

/// The state after `training.done()` iterations. Reads it back from the device, so it waits.
///
/// # Errors
/// [`Error::Diverged`] when a value is not a finite number: such a state is not worth keeping.
pub fn checkpoint<A: Algorithm + ?Sized>(training: &Training<A>) -> Result<Checkpoint> {
    pollster::block_on(checkpoint_async(training))
}

/// [`checkpoint`] without waiting, for browsers.
pub async fn checkpoint_async<A: Algorithm + ?Sized>(training: &Training<A>) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint::new();
    for (name, state) in training.algorithm().state() {
        match state {
            State::Value(var) => {
                let values = finite(&name, var.get().values().await?, training.done())?;
                checkpoint.insert(&name, var.get().shape(), values);
            }
            State::Flat(params, var) => {
                let flat = finite(&name, var.get().values().await?, training.done())?;
                for ((parameter, shape), at) in params.names().iter().zip(params.offsets()) {
                    checkpoint.insert(&format!("{name}.{parameter}"), shape, flat[at..at + shape.numel()].to_vec());
                }
            }
            State::Count(counter) => {
                checkpoint.meta.insert(name, counter.get().to_string());
            }
        }
    }
    checkpoint.meta.insert("step".into(), training.done().to_string());
    Ok(checkpoint)
}

fn finite(name: &str, values: Vec<f32>, step: u64) -> Result<Vec<f32>> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(values),
        Some(bad) => {
            let what = format!("{name} holds {bad}");
            Err(Error::Diverged { step, seed: 0, what, advice: String::new() })
        }
    }
}

/// Puts the state of a checkpoint into a freshly built algorithm; returns the number of iterations done.
///
/// # Errors
/// Names the tensor, when the checkpoint belongs to another model.
pub fn restore<A: Algorithm + ?Sized>(checkpoint: &mut Checkpoint, algorithm: &A) -> Result<u64> {
    for (name, state) in algorithm.state() {
        match state {
            State::Value(var) => var.write(&checkpoint.take(&name, &var.get().shape().clone())?),
            State::Flat(params, var) => {
                let mut flat = vec![0.0; var.get().numel()];
                for ((parameter, shape), at) in params.names().iter().zip(params.offsets()) {
                    let values = checkpoint.take(&format!("{name}.{parameter}"), shape)?;
                    flat[at..at + values.len()].copy_from_slice(&values);
                }
                var.write(&flat);
            }
            State::Count(counter) => counter.set(checkpoint.number(&name)?),
        }
    }
    checkpoint.number("step")
}
