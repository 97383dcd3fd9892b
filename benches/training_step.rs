//! Whole training steps under criterion: each is checked against the oracle, then timed.

mod common;

fn main() {
    common::run("training_step", |_| ebm::bench::training_steps());
}
