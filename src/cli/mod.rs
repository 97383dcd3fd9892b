//! The command line: parses, calls the library, and prints.
//!
//! Whatever goes wrong is one line on stderr that starts with `error:`, and exit code 1.

mod bench;
mod bench_scaling;
mod choose_device;
mod compose;
mod device;
mod eval;
mod film;
mod inpaint;
mod kernel;
mod lesson;
mod ood;
mod output;
mod presets;
mod progress;
mod sample;
mod serve;
mod study;
mod train;
mod tune;

use crate::error::{Error, Result};
use crate::run::Registry;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Train energy-based models and diffusion samplers on hand-written GPU kernels.
#[derive(Parser)]
#[command(name = "ebm", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Train the demonstration: an energy of eight Gaussians, with scores, pictures and a report (also without arguments).
    Demo(train::DemoArgs),
    /// Train an energy from a preset or a configuration file.
    Train(train::TrainArgs),
    /// Continue a run from its newest checkpoint.
    Resume(train::ResumeArgs),
    /// Draw samples of a trained energy as a picture or an array.
    Sample(sample::SampleArgs),
    /// Fill the masked part of an image.
    Inpaint(inpaint::InpaintArgs),
    /// Score a trained energy.
    Eval(eval::EvalArgs),
    /// Tell other data from the data that a trained energy knows.
    Ood(ood::OodArgs),
    /// Sample from several trained energies put together: all of them, any, one without the other.
    Compose(compose::ComposeArgs),
    /// Film a training on points: chains on the energy while it is learnt, as an animated PNG.
    Film(film::Args),
    /// Compare the parts of an algorithm.
    #[command(subcommand)]
    Study(study::Args),
    /// List what can be trained by name.
    Presets,
    /// List the adapters and what the chosen one offers.
    Device(device::Args),
    /// List the kernels, or show the text of one.
    #[command(subcommand)]
    Kernel(kernel::Args),
    /// Check and time the kernels.
    Bench(bench::Args),
    /// Find the fastest kernels for the products of a training on this adapter, and keep them for later runs.
    Tune(tune::Args),
    /// Twelve lessons, from one kernel to a training step: read, run, and try.
    Lesson(lesson::Args),
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    main_with(Registry::standard())
}

/// [`main`] for a program with algorithms, data sets or presets of its own.
pub fn main_with(registry: Registry) -> ExitCode {
    report_panics();
    quiet_display_lookup();
    progress::catch_signals();
    let commanded = || match Cli::try_parse() {
        Ok(cli) => run(&registry, &cli.command.unwrap_or(Command::Demo(Default::default()))),
        Err(e) => explain(e),
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(commanded));
    choose_device::close_devices();
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // What was saved, and how to go on, has been said.
        Ok(Err(Error::Interrupted(_))) => ExitCode::from(progress::INTERRUPTED),
        Ok(Err(e)) => {
            output::note(&format!("error: {}", one_line(&e.to_string())));
            ExitCode::FAILURE
        }
        // The hook has reported it.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(registry: &Registry, command: &Command) -> Result<()> {
    match command {
        Command::Demo(args) => train::demo(registry, args),
        Command::Train(args) => train::train(registry, args),
        Command::Resume(args) => train::resume(registry, args),
        Command::Sample(args) => sample::run(registry, args),
        Command::Inpaint(args) => inpaint::run(registry, args),
        Command::Eval(args) => eval::run(registry, args),
        Command::Ood(args) => ood::run(registry, args),
        Command::Compose(args) => compose::run(registry, args),
        Command::Film(args) => film::run(registry, args),
        Command::Study(args) => study::run(registry, args),
        Command::Presets => presets::run(registry),
        Command::Device(args) => device::run(args),
        Command::Kernel(args) => kernel::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Tune(args) => tune::run(registry, args),
        Command::Lesson(args) => lesson::run(args),
    }
}

/// Help and version go to stdout; a wrong argument becomes an error of one line.
fn explain(e: clap::Error) -> Result<()> {
    match e.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::text(&e.render().to_string())
        }
        _ => {
            let text = e.render().to_string();
            let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
            let lines: Vec<&str> = lines.filter(|l| !l.is_empty() && !l.starts_with("For more")).collect();
            let text = lines.join("; ").replace(":; ", ": ");
            Err(Error::setting(format!("{}; see ebm --help", text.trim_start_matches("error: "))))
        }
    }
}

/// A panic is a bug of this program: say so in one line, with the place. `RUST_BACKTRACE=1` adds the usual report.
fn report_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        output::note(&format!("error: this is a bug in ebm{place}: {}", one_line(message)));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
            usual(panic);
        }
    }));
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Mesa's Vulkan layer for choosing among several GPUs asks the display server, and complains on stderr where there is
/// none. Without a display and without a wish there is nothing to ask: switch the layer off.
fn quiet_display_lookup() {
    let unset = |name| std::env::var_os(name).is_none();
    if ["XDG_RUNTIME_DIR", "DISPLAY", "MESA_VK_DEVICE_SELECT", "DRI_PRIME"].into_iter().all(unset) {
        // SAFETY: the program has started no thread yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_argument_becomes_one_line() {
        let error = |words: &[&str]| explain(Cli::try_parse_from(words).err().unwrap()).unwrap_err().to_string();
        assert_eq!(
            error(&["ebm", "devise"]),
            "unrecognized subcommand 'devise'; tip: a similar subcommand exists: 'device'; see ebm --help"
        );
        assert_eq!(
            error(&["ebm", "kernel", "show"]),
            "the following required arguments were not provided: <NAME>; see ebm --help"
        );
    }
}
