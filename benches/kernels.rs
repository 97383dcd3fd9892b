//! The kernels of `ebm bench` under criterion: each is checked against the oracle, then timed.
//!
//! `cargo bench --bench kernels` runs all of them, `cargo bench --bench kernels -- matmul` those with that name.

mod common;

fn main() {
    common::run("kernels", |profile| ebm::bench::roofs(profile).into_iter().chain(ebm::bench::kernels()).collect());
}
