//! The program itself: wrong input gives one line and exit code 1, never a panic.

use std::process::{Command, Output, Stdio};

fn ebm(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ebm")).args(words).env_remove("RUST_BACKTRACE").output().unwrap()
}

/// Asserts one `error:` line, exit code 1 and nothing on stdout; returns the line.
#[track_caller]
pub fn error(words: &[&str]) -> String {
    let output = ebm(words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error:")).collect();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {stderr}");
    assert_eq!(errors.len(), 1, "{words:?}: {stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("bug in ebm"), "{words:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{words:?}");
    errors[0].to_string()
}

/// Asserts exit code 0; returns what was printed.
#[track_caller]
pub fn succeeds(words: &[&str]) -> String {
    let output = ebm(words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_unknown_command_or_argument_is_one_line() {
    assert!(error(&["devise"]).contains("'device'"));
    assert!(error(&["kernel", "show"]).contains("<NAME>"));
    assert!(error(&["kernel", "show", "roof/copy", "--as", "glsl"]).contains("hlsl"));
    assert!(error(&["device", "--speed", "9"]).contains("--speed"));
}

#[test]
fn an_unknown_device_is_named() {
    for command in [&["kernel", "list"][..], &["bench"]] {
        let line = error(&[command, &["--device", "no such adapter"]].concat());
        assert!(line.contains("no such adapter") || line.contains("no GPU adapter"), "{line}");
    }
}

#[test]
fn an_unknown_kernel_comes_with_the_nearest_name() {
    assert!(error(&["kernel", "show", "elementwise/whee"]).contains("did you mean elementwise/where?"));
}

#[test]
fn the_oracle_cannot_be_benchmarked() {
    assert!(error(&["bench", "--device", "oracle"]).contains("GPU adapter"));
}

#[test]
fn help_version_device_and_kernels_succeed() {
    for words in [&["--help"][..], &["--version"], &["device", "--device", "oracle"], &["kernel", "list"]] {
        let output = ebm(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(!output.stdout.is_empty(), "{words:?}");
    }
    let shown = ebm(&["kernel", "show", "roof/copy", "--as", "msl"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("kernel void"));
    let spirv = ebm(&["kernel", "show", "roof/copy", "--as", "spirv"]).stdout;
    assert_eq!(spirv[..4], 0x0723_0203u32.to_le_bytes());
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ebm"))
        .args(["kernel", "list", "--device", "oracle"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_kernel_is_shown_by_the_name_of_its_file_with_its_defaults() {
    let shown = ebm(&["kernel", "show", "langevin/step", "--device", "oracle"]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(String::from_utf8(shown.stdout).unwrap().starts_with("// langevin/step\n"));
    let list = String::from_utf8(ebm(&["kernel", "list", "--device", "oracle"]).stdout).unwrap();
    assert!(list.contains("elementwise/unary[silu") && !list.contains("OP="), "{list}");
}

/// `script` gives the program a terminal.
#[test]
fn binary_output_never_goes_to_a_terminal() {
    if !cfg!(target_os = "linux") {
        println!("skipped: binary_output_never_goes_to_a_terminal: another kind of script");
        return;
    }
    let words = format!("{} kernel show roof/copy --as spirv --device oracle", env!("CARGO_BIN_EXE_ebm"));
    match Command::new("script").args(["-qec", &words, "/dev/null"]).stdin(Stdio::null()).output() {
        Err(why) => println!("skipped: binary_output_never_goes_to_a_terminal: script: {why}"),
        Ok(output) => {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.starts_with("error: SPIR-V is binary") && text.trim().lines().count() == 1, "{text:?}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

/// Reading from a pipe or a device may never end.
#[cfg(unix)]
#[test]
fn settings_are_read_from_regular_files_only() {
    let link = std::env::temp_dir().join(format!("ebm-cli-{}.toml", std::process::id()));
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    let line = error(&["train", link.to_str().unwrap()]);
    std::fs::remove_file(&link).unwrap();
    assert!(line.ends_with("is a pipe or device, not a file"), "{line}");
}

/// Two pictures of two iterations; images, and runs that start from others, have none.
#[test]
fn a_film_is_made_of_points_only() {
    let file = std::env::temp_dir().join(format!("ebm-film-{}.png", std::process::id()));
    let out = file.to_str().unwrap();
    let small = ["film", "cd/eight-gaussians-small", "--set", "trainer.steps=2", "--device", "oracle", "--out", out];
    assert!(succeeds(&[&small[..], &["--frames", "2"]].concat()).starts_with("2 pictures of 2 iterations"));
    let reader = png::Decoder::new(std::io::Cursor::new(std::fs::read(&file).unwrap())).read_info().unwrap();
    assert_eq!(reader.info().animation_control().unwrap().num_frames, 2);
    std::fs::remove_file(&file).unwrap();
    assert!(error(&[&small[..], &["--frames", "1"]].concat()).contains("--frames = 1"));
    assert!(error(&["film", "gcd/eight-gaussians", "--device", "oracle"]).contains("starts from"));
    assert!(error(&["film", "nowhere"]).contains("no preset or .toml file"));
}
