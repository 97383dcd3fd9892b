//! `ebm lesson`: gives a lesson, or judges an exercise.

use super::choose_device::{choice, choose_device};
use super::output::{self, say};
use super::progress::Ticker;
use crate::error::{Error, Result};
use crate::gpu::Options;
use crate::io::atomic;
use crate::lessons::{self, Lesson};
use crate::tensor::Device;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The number of a lesson, or all; without it they are listed
    lesson: Option<String>,
    /// Judge this file, an exercise of the lesson
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Where reports and exercises are written
    #[arg(long, default_value = "lessons")]
    out: PathBuf,
    /// Show the report in the browser
    #[arg(long, conflicts_with = "check")]
    open: bool,
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    match (args.lesson.as_deref(), &args.check) {
        (None, None) => lessons::list().iter().try_for_each(|lesson| say!("{:>2}  {}", lesson.number, lesson.title())),
        (None | Some("all"), Some(_)) => {
            Err(Error::setting("say which lesson the file is an exercise of: ebm lesson 1 --check FILE"))
        }
        (Some(number), Some(file)) => check(&lessons::find(number)?, file, args),
        (Some("all"), None) => {
            let device = choose_device(args.device.as_deref())?;
            lessons::list().iter().try_for_each(|lesson| give(lesson, &device, args))
        }
        (Some(number), None) => give(&lessons::find(number)?, &choose_device(args.device.as_deref())?, args),
    }
}

/// Tells, computes, and writes the report and the exercises. What the reader has changed stays.
fn give(lesson: &Lesson, device: &Device, args: &Args) -> Result<()> {
    for exercise in lesson.exercises {
        let file = args.out.join(exercise.file);
        if !file.exists() {
            atomic::write_bytes(&file, exercise.stub.as_bytes())?;
        }
    }
    let ticker = Ticker::new("lesson");
    ticker.at(format!("{} computes", lesson.number));
    let page = lesson.give(device, &mut |line| ticker.aside(|| output::text(&format!("{line}\n"))));
    drop(ticker);
    let report = args.out.join(format!("{:02}-{}.html", lesson.number, lesson.name));
    page?.write(&report)?;
    say!("\nComplete a file and have it judged:")?;
    for exercise in lesson.exercises {
        say!("  ebm lesson {} --check {}", lesson.number, args.out.join(exercise.file).display())?;
    }
    say!("The page, with what was computed, is {}\n", report.display())?;
    if args.open { open(&report) } else { Ok(()) }
}

/// Hands a file to whatever shows such files here.
fn open(file: &Path) -> Result<()> {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let failed = |e| Error::setting(format!("{program}: {e}; open {} yourself", file.display()));
    std::process::Command::new(program).arg(file).spawn().map(drop).map_err(failed)
}

fn check(lesson: &Lesson, file: &Path, args: &Args) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let Some(place) = lesson.exercises.iter().position(|e| name.starts_with(e.number())) else {
        let files: Vec<&str> = lesson.exercises.iter().map(|e| e.file).collect();
        let (number, first) = (lesson.number, lesson.exercises[0].file.replace('-', "-my-"));
        return Err(Error::setting(format!(
            "{name} is no exercise of lesson {number}: it has {} (a copy may be called {first})",
            files.join(", ")
        )));
    };
    let text = std::fs::read_to_string(file).map_err(|e| Error::file(file, e))?;
    // With the runtime checks of the shader compiler: what the reader wrote may read beyond an array.
    let options = Options { checked: true, ..Options::default() };
    let device = match Device::choose(&choice(args.device.as_deref()), options) {
        Err(Error::NoAdapter(_)) => Device::oracle(),
        device => device?,
    };
    lesson.exercises[place].judge(&device, &text)?;
    let after = match (lesson.exercises.get(place + 1), lesson.number + 1) {
        (Some(next), _) => format!("next: {}", file.with_file_name(next.file).display()),
        (None, next) if next <= lessons::list().len() => format!("next: ebm lesson {next}"),
        _ => "that was the last one".into(),
    };
    say!("{name}: right; {after}")
}
