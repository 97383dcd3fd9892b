//! Studies: several variants of an algorithm, trained alike and compared.

mod cdrl;
mod health_curves;
mod improved_cd;

pub use cdrl::CdrlStudy;
pub use improved_cd::{ImprovedCdStudy, Net, Switch};

use super::{Registry, RunConfig, Session};
use crate::error::{Error, Result};
use crate::tensor::Device;
use std::path::Path;

/// What trains a session that is open.
pub type Train<'a> = dyn FnMut(&mut Session) -> Result<()> + 'a;

/// Trains a variant in `folder`, or goes on where an earlier study stopped.
fn trained(
    folder: &Path,
    config: RunConfig,
    registry: &Registry,
    device: &Device,
    train: &mut Train,
) -> Result<Session> {
    let mut session = if folder.exists() {
        let session = Session::open(registry, folder, device)?;
        if session.config != config {
            return Err(Error::setting(format!(
                "{} was trained with other settings; choose another --out",
                folder.display()
            )));
        }
        session
    } else {
        Session::create(registry, config, device, Some(folder))?
    };
    if session.training.done() < session.config.trainer.steps {
        train(&mut session)?;
    }
    Ok(session)
}
