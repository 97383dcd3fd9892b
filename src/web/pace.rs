//! When things are due, and how fast they go. Times are milliseconds.

/// Something to do now and then, for which at most a tenth of the time is taken.
pub struct Pace {
    every: f64,
    next: f64,
}

impl Pace {
    /// Due at once, and then every so many milliseconds or more.
    pub fn every(milliseconds: f64) -> Pace {
        Pace { every: milliseconds, next: 0.0 }
    }

    /// Whether it is due.
    pub fn due(&self, now: f64) -> bool {
        now >= self.next
    }

    /// It was done from `began` to `ended`.
    pub fn took(&mut self, began: f64, ended: f64) {
        self.next = ended + self.every.max(9.0 * (ended - began));
    }
}

/// How fast the training goes, pictures included: means over about two seconds.
#[derive(Default)]
pub struct Speed {
    since: Option<f64>,
    frames: u32,
    iterations: u64,
    /// Iterations a second.
    pub rate: Option<f64>,
    /// Milliseconds from frame to frame.
    pub frame_ms: Option<f64>,
}

impl Speed {
    /// A frame ended in which so many iterations were done.
    pub fn frame(&mut self, now: f64, iterations: u64) {
        let since = *self.since.get_or_insert(now);
        self.frames += 1;
        self.iterations += iterations;
        let span = now - since;
        if span > 2000.0 {
            self.rate = Some(self.iterations as f64 / span * 1e3);
            self.frame_ms = Some(span / f64::from(self.frames));
            (self.since, self.frames, self.iterations) = (Some(now), 0, 0);
        }
    }
}
