//! Choices between kernels that compute the same: what was measured on an adapter, in place of a table for all of its kind.
//!
//! A device that tunes runs a step twice: once to see which tasks have most of the operations, then to time the candidates of those as
//! it meets them, until its time is spent. What it found can be kept and given to the next device of the same adapter and driver.

use super::Gpu;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// The candidate that was fastest, by task.
pub type Choices = BTreeMap<String, String>;

/// What was found about a task.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The task: an operation and its sizes.
    pub task: String,
    /// The candidates and the seconds that each took; the first is the one that is taken without measuring.
    pub candidates: Vec<(String, f64)>,
    /// The one that is taken from now on.
    pub best: usize,
}

impl Tuned {
    /// The time of the best candidate in units of the first one's: 1 where that is the best.
    pub fn ratio(&self) -> f64 {
        self.candidates[self.best].1 / self.candidates[0].1
    }
}

/// Tuning under way.
pub(super) struct Tuning {
    end: Instant,
    told: Box<dyn Fn(&Tuned)>,
    /// Operations of the tasks that were met.
    met: RefCell<BTreeMap<String, u64>>,
    /// The tasks that are timed.
    timed: BTreeSet<String>,
}

impl Tuning {
    /// The tasks that have most of the operations between them.
    fn heaviest(&self) -> BTreeSet<String> {
        let mut tasks: Vec<(String, u64)> = self.met.take().into_iter().collect();
        tasks.sort_by_key(|(_, flops)| std::cmp::Reverse(*flops));
        let all: u64 = tasks.iter().map(|(_, flops)| flops).sum();
        let before = tasks.iter().scan(0, |sum, (_, flops)| Some(std::mem::replace(sum, *sum + flops)));
        let few = before.take_while(|before| (*before as f64) < MOST * all as f64).count();
        tasks.into_iter().take(few.max(1)).map(|(task, _)| task).collect()
    }
}

/// This part of all operations.
const MOST: f64 = 0.95;

/// Another candidate is taken where it needs at most this part of the usual one's time: what is closer is the clock's noise.
const GAIN: f64 = 0.95;
/// How often each candidate is timed, in turn with the others, and for how long at least.
const ROUNDS: usize = 5;
const SECONDS: f64 = 2e-3;

impl Gpu {
    /// From now on takes these; where a task is not among them, or its candidate is not known here, the usual one.
    pub fn choose_by(&self, choices: Choices) {
        *self.0.choices.borrow_mut() = choices;
    }

    /// What is taken in place of the usual candidates, or was found to be no better.
    pub fn choices(&self) -> Choices {
        self.0.choices.borrow().clone()
    }

    /// Runs `step` twice and times the candidates of its heaviest tasks, telling each; no further one is begun after `budget`. Within a
    /// [capture](Gpu::capture) nothing is timed.
    pub fn tune(&self, budget: Duration, told: impl Fn(&Tuned) + 'static, mut step: impl FnMut()) {
        let (end, met, timed) = (Instant::now() + budget, RefCell::default(), BTreeSet::new());
        *self.0.tuning.borrow_mut() = Some(Tuning { end, told: Box::new(told), met, timed });
        step();
        if let Some(tuning) = &mut *self.0.tuning.borrow_mut() {
            tuning.timed = tuning.heaviest();
        }
        step();
        *self.0.tuning.borrow_mut() = None;
    }

    /// Which candidate does a task: the one that was chosen, else the `usual` one, which is the first of `candidates`. `run` does the
    /// task, as often as it is called, and all of them must do the same; `flops` are its operations.
    pub(crate) fn choose<C: Copy + Display>(
        &self,
        (task, flops): (impl Fn() -> String, u64),
        usual: C,
        candidates: impl Fn() -> Vec<C>,
        run: impl Fn(C),
    ) -> C {
        let tuning = self.0.tuning.borrow();
        if tuning.is_none() && self.0.choices.borrow().is_empty() {
            return usual;
        }
        let (task, candidates) = (task(), candidates());
        if let Some(chosen) = self.0.choices.borrow().get(&task) {
            return candidates.into_iter().find(|c| c.to_string() == *chosen).unwrap_or(usual);
        }
        let Some(Tuning { told, met, timed, end }) = tuning.as_ref().filter(|_| !self.capturing()) else {
            return usual;
        };
        *met.borrow_mut().entry(task.clone()).or_default() += flops;
        if !timed.contains(&task) || Instant::now() >= *end {
            return usual;
        }
        let mut seconds = self.seconds(&candidates, &run);
        let fastest = (0..candidates.len()).min_by(|a, b| seconds[*a].total_cmp(&seconds[*b])).unwrap_or(0);
        // Of many candidates one is lucky: it must be faster once more, against the usual one alone.
        if fastest > 0 {
            let again = self.seconds(&[candidates[0], candidates[fastest]], &run);
            seconds[fastest] = seconds[0] * (seconds[fastest] / seconds[0]).max(again[1] / again[0]);
        }
        let best = if seconds[fastest] <= GAIN * seconds[0] { fastest } else { 0 };
        let named = candidates.iter().map(C::to_string).zip(seconds).collect();
        let tuned = Tuned { task, candidates: named, best };
        self.0.choices.borrow_mut().insert(tuned.task.clone(), candidates[best].to_string());
        told(&tuned);
        candidates[best]
    }

    /// The least time of each candidate.
    fn seconds<C: Copy>(&self, candidates: &[C], run: &impl Fn(C)) -> Vec<f64> {
        let seconds = |candidate: C, times: usize| {
            let start = Instant::now();
            (0..times).for_each(|_| run(candidate));
            self.wait().map_or(f64::INFINITY, |()| start.elapsed().as_secs_f64() / times as f64)
        };
        // The first run of each compiles, the second tells how many fill the time.
        let _ = self.wait();
        candidates.iter().for_each(|c| _ = seconds(*c, 1));
        let times = candidates.first().map_or(1, |c| (SECONDS / seconds(*c, 1)).ceil().clamp(1.0, 64.0) as usize);
        let mut least = vec![f64::INFINITY; candidates.len()];
        for _ in 0..ROUNDS {
            for (least, candidate) in least.iter_mut().zip(candidates) {
                *least = least.min(seconds(*candidate, times));
            }
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Profile;
    use std::rc::Rc;
    use std::thread::sleep;

    /// Candidates that take so many milliseconds.
    fn choose(gpu: &Gpu, task: &str, flops: u64) -> u64 {
        gpu.choose((|| task.into(), flops), 8, || vec![8, 3, 20], |ms| sleep(Duration::from_millis(ms)))
    }

    #[test]
    fn the_fastest_candidate_is_found_kept_and_taken() {
        let gpu = Gpu::dry_run(Profile::default());
        assert_eq!(choose(&gpu, "sleep", 96), 8, "nothing is timed unasked");
        let found = Rc::new(RefCell::new(Vec::new()));
        let told = found.clone();
        let tell = move |tuned: &Tuned| told.borrow_mut().push(tuned.clone());
        let mut chosen = Vec::new();
        gpu.tune(Duration::from_secs(60), tell, || {
            chosen = [("light", 4), ("sleep", 48), ("sleep", 48)].map(|(t, f)| choose(&gpu, t, f)).into()
        });
        assert_eq!(chosen, [8, 3, 3], "a task of a twentieth of the operations is not worth the time");
        let found = found.borrow();
        let [tuned] = &found[..] else { panic!("told once: {found:?}") };
        let names: Vec<&str> = tuned.candidates.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((tuned.task.as_str(), names, tuned.best), ("sleep", vec!["8", "3", "20"], 1));
        assert!((0.2..0.9).contains(&tuned.ratio()), "{tuned:?}");

        let next = Gpu::dry_run(Profile::default());
        next.choose_by(gpu.choices());
        assert_eq!(choose(&next, "sleep", 96), 3);
        next.choose_by([("sleep".to_string(), "no longer known".to_string())].into());
        assert_eq!(choose(&next, "sleep", 96), 8);
    }

    #[test]
    fn without_time_nothing_is_timed() {
        let gpu = Gpu::dry_run(Profile::default());
        let told = |tuned: &Tuned| panic!("{tuned:?}");
        gpu.tune(Duration::ZERO, told, || assert_eq!(choose(&gpu, "sleep", 1), 8));
        // A capture is left alone.
        gpu.capture(|| gpu.tune(Duration::from_secs(9), told, || assert_eq!(choose(&gpu, "sleep", 1), 8)));
        assert!(gpu.choices().is_empty());
    }
}
