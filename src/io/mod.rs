//! Files: data sets, and what a run leaves on disk: checkpoints, metric logs, TensorBoard events, its folder, its report.

pub mod atomic;
mod checkpoint;
mod events;
mod load;
mod metrics_log;
pub mod npy;
pub mod png;
mod report;
mod run;
mod source;
pub mod tuned;

pub use checkpoint::{Array32, Checkpoint};
pub use events::EventLog;
pub use metrics_log::{Metrics, MetricsLog};
pub use report::Report;
pub use run::{RunDir, RunLock};
pub use source::{open, read, read_text};

/// A folder for one test, removed with its content at the end of the test.
#[cfg(test)]
struct TestFolder(std::path::PathBuf);

/// An empty folder of its own for the test `name`.
#[cfg(test)]
fn test_folder(name: &str) -> TestFolder {
    let folder = std::env::temp_dir().join(format!("ebm-io-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    TestFolder(folder)
}

#[cfg(test)]
impl std::ops::Deref for TestFolder {
    type Target = std::path::Path;

    fn deref(&self) -> &std::path::Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
