//! All integration tests in one binary, so that the dependencies are linked once.

mod cli;
mod fuzz;
mod gradcheck;
mod layers;
mod objectives;
mod oracle;
mod profile;
mod replay;
mod samplers;
mod shaders;
mod skeleton;
mod support;
mod tint;
mod training;
