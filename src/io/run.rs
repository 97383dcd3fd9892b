//! The folder of a run: where everything it leaves is found.

use super::{Checkpoint, atomic};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// `runs/NAME/` with `config.toml`, `metrics.csv`, the event file, `checkpoints/`, `samples/`, `plots/`, `report.html`.
#[derive(Clone, Debug)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Makes the folder and writes `config` verbatim to `config.toml`.
    ///
    /// # Errors
    /// [`Error::Setting`] if the folder exists and is not empty; [`Error::File`] if it cannot be made.
    pub fn create(root: impl AsRef<Path>, config: &str) -> Result<RunDir> {
        let run = RunDir { root: root.as_ref().to_path_buf() };
        if std::fs::read_dir(&run.root).is_ok_and(|mut entries| entries.next().is_some()) {
            let name = run.root.display();
            return Err(Error::setting(format!(
                "{name} exists and is not empty; choose another --out, or continue it with `ebm resume {name}`"
            )));
        }
        for folder in ["checkpoints", "samples", "plots"] {
            let folder = run.root.join(folder);
            std::fs::create_dir_all(&folder)
                .map_err(|why| Error::file(&folder, format!("cannot make this folder: {why}")))?;
        }
        atomic::write_bytes(run.config(), config.as_bytes())?;
        Ok(run)
    }

    /// The existing run at `root`.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is none.
    pub fn open(root: impl AsRef<Path>) -> Result<RunDir> {
        let run = RunDir { root: root.as_ref().to_path_buf() };
        if !run.config().is_file() {
            let name = run.root.display();
            return Err(Error::setting(format!("{name} is not the folder of a run: it has no config.toml")));
        }
        Ok(run)
    }

    /// A path under `parent` that does not exist yet, named after the preset: `cd/mnist` gives `cd-mnist-1`.
    pub fn unused(parent: impl AsRef<Path>, preset: &str) -> PathBuf {
        let name = preset.replace(['/', '\\', ' '], "-");
        let mut n = 1;
        loop {
            let path = parent.as_ref().join(format!("{name}-{n}"));
            if !path.exists() {
                return path;
            }
            n += 1;
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings, complete: the run can be repeated from this file.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// What the data are like: enough to sample without them.
    pub fn data(&self) -> PathBuf {
        self.root.join("data.json")
    }

    /// The newest scores.
    pub fn scores(&self) -> PathBuf {
        self.root.join("scores.json")
    }

    /// The newest checkpoint.
    pub fn checkpoint_last(&self) -> PathBuf {
        self.root.join("checkpoints/last.safetensors")
    }

    /// The checkpoint before it.
    pub fn checkpoint_previous(&self) -> PathBuf {
        self.root.join("checkpoints/previous.safetensors")
    }

    /// The samples drawn at `step`; the names sort by step.
    pub fn sample(&self, step: u64) -> PathBuf {
        self.root.join(format!("samples/step-{step:08}.png"))
    }

    /// A picture such as `density.png` or `loss.svg`.
    pub fn plot(&self, file: &str) -> PathBuf {
        self.root.join("plots").join(file)
    }

    /// The log of the metrics.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.csv")
    }

    /// The log of the metrics for TensorBoard.
    pub fn events(&self) -> PathBuf {
        self.root.join("events.out.tfevents.ebm")
    }

    /// The page that shows it all.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Replaces the settings.
    pub fn rewrite_config(&self, config: &str) -> Result<()> {
        atomic::write_bytes(self.config(), config.as_bytes())
    }

    /// Saves `checkpoint` as the last one and keeps the one before.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.save_keeping(self.checkpoint_last(), self.checkpoint_previous())
    }

    /// Loads the last checkpoint, or the previous one where a kill fell between the two renames of a save.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is none, [`Error::File`] or [`Error::Format`] if it cannot be read.
    pub fn load(&self) -> Result<Checkpoint> {
        let paths = [self.checkpoint_last(), self.checkpoint_previous()];
        let Some(path) = paths.iter().find(|path| path.exists()) else {
            let name = self.root.display();
            return Err(Error::setting(format!("{name} has no checkpoint yet; start it again from its config.toml")));
        };
        Checkpoint::load(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::test_folder;
    use std::fs;

    #[test]
    fn a_run_is_made_once_and_opened_again() {
        let folder = test_folder("run");
        let root = folder.join("runs/a");
        assert!(RunDir::open(&root).unwrap_err().to_string().contains("not the folder of a run"));
        let run = RunDir::create(&root, "# kept\nseed = 1\n").unwrap();
        assert_eq!(fs::read_to_string(run.config()).unwrap(), "# kept\nseed = 1\n");
        assert!(["checkpoints", "samples", "plots"].iter().all(|f| root.join(f).is_dir()));
        let text = RunDir::create(&root, "").unwrap_err().to_string();
        assert!(text.contains("choose another --out") && text.contains("ebm resume"), "{text}");
        assert_eq!(fs::read_to_string(RunDir::open(&root).unwrap().config()).unwrap(), "# kept\nseed = 1\n");
        assert!(run.sample(42).ends_with("samples/step-00000042.png"));
    }

    #[test]
    fn an_empty_folder_may_be_used_and_a_file_may_not() {
        let folder = test_folder("run-empty");
        RunDir::create(&*folder, "").unwrap();
        let file = folder.join("config.toml");
        assert!(matches!(RunDir::create(&file, ""), Err(Error::File { .. })));
    }

    #[test]
    fn unused_names_count_up() {
        let parent = test_folder("run-names");
        assert!(RunDir::unused(&*parent, "cd/mnist").ends_with("cd-mnist-1"));
        fs::create_dir(parent.join("cd-mnist-1")).unwrap();
        assert!(RunDir::unused(&*parent, "cd/mnist").ends_with("cd-mnist-2"));
    }

    #[test]
    fn the_last_checkpoint_is_loaded_or_else_the_previous_one() {
        let folder = test_folder("run-checkpoints");
        let run = RunDir::create(&*folder, "").unwrap();
        assert!(run.load().unwrap_err().to_string().contains("no checkpoint yet"));
        for step in 1..=2 {
            let mut checkpoint = Checkpoint::new();
            checkpoint.meta.insert("step".into(), step.to_string());
            run.save(&checkpoint).unwrap();
        }
        assert_eq!(run.load().unwrap().number("step").unwrap(), 2);
        fs::remove_file(run.checkpoint_last()).unwrap();
        assert_eq!(run.load().unwrap().number("step").unwrap(), 1);
    }
}
