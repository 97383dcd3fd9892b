//! Where a lesson puts what it computes: lines and tables on the terminal, and with the pictures in a report.

use super::{Exercise, Lesson, text};
use crate::error::Result;
use crate::io::Report;
use crate::plot::Picture;

/// A lesson under way.
pub struct Page<'a> {
    report: Report,
    say: &'a mut dyn FnMut(&str) -> Result<()>,
}

impl<'a> Page<'a> {
    pub(super) fn new(lesson: &Lesson, say: &'a mut dyn FnMut(&str) -> Result<()>) -> Result<Page<'a>> {
        let mut report = Report::new(&format!("{}. {}", lesson.number, lesson.title()));
        let page = lesson.text();
        text::write(&page, &mut report);
        say(&page)?;
        report.section("Computed on this machine");
        say("--- computed on this machine ---\n")?;
        Ok(Page { report, say })
    }

    /// A line.
    pub fn say(&mut self, line: &str) -> Result<()> {
        self.report.prose(line);
        (self.say)(line)
    }

    /// A table.
    pub fn table<S: AsRef<str>>(&mut self, headings: &[&str], rows: &[Vec<S>]) -> Result<()> {
        self.report.table(headings, rows);
        let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(AsRef::as_ref).collect()).collect();
        let width = |i: usize| rows.iter().map(|row| row[i].len()).chain([headings[i].len()]).max().unwrap_or(0);
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        for row in [headings.to_vec()].into_iter().chain(rows) {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
            (self.say)(format!("  {}", cells.join("  ")).trim_end())?;
        }
        (self.say)("")
    }

    /// A drawing (an `<svg>` element); only in the report.
    pub fn svg(&mut self, svg: &str, caption: &str) {
        self.report.svg(svg, caption);
    }

    /// A picture; only in the report.
    pub fn picture(&mut self, picture: &Picture, caption: &str) {
        self.report.png(&picture.png(), caption);
    }

    /// What there is to try.
    pub(super) fn exercises(&mut self, exercises: &[Exercise]) -> Result<()> {
        self.report.section("Exercises");
        (self.say)("\n--- exercises ---\n")?;
        for exercise in exercises {
            self.say(&format!("{}: {}", exercise.file, exercise.task))?;
        }
        Ok(())
    }

    /// The report.
    pub(super) fn report(self) -> Report {
        self.report
    }
}
