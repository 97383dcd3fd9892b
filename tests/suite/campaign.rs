//! Campaigns against the program itself: runs that are killed at random moments, and runs whose file calls fail one after
//! the other. Each ends in one clear line or none, and `ebm resume` then gives the bytes of a run that nobody disturbed.
//!
//! Every `cargo test` makes a few of each; all of them, in minutes, are made by
//! `cargo test --release --test suite -- --ignored --nocapture campaign`.
#![cfg(unix)]

use ebm::io::{Checkpoint, npy};
use ebm::prelude::Key;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TINY: &str = "seed = 3\n\
    [trainer]\nsteps = 24\nlog_every = 1\ncheckpoint_every = 3\nsample_every = 6\n\
    [algorithm]\nkind = 'contrastive_divergence'\nbatch = 8\nlangevin.steps = 2\nreplay.size = 16\n";

/// Data and nets: points are scored after training, images are not.
const KINDS: [(&str, &[usize], &str); 2] = [
    ("points", &[40, 2], "energy = { kind = 'mlp', hidden = [4] }"),
    ("images", &[40, 4, 4], "energy = { kind = 'conv', widths = [2] }"),
];

/// A folder with a tiny configuration, removed with its content at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        // In memory where there is a folder for that: what a process wrote outlives it, and nothing waits for a disk.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir());
        let parent = memory.unwrap_or_else(std::env::temp_dir);
        let place = parent.join(format!("ebm-campaign-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(place.join("runs")).unwrap();
        for (kind, shape, energy) in KINDS {
            let values: Vec<f32> =
                (0..shape.iter().product::<usize>()).map(|i| Key::new(1).uniform(i as u64) as f32).collect();
            npy::write(place.join(format!("{kind}.npy")), shape, &values).unwrap();
            let text = format!("data = 'npy:{}/{kind}.npy'\n{TINY}{energy}\n", place.display());
            std::fs::write(place.join(format!("{kind}.toml")), text).unwrap();
        }
        Place(place)
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.join("runs").join(name)
    }

    fn train(&self, kind: &str, out: &Path) -> Command {
        let mut command = ebm();
        command.arg("train").arg(self.0.join(format!("{kind}.toml"))).arg("--out").arg(out);
        command
    }

    /// What an undisturbed run leaves, and how long it takes.
    fn reference(&self, kind: &str) -> (BTreeMap<String, Vec<u8>>, Duration) {
        let (out, start) = (self.run(&format!("reference-{kind}")), Instant::now());
        succeeds(&mut self.train(kind, &out));
        (contents(&out), start.elapsed())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ebm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebm"));
    command.env_remove("RUST_BACKTRACE").env("EBM_DEVICE", "oracle").stdout(Stdio::piped()).stderr(Stdio::piped());
    // A shell that starts the tests in the background lets them ignore Ctrl-C.
    let usual = || {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            // SAFETY: the usual reaction to a signal is no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: it only calls `signal`, which may be called between fork and exec.
    unsafe { command.pre_exec(usual) };
    command
}

fn resume(run: &Path) -> Command {
    let mut command = ebm();
    command.arg("resume").arg(run);
    command
}

/// Waits for the end; two minutes are a hang.
fn finish(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            let _ = child.kill();
            panic!("it hangs: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let output = finish(command.spawn().unwrap());
    assert!(output.status.success() && complaints(&output).is_empty(), "{command:?}: {output:?}");
}

/// The lines of stderr that are not about progress, of which there is one every ten seconds.
fn complaints(output: &Output) -> Vec<String> {
    let progress = |line: &&str| line.starts_with("scores: ") || line.starts_with("samples: ") || line.contains("/s  ");
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| !progress(line)).map(String::from).collect()
}

/// The lines of both streams that begin with `word`.
fn lines(output: &Output, word: &str) -> usize {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("bug in ebm") && !text.contains("panicked"), "{output:?}");
    text.lines().filter(|line| line.starts_with(word)).count()
}

/// Every file of a run by name, without what tells the time or the process: those columns, and the checkpoint before the last,
/// which is that of an interruption where there was one. A temporary file that was left would be among them.
fn contents(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(run).unwrap().to_str().unwrap().to_string();
            let bytes = std::fs::read(&path).unwrap();
            match name.as_str() {
                "lock" => continue,
                "checkpoints/previous.safetensors" => assert!(Checkpoint::parse(&bytes).is_ok()),
                "metrics.csv" => _ = found.insert(name, without_times(&String::from_utf8(bytes).unwrap())),
                "events.out.tfevents.ebm" => _ = found.insert(name, events(&bytes)),
                _ => _ = found.insert(name, bytes),
            }
        }
    }
    found
}

fn without_times(metrics: &str) -> Vec<u8> {
    let rows = metrics.lines().map(|row| row.split(',').enumerate().filter(|(i, _)| *i != 1).map(|(_, field)| field));
    rows.flat_map(|fields| fields.flat_map(|field| [field.as_bytes(), b","].concat())).collect()
}

/// The payloads of a file of events behind their nine bytes of time.
fn events(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        out.extend(&rest[4 + 9..4 + length]);
        bytes = &rest[4 + length + 4..];
    }
    out
}

#[track_caller]
fn same(run: &Path, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    let found = contents(run);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    let other: Vec<_> = found.iter().filter(|(name, bytes)| expected[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(other.is_empty(), "{what}: {other:?} have other bytes");
}

fn send(signal: &str, child: &Child) {
    let kill = format!("kill -{signal} {}", child.id());
    let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
}

/// Starts a command and sends the signal after a part of `whole`; tells whether it had ended before, and checks the end.
fn kill(command: &mut Command, signal: &str, after: Duration) -> bool {
    let child = command.spawn().unwrap();
    std::thread::sleep(after);
    send(signal, &child);
    let output = finish(child);
    let told = lines(&output, "interrupted");
    match output.status.code() {
        Some(0) => assert_eq!(told, 0, "{output:?}"),
        Some(130) if signal != "KILL" => assert!(told == 1 && lines(&output, "error:") == 0, "{output:?}"),
        // Killed, or before the program had a handler.
        None => assert_eq!(told, 0, "{output:?}"),
        _ => panic!("SIG{signal} after {after:?}: {output:?}"),
    }
    output.status.success()
}

/// Kills `count` runs, a quarter of which are scored at the end, some of them twice, and lets each go on to the end.
fn kills(name: &str, count: u64) {
    let place = Place::new(name);
    let references = ["images", "points"].map(|kind| (kind, place.reference(kind)));
    let (mut finished, mut before) = (0, 0);
    for i in 0..count {
        let (kind, (expected, whole)) = &references[usize::from(i % 4 == 3)];
        let key = Key::new(14).named("kills").index(i);
        let signal = ["KILL", "TERM", "INT"][i as usize % 3];
        let moment = |draw| whole.mul_f64(1.1 * key.uniform(draw));
        let out = place.run(&i.to_string());
        finished += usize::from(kill(&mut place.train(kind, &out), signal, moment(0)));
        let what = format!("run {i}, {kind}, SIG{signal} after {:?} of {whole:?}", moment(0));
        if !out.exists() {
            before += 1;
            succeeds(&mut place.train(kind, &out));
        } else if i % 9 < 3 {
            kill(&mut resume(&out), signal, moment(1));
        }
        succeeds(&mut resume(&out));
        same(&out, expected, &what);
        std::fs::remove_dir_all(&out).unwrap();
    }
    println!("{count} runs killed: {before} before there was a folder, {finished} after the end");
}

#[test]
fn killed_runs_go_on_to_the_same_bytes() {
    kills("some-kills", 6);
}

#[test]
#[ignore = "minutes"]
fn campaign_of_kills() {
    kills("all-kills", 200);
}

/// The library that lets calls fail, or why there is none.
fn shim(place: &Place) -> Result<PathBuf, String> {
    let library = place.0.join("faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/faults.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").output();
    match built {
        _ if !cfg!(target_os = "linux") => Err("LD_PRELOAD as on Linux is needed".into()),
        Ok(output) if output.status.success() => Ok(library),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(why) => Err(format!("cc: {why}")),
    }
}

/// How a call fails: the error, and whether later ones that need room on the disk do, too.
const WAYS: [(&str, i32, bool); 3] =
    [("no space from there on", 28, true), ("no space once", 28, false), ("an I/O error", 5, false)];

/// Lets call `at` below `runs/NAME` fail; returns the end and what was told: how many calls there were, and which one failed.
fn with_fault(place: &Place, command: &mut Command, name: &str, at: usize, way: usize) -> (Output, usize, String) {
    let tell = place.0.join(format!("tell-{name}"));
    let (_, errno, stays) = WAYS[way];
    command.env("LD_PRELOAD", place.0.join("faults.so")).env("FAULT_ROOT", place.run(name)).env("FAULT_TELL", &tell);
    command.env("FAULT_AT", at.to_string()).env("FAULT_ERRNO", errno.to_string());
    command.env("FAULT_STAYS", u8::from(stays).to_string());
    let output = finish(command.spawn().unwrap());
    let told = std::fs::read_to_string(&tell).unwrap();
    let (count, call) = told.trim().split_once(' ').unwrap();
    (output, count.parse().unwrap(), call.into())
}

/// Something that is done to a run's folder, again after a fault.
struct Deed<'a> {
    name: &'static str,
    /// The folder as it is before, if it is there.
    before: Option<PathBuf>,
    command: Box<dyn Fn(&Path) -> Command + Sync + 'a>,
}

/// Lets every `stride`-th file call of a whole run, of one that goes on, and of scoring fail, in `ways` ways.
fn faults(name: &str, stride: usize, ways: usize) {
    let place = Place::new(name);
    if let Err(why) = shim(&place) {
        println!("skipped: {name}: {why}");
        return;
    }
    let [half, whole] = ["half", "whole"].map(|name| place.run(name));
    succeeds(place.train("images", &half).args(["--steps", "12"]));
    succeeds(&mut place.train("points", &whole));
    let with = |mut command: Command, words: &[&str]| {
        command.args(words);
        command
    };
    let train = |out: &Path| if out.exists() { resume(out) } else { place.train("images", out) };
    let go_on = |out: &Path| with(resume(out), &["--steps", "24"]);
    let score = |out: &Path| with(ebm(), &["eval", out.to_str().unwrap(), "--langevin-steps", "1"]);
    let deeds = [
        Deed { name: "train", before: None, command: Box::new(train) },
        Deed { name: "resume", before: Some(half), command: Box::new(go_on) },
        Deed { name: "eval", before: Some(whole), command: Box::new(score) },
    ];
    for deed in &deeds {
        let start = |name: &str| {
            let out = place.run(name);
            deed.before.iter().for_each(|before| copy(before, &out));
            out
        };
        let clean = start(deed.name);
        let (output, calls, _) = with_fault(&place, &mut (deed.command)(&clean), deed.name, 0, 0);
        assert!(output.status.success() && calls > 10, "{output:?}");
        let expected = contents(&clean);
        std::fs::remove_dir_all(&clean).unwrap();

        let each = |(i, at): (usize, usize)| (0..ways).map(move |way| (at, (i + way) % WAYS.len()));
        let cases: Vec<_> = (1..=calls).step_by(stride).enumerate().flat_map(each).collect();
        let (next, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            while let Some(&(at, way)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let name = format!("{}-{at}-{way}", deed.name);
                let out = start(&name);
                let (output, _, call) = with_fault(&place, &mut (deed.command)(&out), &name, at, way);
                let what = format!("call {at} ({call}) of {}, {}: {output:?}", deed.name, WAYS[way].0);
                if !output.status.success() {
                    assert_eq!(output.status.code(), Some(1), "{what}");
                    assert!(complaints(&output).len() == 1 && lines(&output, "error:") == 1, "{what}");
                    succeeds(&mut (deed.command)(&out));
                    told.fetch_add(1, Ordering::Relaxed);
                }
                same(&out, &expected, &what);
                std::fs::remove_dir_all(&out).unwrap();
            }
        };
        std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
        let (all, told) = (cases.len(), told.into_inner());
        println!("{}: {calls} file calls, {all} faults: {told} told in one line, {} overcome", deed.name, all - told);
    }
    let left: Vec<_> =
        std::fs::read_dir(place.0.join("runs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "something is left beside the runs: {left:?}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { _ = std::fs::copy(from, to).unwrap() }
    }
}

#[test]
fn failing_file_calls_leave_a_run_that_goes_on() {
    faults("some-faults", 40, 1);
}

#[test]
#[ignore = "minutes"]
fn campaign_of_faults() {
    faults("all-faults", 1, 3);
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_noticed() {
    let place = Place::new("bits");
    let out = place.run("bits");
    succeeds(&mut place.train("points", &out));
    let path = out.join("checkpoints/last.safetensors");
    let good = std::fs::read(&path).unwrap();
    assert!(Checkpoint::parse(&good).is_ok());
    let header = 8 + u64::from_le_bytes(*good.first_chunk().unwrap()) as usize;
    let mut noticed = 0;
    for (part, start, end) in [("header", 0, header), ("values", header, good.len())] {
        for i in 0..200 {
            let bit = 8 * start + Key::new(14).named(part).below(i, 8 * (end - start));
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            noticed += usize::from(Checkpoint::parse(&bad).is_err());
            if i < 2 {
                std::fs::write(&path, &bad).unwrap();
                let output = finish(resume(&out).spawn().unwrap());
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(stderr.lines().count() == 1 && stderr.starts_with("error:"), "{stderr}");
                assert!(stderr.contains("last.safetensors") && stderr.contains("previous.safetensors"), "{stderr}");
            }
        }
    }
    println!("{noticed} of 400 flipped bits were noticed");
    assert_eq!(noticed, 400);
}

/// While data are loaded and while samples are drawn nothing has to be saved: a signal ends the program with one line.
#[test]
fn a_signal_outside_of_training_ends_at_once() {
    let place = Place::new("signals");
    let out = place.run("done");
    succeeds(&mut place.train("points", &out));
    let before = contents(&out);
    let ends = |command: &mut Command, signal: &str| {
        let child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        send(signal, &child);
        let start = Instant::now();
        let output = finish(child);
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert!(lines(&output, "interrupted") == 1 && complaints(&output).len() == 1, "{output:?}");
        assert!(output.stdout.is_empty() && start.elapsed() < Duration::from_secs(5), "{output:?}");
    };
    for signal in ["INT", "TERM", "HUP"] {
        ends(place.train("points", &place.run("none")).args(["--data", "toy:two-moons:16000000"]), signal);
        assert!(!place.run("none").exists());
    }
    ends(ebm().arg("eval").arg(&out).args(["--langevin-steps", "1000000"]), "TERM");
    ends(ebm().arg("sample").arg(&out).args(["--n", "1000", "--langevin-steps", "1000000"]), "INT");
    same(&out, &before, "nothing changed");
}

/// The first signal asks a training to save after its iteration; where that takes too long, the second one ends it.
#[test]
fn a_second_signal_ends_a_long_iteration_at_once() {
    let place = Place::new("twice");
    let out = place.run("run");
    let mut command = place.train("images", &out);
    let mut child = command.args(["--set", "algorithm.langevin.steps=1000000"]).spawn().unwrap();
    while !out.join("checkpoints/last.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(200));
    send("INT", &child);
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "the first signal waits for the iteration");
    send("TERM", &child);
    let output = finish(child);
    assert!(output.status.code() == Some(130) && lines(&output, "interrupted at once") == 1, "{output:?}");
    assert!(Checkpoint::load(out.join("checkpoints/last.safetensors")).is_ok());
}

/// Whoever starts the program under `nohup` wants it to outlive the terminal.
#[test]
fn an_ignored_signal_stays_ignored() {
    let place = Place::new("nohup");
    let out = place.run("run");
    let words = format!(
        "trap '' HUP; exec {} train {}/points.toml --out {}",
        env!("CARGO_BIN_EXE_ebm"),
        place.0.display(),
        out.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &words]).env("EBM_DEVICE", "oracle").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    while !out.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    send("HUP", &child);
    let output = finish(child);
    assert!(output.status.success() && out.join("report.html").exists(), "{output:?}");
}
