//! A sequence of random numbers from one key, for code that does not know beforehand how many it needs.

use crate::tensor::Key;

/// Reads a key's words one after the other.
pub(super) struct Draws {
    key: Key,
    next: u64,
}

impl Draws {
    pub fn new(key: Key) -> Draws {
        Draws { key, next: 0 }
    }

    /// Uniform on (0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.next += 1;
        self.key.uniform(self.next - 1)
    }

    /// Uniform on (lo, hi).
    pub fn between(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.uniform()
    }

    /// A whole number of 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        self.next += 1;
        self.key.below(self.next - 1, n)
    }

    /// True with probability p.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal; takes the next whole pair of words (Box-Muller).
    pub fn normal(&mut self) -> f64 {
        let pair = self.next.next_multiple_of(2);
        self.next = pair + 2;
        self.key.normal(pair)
    }
}
