//! The loop that runs any algorithm: iterations, logs, checkpoints, pictures, health, and a clean stop.
//!
//! Metrics are copied to the host while later iterations run; the loop waits for the device only before it saves or draws, or
//! when it is far ahead.

use super::TrainerConfig;
use super::saving::checkpoint;
use super::{measures, pictures};
use crate::data::Toy;
use crate::error::{Error, Result};
use crate::io::{EventLog, MetricsLog, RunDir, atomic};
use crate::tensor::Key;
use crate::train::{Arriving, Report, Training};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a training is told from outside.
pub struct Control<'a> {
    /// Raised by a signal: the loop saves and returns [`Error::Interrupted`].
    pub stop: &'a AtomicBool,
    /// Called after each iteration.
    pub progress: &'a mut dyn FnMut(&Progress),
}

/// What the callback sees after each iteration.
pub struct Progress<'a> {
    /// What is trained: the run, or first the one that it starts from.
    pub training: &'a Training,
    /// Its folder.
    pub run: &'a RunDir,
    /// Iterations done.
    pub done: u64,
    /// Iterations in all.
    pub steps: u64,
    /// The newest metrics that have arrived.
    pub newest: Option<&'a Report>,
}

/// The loop: when it logs, saves and draws, and where everything goes.
pub struct Trainer<'a> {
    /// When.
    pub config: &'a TrainerConfig,
    /// Where.
    pub run: &'a RunDir,
    /// The box that pictures of points show.
    pub bounds: &'a [[f64; 2]],
    /// The density that is learnt, where it is known: distances from it are logged with the pictures.
    pub toy: Option<Toy>,
    /// The seed, for messages and checkpoints.
    pub seed: u64,
    /// The settings that checkpoints belong to.
    pub origin: &'a str,
}

/// Points of a distance that is logged.
const POINTS: usize = 5000;

impl Trainer<'_> {
    /// Runs the iterations that are left until `config.steps`. The state is saved at the start of a fresh run, every
    /// `checkpoint_every`, at the end, and when it is stopped, each time only after the metrics up to there, and all its values, were seen to be
    /// numbers within their limits.
    pub fn train(&self, training: &mut Training, control: Control) -> Result<()> {
        let _lock = self.run.lock()?;
        let mut log = Log::open(self.run, training.done())?;
        if training.done() == 0 {
            self.save(training)?;
        }
        while training.done() < self.config.steps {
            let metrics = pollster::block_on(training.advance());
            let (step, done) = (metrics.step, training.done());
            let last = done == self.config.steps;
            let interrupted = control.stop.load(Ordering::Relaxed);
            // While a metric is where it should not be, the checkpoints from before are the good ones.
            let due = done % self.config.checkpoint_every == 0 && log.outside.is_empty();
            let save = last || interrupted || due;
            let row = step % self.config.log_every == 0 || last;
            if row || save {
                log.arriving.push_back((row, metrics.read()));
            }
            // A checkpoint is only written after the metrics before it, and its own values, were seen to be sound.
            let every = self.config.sample_every;
            let draw = every > 0 && (last || done % every == 0);
            log.take(if save || draw { 0 } else { 2 }).map_err(|e| self.explain(e, training))?;
            // What a resumed run would not draw again comes first.
            if draw {
                self.draw(training, &mut log)?;
            }
            if save {
                self.save(training).map_err(|e| self.explain(e, training))?;
            }
            let (steps, newest) = (self.config.steps, log.newest.as_ref());
            (control.progress)(&Progress { training, run: self.run, done, steps, newest });
            if interrupted && !last {
                return Err(Error::Interrupted(done));
            }
        }
        Ok(())
    }

    fn save(&self, training: &Training) -> Result<()> {
        let mut checkpoint = checkpoint(training)?;
        checkpoint.set_origin(self.seed, self.origin);
        self.run.save(&checkpoint)
    }

    fn draw(&self, training: &Training, log: &mut Log) -> Result<()> {
        let done = training.done();
        for (stem, picture) in pictures::preview(training.algorithm(), self.bounds)? {
            let png = picture.png();
            atomic::write_bytes(self.run.root().join("samples").join(format!("{stem}-{done:07}.png")), &png)?;
            log.events.image(done - 1, &stem, &png)?;
        }
        let Some(toy) = self.toy else { return Ok(()) };
        let key = Key::new(self.seed).named("distances");
        let distances = measures::stage_distances(training.algorithm(), toy, POINTS, &key)?;
        if distances.len() > 1 {
            let named: Vec<(&str, f64)> = distances.iter().map(|(name, sw2)| (name.as_str(), *sw2)).collect();
            let mut file = MetricsLog::resume(self.run.distances(), done - 1)?;
            file.append(done - 1, log.wall_s(), &named)?;
        }
        Ok(())
    }

    /// Adds to a divergence what is known here: the seed, the advice, the state that is left.
    fn explain(&self, error: Error, training: &Training) -> Error {
        let Error::Diverged { step, what, .. } = error else { return error };
        let last = self.run.checkpoint_last();
        let kept = if last.exists() { format!("; the last good state is {}", last.display()) } else { String::new() };
        Error::Diverged { step, seed: self.seed, what, advice: format!("{}{kept}", training.algorithm().advice()) }
    }
}

/// Where metrics go, and those that are on their way.
struct Log {
    metrics: MetricsLog,
    events: EventLog,
    /// Whether they become a row of metrics.csv, or are only looked at before a checkpoint.
    arriving: VecDeque<(bool, Arriving)>,
    newest: Option<Report>,
    /// Since which iteration each metric has been outside its range.
    outside: BTreeMap<String, u64>,
    start: Instant,
    /// Seconds of training before this session.
    before: f64,
}

impl Log {
    fn open(run: &RunDir, done: u64) -> Result<Log> {
        let fresh = done == 0;
        let metrics = match fresh {
            true => MetricsLog::create(run.metrics())?,
            false => MetricsLog::resume(run.metrics(), done)?,
        };
        let events = if fresh { EventLog::create(run.events())? } else { EventLog::resume(run.events(), done)? };
        let before = metrics.wall_s();
        Ok(Log {
            metrics,
            events,
            arriving: VecDeque::new(),
            newest: None,
            outside: BTreeMap::new(),
            start: Instant::now(),
            before,
        })
    }

    /// Seconds of training so far.
    fn wall_s(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// Checks and logs metrics that have arrived; waits until at most `ahead` are still on their way.
    fn take(&mut self, ahead: usize) -> Result<()> {
        while let Some((_, first)) = self.arriving.front() {
            if !first.ready() && self.arriving.len() <= ahead {
                break;
            }
            let Some((row, arriving)) = self.arriving.pop_front() else { break };
            let report = pollster::block_on(arriving.values())?;
            report.check()?;
            if row {
                self.check_ranges(&report)?;
                self.metrics.append(report.step, self.wall_s(), &report.named())?;
                self.events.scalars(report.step, &report.named())?;
            }
            self.newest = Some(report);
        }
        Ok(())
    }

    /// Fails when a metric has been outside its range for too long.
    fn check_ranges(&mut self, report: &Report) -> Result<()> {
        for (metric, value) in &report.values {
            let Some(range) = metric.range.as_ref() else { continue };
            if (range.lo..=range.hi).contains(value) {
                self.outside.remove(&metric.name);
                continue;
            }
            let since = *self.outside.entry(metric.name.clone()).or_insert(report.step);
            if report.step - since >= range.patience {
                let (name, meaning) = (&metric.name, range.meaning);
                let what = format!("{meaning}: {name} is {value:.4e} since iteration {since}");
                return Err(Error::Diverged { step: report.step, seed: 0, what, advice: String::new() });
            }
        }
        Ok(())
    }
}
