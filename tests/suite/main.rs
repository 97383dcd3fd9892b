//! All integration tests in one binary, so that the dependencies are linked once.

mod gradcheck;
mod oracle;
mod replay;
mod shaders;
mod support;
