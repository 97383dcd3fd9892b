//! The folder of a run: where everything it leaves is found.

use super::{Checkpoint, atomic, source};
use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `runs/NAME/` with `config.toml`, `metrics.csv`, the event file, `checkpoints/`, `samples/`, `plots/`, `report.html`.
#[derive(Clone, Debug)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Makes the folder, with `config` verbatim in `config.toml`. It appears complete: it is made under another name
    /// beside its place and renamed. A folder that exists and is empty is filled where it is.
    ///
    /// # Errors
    /// [`Error::Setting`] if the folder exists and is not empty; [`Error::File`] if it cannot be made.
    pub fn create(root: impl AsRef<Path>, config: &str) -> Result<RunDir> {
        let root: &Path = &root.as_ref().components().collect::<PathBuf>(); // without a slash at the end
        let run = RunDir { root: root.to_path_buf() };
        if root.is_dir() {
            if std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
                let name = root.display();
                return Err(Error::setting(format!(
                    "{name} exists and is not empty; choose another --out, or continue it with `ebm resume {name}`"
                )));
            }
            fill(root, config)?;
            return Ok(run);
        }
        let temporary = atomic::temporary_name(root);
        let moved = fill(&temporary, config).and_then(|()| {
            let refused = |why| Error::file(root, format!("cannot make this folder: {why}"));
            if root.exists() {
                return Err(refused(std::io::ErrorKind::AlreadyExists.into()));
            }
            std::fs::rename(&temporary, root).map_err(refused)
        });
        moved.map(|()| run).inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&temporary);
        })
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

    /// Keeps other processes from training here for as long as the lock lives; a process that ends, in whatever way,
    /// lets go of it. Whoever has the lock also removes what a killed process left half written.
    ///
    /// # Errors
    /// [`Error::Setting`] if another process has it, [`Error::File`] if the file `lock` cannot be opened.
    pub fn lock(&self) -> Result<RunLock> {
        let path = self.root.join("lock");
        let failed = |why: std::io::Error| Error::file(&path, format!("cannot lock: {why}"));
        if path.exists() {
            source::open(&path)?; // a regular file, or an error
        }
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let holder = source::read_text(&path).unwrap_or_default();
                let name = self.root.display();
                return Err(Error::setting(format!("{name} is in use: {} trains there", holder.trim())));
            }
            // A file system without locks: two processes are then kept apart by the user alone.
            Err(TryLockError::Error(why)) if why.kind() == std::io::ErrorKind::Unsupported => (),
            Err(TryLockError::Error(why)) => return Err(failed(why)),
        }
        file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id())).map_err(failed)?;
        for folder in
            [self.root.clone(), self.root.join("checkpoints"), self.root.join("samples"), self.root.join("plots")]
        {
            atomic::remove_leftovers(&folder);
        }
        Ok(RunLock { _file: file })
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

    /// A picture such as `density.png` or `loss.svg`.
    pub fn plot(&self, file: &str) -> PathBuf {
        self.root.join("plots").join(file)
    }

    /// `distances.csv`: how far samples are from the data, stage by stage, over the training.
    pub fn distances(&self) -> PathBuf {
        self.root.join("distances.csv")
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

    /// The settings of the run as they were written.
    pub fn read_config(&self) -> Result<String> {
        source::read_text(self.config())
    }

    /// What the data are like, if it was written.
    pub fn read_data(&self) -> Result<Option<String>> {
        read_if_there(self.data())
    }

    /// The newest scores, if there are any.
    pub fn read_scores(&self) -> Result<Option<String>> {
        read_if_there(self.scores())
    }

    /// Whether a state was saved.
    pub fn has_checkpoint(&self) -> bool {
        self.checkpoint_last().exists() || self.checkpoint_previous().exists()
    }

    /// Loads the last checkpoint, or the previous one where a kill fell between the two renames of a save.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is none, [`Error::File`] or [`Error::Format`] if it cannot be read; a damaged one is
    /// named beside the one before it.
    pub fn load(&self) -> Result<Checkpoint> {
        let (last, previous) = (self.checkpoint_last(), self.checkpoint_previous());
        match (last.exists(), previous.exists()) {
            (false, false) => {
                let name = self.root.display();
                Err(Error::setting(format!("{name} has no checkpoint yet; start it again from its config.toml")))
            }
            (false, true) => Checkpoint::load(previous),
            (true, false) => Checkpoint::load(last),
            (true, true) => Checkpoint::load(&last).map_err(|error| match error {
                Error::Format { path, format, why } => {
                    let advice = "to go on from the checkpoint before it, rename this file and give its name to";
                    Error::format(path, format, format!("{why}; {advice} {}", previous.display()))
                }
                other => other,
            }),
        }
    }
}

fn read_if_there(path: PathBuf) -> Result<Option<String>> {
    if path.exists() { source::read_text(path).map(Some) } else { Ok(None) }
}

/// The right to train in a run's folder; given back when it is dropped.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// What an empty run holds.
fn fill(root: &Path, config: &str) -> Result<()> {
    for folder in ["checkpoints", "samples", "plots"] {
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder)
            .map_err(|why| Error::file(&folder, format!("cannot make this folder: {why}")))?;
    }
    atomic::write_bytes(root.join("config.toml"), config.as_bytes())
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
        let run = RunDir::create(root.join(""), "# kept\nseed = 1\n").unwrap();
        assert_eq!(fs::read_to_string(run.config()).unwrap(), "# kept\nseed = 1\n");
        assert!(["checkpoints", "samples", "plots"].iter().all(|f| root.join(f).is_dir()));
        let text = RunDir::create(&root, "").unwrap_err().to_string();
        assert!(text.contains("choose another --out") && text.contains("ebm resume"), "{text}");
        assert_eq!(fs::read_to_string(RunDir::open(&root).unwrap().config()).unwrap(), "# kept\nseed = 1\n");
        let names: Vec<_> = fs::read_dir(folder.join("runs")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["a"], "nothing else is left beside it");
        assert_eq!(run.read_config().unwrap(), "# kept\nseed = 1\n");
    }

    #[test]
    fn an_empty_folder_may_be_used_and_a_file_may_not() {
        let folder = test_folder("run-empty");
        RunDir::create(&*folder, "").unwrap();
        let file = folder.join("config.toml");
        assert!(matches!(RunDir::create(&file, ""), Err(Error::File { .. })));
        assert!(matches!(RunDir::create(file.join("below"), ""), Err(Error::File { .. })));
        let mut names: Vec<_> = fs::read_dir(&*folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["checkpoints", "config.toml", "plots", "samples"]);
    }

    #[test]
    fn one_lock_at_a_time() {
        let folder = test_folder("run-lock");
        let run = RunDir::create(&*folder, "").unwrap();
        let leftover = folder.join("checkpoints/last.safetensors.1-0.tmp");
        fs::write(&leftover, "half").unwrap();
        let lock = run.lock().unwrap();
        assert!(!leftover.exists());
        let text = run.lock().unwrap_err().to_string();
        assert!(text.ends_with(&format!("is in use: process {} trains there", std::process::id())), "{text}");
        drop(lock);
        run.lock().unwrap();
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
        let good = fs::read(run.checkpoint_last()).unwrap();
        fs::write(run.checkpoint_last(), &good[..good.len() - 1]).unwrap();
        let text = run.load().unwrap_err().to_string();
        assert!(text.contains("last.safetensors: not a valid") && text.ends_with("previous.safetensors"), "{text}");
        fs::remove_file(run.checkpoint_last()).unwrap();
        assert_eq!(run.load().unwrap().number("step").unwrap(), 1);
    }
}
