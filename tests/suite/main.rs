//! All integration tests in one binary, so that the dependencies are linked once.

mod ais;
mod campaign;
mod cli;
mod compose;
mod fuzz;
mod gradcheck;
mod init;
mod layers;
mod lessons;
mod mcmc_teaching;
mod objectives;
mod oracle;
mod outliers;
mod own_data;
mod presets;
mod profile;
mod replay;
mod samplers;
mod settings;
mod shaders;
mod shape_errors;
mod skeleton;
mod special_values;
mod support;
mod tint;
mod training;
