//! What is shown while something takes long, and the signals that end it.

use super::output::{note, say};
use super::serve::Page;
use crate::error::{Error, Result};
use crate::run::{Control, Progress, Session};
use crate::train::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Raised by the first Ctrl-C, SIGTERM or SIGHUP while a training listens.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether a training looks at [`STOP`] after each iteration; at all other times a signal ends the program at once.
static TRAINS: AtomicBool = AtomicBool::new(false);
/// What is said when a signal ends the program at once.
static LAST_WORDS: Mutex<String> = Mutex::new(String::new());

/// Exit code of a program that a signal has stopped: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Time between lines where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// From now on a signal ends the program with one line; a training saves first, unless a second signal comes.
pub fn catch_signals() {
    last_words("interrupted; every file is whole");
    let ignored = ignored_signals();
    // Without handlers a signal still ends the program, only without a word.
    let _ = ctrlc::set_handler(|| {
        let first = !STOP.swap(true, Ordering::Relaxed);
        if first && TRAINS.load(Ordering::Relaxed) {
            return;
        }
        // Below the bar, where there is one.
        let bar = if std::io::stderr().is_terminal() { "\n" } else { "" };
        note(&format!("{bar}{}", LAST_WORDS.lock().map(|text| text.clone()).unwrap_or_default()));
        end_at_once();
    });
    ignore_signals(&ignored);
}

/// What a signal that ends the program at once says from now on.
pub fn last_words(text: &str) {
    if let Ok(mut words) = LAST_WORDS.lock() {
        *words = text.into();
    }
}

/// Ends the process without the clean-up of `exit`, which would run while other threads still compute.
fn end_at_once() -> ! {
    #[cfg(unix)]
    // SAFETY: `_exit` only ends the process.
    unsafe {
        libc::_exit(INTERRUPTED.into())
    }
    #[cfg(not(unix))]
    std::process::exit(INTERRUPTED.into())
}

/// The signals that whoever started the program wants it to ignore, as `nohup` does.
#[cfg(unix)]
fn ignored_signals() -> Vec<i32> {
    let ignored = |signal: &i32| {
        // SAFETY: zeros are a valid `sigaction`, and the call only fills it in.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(*signal, std::ptr::null(), &mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
        }
    };
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter().filter(ignored).collect()
}

#[cfg(unix)]
fn ignore_signals(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: to ignore a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

#[cfg(not(unix))]
fn ignored_signals() -> Vec<i32> {
    Vec::new()
}

#[cfg(not(unix))]
fn ignore_signals(_: &[i32]) {}

/// Trains to the last iteration, with a progress bar, or a line every ten seconds where there is no terminal. A signal saves
/// and stops; after that the program ends at once, because what is left can be had again by `ebm resume`. A `page`
/// sees every iteration.
pub fn train(session: &mut Session, mut page: Option<Page>) -> Result<()> {
    let folder = session.run.root().display().to_string();
    let (done, steps) = (session.training.done(), session.config.trainer.steps);
    let bar = ProgressBar::new(steps);
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {per_sec} eta {eta} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(done);
    bar.reset_eta();
    let terminal = std::io::stderr().is_terminal();
    let (start, mut last) = (Instant::now(), Instant::now());
    let mut show = |progress: &Progress| {
        if let Some(page) = &mut page {
            page.follow(progress);
        }
        let metrics = progress.newest.map(|report| report.named()).unwrap_or_default();
        let text = metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect::<Vec<_>>().join("  ");
        if terminal {
            bar.set_length(progress.steps);
            bar.set_message(text);
            bar.set_position(progress.done);
        } else if last.elapsed() >= LINE_EVERY {
            last = Instant::now();
            let rate = progress.done.saturating_sub(done) as f64 / start.elapsed().as_secs_f64();
            note(&format!("{}/{} {rate:.2}/s  {text}", progress.done, progress.steps));
        }
    };
    last_words(&format!("interrupted at once; what was saved before stays, continue with: ebm resume {folder}"));
    TRAINS.store(true, Ordering::Relaxed);
    let result = session.train(Control { stop: &STOP, progress: &mut show });
    last_words(&format!("interrupted; the trained state is saved, continue with: ebm resume {folder}"));
    TRAINS.store(false, Ordering::Relaxed);
    bar.finish_and_clear();
    // A signal in the last iteration counts, too.
    let result = result.and_then(|()| match STOP.load(Ordering::Relaxed) {
        true => Err(Error::Interrupted(steps)),
        false => Ok(()),
    });
    if let Err(Error::Interrupted(step)) = result {
        say!("interrupted after {step} iterations; the state is saved, continue with: ebm resume {folder}")?;
    }
    result
}

/// Shows that something is under way, and how far it is: in a line that moves on a terminal, else in a line every ten seconds.
pub struct Ticker {
    bar: ProgressBar,
    lines: Option<Lines>,
}

/// A thread that writes lines until it is told to stop.
struct Lines {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Ticker {
    /// Starts to show `what`.
    pub fn new(what: &'static str) -> Ticker {
        let bar = ProgressBar::new_spinner().with_prefix(what);
        let style = ProgressStyle::with_template("{spinner} {prefix}: {msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let lines = match std::io::stderr().is_terminal() {
            true => {
                bar.enable_steady_tick(Duration::from_millis(200));
                None
            }
            false => Some(Lines::start(bar.clone(), LINE_EVERY, note)),
        };
        Ticker { bar, lines }
    }

    /// Says where it is now.
    pub fn at(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Writes something of its own where the line stands.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Prints lines above the line that moves. Who stops reading misses lines, not what they tell.
    pub fn printer(&self) -> impl Fn(&str) + 'static {
        let bar = self.bar.clone();
        move |line| bar.suspend(|| drop(say!("{line}")))
    }

    /// Hands [`Ticker::at`] to the library.
    pub fn watch(&self) -> Watch {
        let bar = self.bar.clone();
        Watch::new(move |text: &str| bar.set_message(text.to_string()))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some(Lines { stop, thread }) = self.lines.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

impl Lines {
    fn start(bar: ProgressBar, every: Duration, write: impl Fn(&str) + Send + 'static) -> Lines {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                write(&format!("{}: {} {:.0} s", bar.prefix(), bar.message(), bar.elapsed().as_secs_f64()));
            }
        });
        Lines { stop, thread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_while_something_is_under_way_and_end_with_it() {
        let bar = ProgressBar::hidden().with_prefix("scores");
        let (to, lines) = channel();
        let every = Duration::from_millis(5);
        let started = Lines::start(bar.clone(), every, move |line: &str| to.send(line.to_string()).unwrap());
        bar.set_message("3 of 8");
        let patience = Duration::from_secs(20);
        while lines.recv_timeout(patience).unwrap() != "scores: 3 of 8 0 s" {}
        let ticker = Ticker { bar, lines: Some(started) };
        ticker.watch().say("4 of 8");
        while lines.recv_timeout(patience).unwrap() != "scores: 4 of 8 0 s" {}
        drop(ticker);
        // The thread is gone, and its end of the channel with it.
        while lines.try_recv().is_ok() {}
        assert_eq!(lines.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }
}
