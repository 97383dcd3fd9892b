//! How fast things go. Times are milliseconds.

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
