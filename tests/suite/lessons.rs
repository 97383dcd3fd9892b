//! Lessons: every one runs and draws, and every exercise tells right from wrong.

use super::{cli, support};
use ebm::gpu::Validated;
use ebm::lessons::{Exercise, list};
use ebm::tensor::Device;
use std::path::PathBuf;

#[derive(serde::Deserialize)]
struct Wrongs {
    wrong: Vec<Wrong>,
}

/// A plausible wrong answer: the solution with a part replaced, and what the reader is told.
#[derive(serde::Deserialize)]
struct Wrong {
    replace: String,
    with: String,
    says: String,
}

/// A file of tests/lessons.
fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lessons").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The solution passes; the stub and at least three wrong answers fail, each with the line that helps.
fn tell_apart(exercise: &Exercise, device: &Device) {
    let (stem, extension) = exercise.file.rsplit_once('.').unwrap();
    let solution = file(&format!("{stem}.{extension}"));
    let wrongs: Wrongs = toml::from_str(&file(&format!("{stem}.wrong.toml"))).unwrap();
    exercise.judge(device, &solution).unwrap();
    assert!(exercise.judge(device, exercise.stub).is_err(), "{}: the stub passes", exercise.file);
    assert!(wrongs.wrong.len() >= 3, "{}: three wrong answers", exercise.file);
    for Wrong { replace, with, says } in wrongs.wrong {
        assert!(solution.contains(&replace), "{}: nothing to replace: {replace}", exercise.file);
        let why = exercise.judge(device, &solution.replace(&replace, &with)).err();
        let why = why.unwrap_or_else(|| panic!("{}: {with} passes", exercise.file)).to_string();
        assert!(why.contains(&says) && why.lines().count() == 1, "{}: {with} is told: {why}", exercise.file);
    }
}

#[test]
fn exercises_tell_right_from_wrong() {
    let Some(device) = support::gpu("exercises_tell_right_from_wrong", true) else { return };
    list().iter().flat_map(|lesson| lesson.exercises).for_each(|exercise| tell_apart(exercise, &device));
}

/// Settings are judged without a GPU; a kernel's file says what it needs.
#[test]
fn exercises_without_a_gpu_pass_or_say_what_is_missing() {
    for exercise in list().iter().flat_map(|lesson| lesson.exercises) {
        if exercise.file.ends_with(".toml") {
            tell_apart(exercise, &Device::oracle());
        } else {
            let why = exercise.judge(&Device::oracle(), &file(exercise.file)).unwrap_err().to_string();
            assert!(why.contains("needs a GPU"), "{why}");
        }
    }
}

/// Without a GPU those that measure kernels say what to install.
#[test]
fn every_lesson_computes_and_draws() {
    let gpu = support::gpu("every_lesson_computes_and_draws", false);
    for lesson in list() {
        let number = lesson.number;
        assert!(lesson.source.lines().count() <= 200, "lesson {number} is longer than 200 lines");
        for device in gpu.iter().cloned().chain([Device::oracle()]) {
            let mut said = String::new();
            let report = lesson.give(&device, &mut |line| {
                said += line;
                Ok(())
            });
            let draws = report.unwrap().html().contains("<figure>");
            let missing = said.contains("This lesson measures kernels");
            let lacking = lesson.needs_gpu && device.gpu().is_none();
            assert_eq!((draws, missing), (!lacking, lacking), "lesson {number} on {device}");
        }
    }
}

/// What readers complete, and what lessons run of their own, is portable as it lies.
#[test]
fn kernels_of_lessons_translate_to_every_backend() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src/lessons", "src/lessons/exercises", "tests/lessons"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let texts = files
        .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
        .map(|path| std::fs::read_to_string(path).unwrap());
    let kernels: Vec<String> = texts.filter(|text| text.contains("@compute")).collect();
    assert!(kernels.len() >= 6, "only {} kernels", kernels.len());
    for text in kernels {
        let shader = Validated::new(&text).unwrap_or_else(|why| panic!("{why}"));
        shader.spirv().unwrap();
        shader.msl().unwrap();
        shader.hlsl().unwrap();
    }
}

#[test]
fn lessons_are_numbered_and_refused_in_one_line() {
    let numbers: Vec<usize> = list().iter().map(|lesson| lesson.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert!(cli::error(&["lesson", "0"]).contains("no lesson \"0\""));
    assert!(cli::error(&["lesson", "1", "--check", "none.wgsl"]).contains("1.1-product.wgsl"));
    assert!(cli::error(&["lesson", "1", "--check", "1.1-product.wgsl"]).contains("1.1-product.wgsl"));
    assert!(cli::error(&["lesson", "--check", "1.1-product.wgsl"]).contains("which lesson"));
    assert!(cli::error(&["lesson", "all", "--check", "1.1-product.wgsl"]).contains("which lesson"));
    assert!(cli::succeeds(&["lesson"]).contains("1  A kernel"));
}
