//! All integration tests in one binary, so that the dependencies are linked once.

mod cli;
mod gradcheck;
mod layers;
mod oracle;
mod replay;
mod shaders;
mod support;
mod tint;
