//! What is shown while a training runs, and the signals that stop it.

use super::output::say;
use crate::error::{Error, Result};
use crate::run::{Control, Progress, Session};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Raised by Ctrl-C, SIGTERM and SIGHUP.
static STOP: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that a signal has stopped: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Seconds between lines where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// From now on the first signal asks the training to save and stop; a second one ends the program at once.
pub fn catch_signals() {
    // A second handler cannot be set; the first one serves the whole process.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    });
}

/// Trains to the last iteration, with a progress bar, or a line every ten seconds where there is no terminal.
pub fn train(session: &mut Session) -> Result<()> {
    catch_signals();
    let (done, steps) = (session.training.done(), session.config.trainer.steps);
    let bar = ProgressBar::new(steps);
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {per_sec} eta {eta} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(done);
    bar.reset_eta();
    let terminal = std::io::stderr().is_terminal();
    let (start, mut last) = (Instant::now(), Instant::now());
    let mut show = |progress: &Progress| {
        let metrics = progress.newest.map(|report| report.named()).unwrap_or_default();
        let text = metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect::<Vec<_>>().join("  ");
        if terminal {
            bar.set_message(text);
            bar.set_position(progress.done);
        } else if last.elapsed() >= LINE_EVERY {
            last = Instant::now();
            let rate = (progress.done - done) as f64 / start.elapsed().as_secs_f64();
            super::output::note(&format!("{}/{} {rate:.2}/s  {text}", progress.done, progress.steps));
        }
    };
    let result = session.train(Control { stop: &STOP, progress: &mut show });
    bar.finish_and_clear();
    if let Err(Error::Interrupted(step)) = result {
        let folder = session.run.root().display();
        say!("interrupted after {step} iterations; the state is saved, continue with: ebm resume {folder}")?;
    }
    result
}
