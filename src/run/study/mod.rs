//! Studies: several variants of an algorithm, trained alike and compared.

mod cdrl;
mod compare;
mod generalized_cd;
mod health_curves;
mod improved_cd;
mod mcmc_teaching;
mod table;

pub use cdrl::CdrlStudy;
pub use compare::{CompareStudy, DATA};
pub use generalized_cd::GcdStudy;
pub use improved_cd::{ImprovedCdStudy, Net, Switch};
pub use mcmc_teaching::McmcTeachingStudy;

use super::{Registry, RunConfig, Session};
use crate::error::{Error, Result};
use crate::tensor::Device;
use std::path::{Path, PathBuf};
use table::Table;

/// What trains a session that is open.
pub type Train<'a> = dyn FnMut(&mut Session) -> Result<()> + 'a;

/// Variants of an algorithm that are trained alike, each in a folder of its own, and what came of each.
pub trait Study {
    /// What differs between the trainings: switches, numbers, a seed.
    type Variant;
    /// What is kept of a training.
    type Row;

    /// The folder of the study; what is finished in it is kept.
    fn out(&self) -> &Path;

    /// The trainings, in order.
    fn variants(&self) -> Vec<Self::Variant>;

    /// The name of a training: its folder, and its line of the table.
    fn name(&self, variant: &Self::Variant) -> String;

    /// The settings of a training.
    fn config(&self, variant: &Self::Variant, registry: &Registry) -> Result<RunConfig>;

    /// Scores a training that came to its end, or that was stopped as unhealthy: then there is the error instead.
    fn row(&self, variant: Self::Variant, session: Result<Session>) -> Result<Self::Row>;

    /// A row in one line, for the terminal.
    fn line(&self, row: &Self::Row) -> String;

    /// Writes tables and plots of the rows so far.
    fn write(&self, rows: &[Self::Row]) -> Result<()>;

    /// The folder of a training.
    fn folder(&self, variant: &Self::Variant) -> PathBuf {
        self.out().join(self.name(variant))
    }

    /// Trains all variants with `train`, or goes on where an earlier study stopped; `say` is told a line for each.
    fn run(
        &self,
        registry: &Registry,
        device: &Device,
        say: &mut dyn FnMut(String) -> Result<()>,
        train: &mut Train,
    ) -> Result<()> {
        std::fs::create_dir_all(self.out()).map_err(|e| Error::file(self.out(), e))?;
        let mut rows = Vec::new();
        for variant in self.variants() {
            let config = self.config(&variant, registry)?;
            let session = match trained(&self.folder(&variant), config, registry, device, train) {
                Err(e) if !matches!(e, Error::Diverged { .. }) => return Err(e),
                outcome => outcome,
            };
            rows.push(self.row(variant, session)?);
            say(self.line(&rows[rows.len() - 1]))?;
            self.write(&rows)?;
        }
        say(format!("tables and plots in {}", self.out().display()))
    }
}

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
