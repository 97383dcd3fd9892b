//! Lessons: twelve numbered pages from one kernel to a training step, read here from top to bottom or run with `ebm lesson N`.
//!
//! A lesson is one file: its page is the text at the top (the examples in it are tests), `run` computes the numbers and draws the
//! picture on the reader's own device, and its exercises are files to complete that check themselves:
//! `ebm lesson 6` writes them, `ebm lesson 6 --check FILE` judges one.
//!
//! | | | |
//! |---|---|---|
//! | 1 | [`l01_kernel`] | a kernel, from the definition to the roof |
//! | 2 | [`l02_memory`] | memory: elementwise, reductions, barriers |
//! | 3 | [`l03_random`] | randomness as a function |
//! | 4 | [`l04_derivatives`] | derivatives of any order from one rule per operation |
//! | 5 | [`l05_energy`] | energy, score, partition function |
//! | 6 | [`l06_langevin`] | Langevin dynamics: step against noise |
//! | 7 | [`l07_contrastive`] | contrastive divergence: the difference of two means, chains that lag, what the curves say |
//! | 8 | [`l08_levels`] | noise levels: diffusion, recovery likelihood, the initializer |
//! | 9 | [`l09_sampler_gradient`] | the sampler's own gradient: improved contrastive divergence |
//! | 10 | [`l10_teacher`] | a VAE as teacher and pupil of the chains |
//! | 11 | [`l11_game`] | energy and sampler as a game without MCMC |
//! | 12 | [`l12_profile`] | read a step's profile and make it faster |

pub mod exercise;
pub mod l01_kernel;
pub mod l02_memory;
pub mod l03_random;
pub mod l04_derivatives;
pub mod l05_energy;
pub mod l06_langevin;
pub mod l07_contrastive;
pub mod l08_levels;
pub mod l09_sampler_gradient;
pub mod l10_teacher;
pub mod l11_game;
pub mod l12_profile;
mod page;
mod text;

pub use exercise::{Attempt, Checked, Exercise};
pub use page::Page;

use crate::error::{Error, Result};
use crate::gpu::INSTALL_HINT;
use crate::io::Report;
use crate::tensor::Device;

/// One lesson.
pub struct Lesson {
    /// Its place, from 1.
    pub number: usize,
    /// Its name, as in the report's file name.
    pub name: &'static str,
    /// Its file.
    pub source: &'static str,
    /// Whether it measures kernels, which the f64 device does not have.
    pub needs_gpu: bool,
    /// Computes and draws.
    pub run: fn(&Device, &mut Page) -> Result<()>,
    /// What the reader can try.
    pub exercises: &'static [Exercise],
}

/// All lessons, in order.
pub fn list() -> Vec<Lesson> {
    vec![
        l01_kernel::LESSON,
        l02_memory::LESSON,
        l03_random::LESSON,
        l04_derivatives::LESSON,
        l05_energy::LESSON,
        l06_langevin::LESSON,
        l07_contrastive::LESSON,
        l08_levels::LESSON,
        l09_sampler_gradient::LESSON,
        l10_teacher::LESSON,
        l11_game::LESSON,
        l12_profile::LESSON,
    ]
}

/// The lesson called `number`, such as `6`.
///
/// # Errors
/// [`Error::Setting`] when there is none.
pub fn find(number: &str) -> Result<Lesson> {
    let lessons = list();
    let last = lessons.len();
    let wrong = || Error::setting(format!("no lesson \"{number}\"; they are 1 to {last}, or all (ebm lesson)"));
    lessons.into_iter().find(|lesson| lesson.number.to_string() == number).ok_or_else(wrong)
}

impl Lesson {
    /// The page in Markdown: the text at the top of the file, without lines that only make its examples compile.
    pub fn text(&self) -> String {
        text::page(self.source)
    }

    /// The first line of the page.
    pub fn title(&self) -> &'static str {
        self.source.lines().next().unwrap_or_default().trim_start_matches("//! # ")
    }

    /// Tells, computes and draws: `say` is given every line for a terminal, the pictures are in the report.
    pub fn give(&self, device: &Device, say: &mut dyn FnMut(&str) -> Result<()>) -> Result<Report> {
        let mut page = Page::new(self, say)?;
        if self.needs_gpu && device.gpu().is_none() {
            page.say(&format!("This lesson measures kernels and needs a GPU; if there is none, {INSTALL_HINT}"))?;
        } else {
            (self.run)(device, &mut page)?;
        }
        page.exercises(self.exercises)?;
        Ok(page.report())
    }
}
