//! The order of the modules (see the README's map of the tree): each uses only what lies below it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every module and its layer; `error` lies below all.
const LAYERS: [(&str, u32); 23] = [
    ("error", 0),
    ("check", 1),
    ("gpu", 1),
    ("tensor", 2),
    ("ops", 3),
    ("autodiff", 4),
    ("nn", 5),
    ("optim", 5),
    ("data", 6),
    ("energy", 6),
    ("sample", 6),
    ("diffusion", 6),
    ("train", 7),
    ("metrics", 7),
    ("plot", 7),
    ("io", 7),
    ("run", 8),
    ("bench", 9),
    ("kernels", 9),
    ("lessons", 10),
    ("cli", 11),
    ("web", 11),
    ("lib", 12),
];

/// Uses within a layer that are meant: (who, whom).
const EXCEPTIONS: [(&str, &str); 3] = [
    ("sample", "energy"),    // a chain moves on an energy
    ("sample", "diffusion"), // a chain of denoising steps has a schedule and a net
    ("kernels", "bench"),    // the roofs are kernels, too
];

#[test]
fn modules_use_only_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut needed) = (BTreeSet::new(), BTreeSet::<&(&str, &str)>::new());
    let files = rust_files(&root);
    assert!(files.len() > 30, "found only {} files", files.len());
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let user = path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if user == "main" {
            continue;
        }
        let Some(layer) = layer(user) else {
            wrong.insert(format!("{user} is in no layer: add it to LAYERS"));
            continue;
        };
        for used in uses(&std::fs::read_to_string(&file).unwrap()) {
            let exception = EXCEPTIONS.iter().find(|e| **e == (user, used.as_str()));
            needed.extend(exception);
            let allowed = used == user || exception.is_some();
            if !allowed && self::layer(&used).is_some_and(|below| below >= layer) {
                wrong.insert(format!("src/{}: {user} must not use {used}", path.display()));
            }
        }
    }
    wrong.extend(
        EXCEPTIONS.iter().filter(|e| !needed.contains(e)).map(|e| format!("{e:?} is an exception without use")),
    );
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

fn layer(module: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|p| p.is_dir());
    folders
        .iter()
        .flat_map(|f| rust_files(f))
        .chain(files.into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs")))
        .collect()
}

/// The text without comments and tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The names that follow `crate::`, alone or in a list in braces, in code.
fn uses(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let word = |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => found.extend([word(rest)]),
            Some(list) => found.extend(items(list).into_iter().map(word)),
        }
    }
    found
}

/// The items of a list, up to the brace that closes it: commas inside inner braces do not separate.
fn items(list: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                items.push(&list[start..i]);
                start = i + 1;
                if c == '}' {
                    break;
                }
            }
            _ => (),
        }
    }
    items
}

/// The folders (and `error.rs`) that run in a browser too.
const PORTABLE: [&str; 15] = [
    "error",
    "check",
    "gpu",
    "tensor",
    "ops",
    "autodiff",
    "nn",
    "optim",
    "data",
    "energy",
    "sample",
    "diffusion",
    "train",
    "metrics",
    "plot",
];
/// What a browser does not have, a thread that may wait among it.
const NATIVE: [&str; 9] = [
    "fs::",
    "File::",
    "std::thread",
    "std::time",
    "Instant",
    "SystemTime",
    "std::env",
    "pollster",
    "wait_indefinitely",
];
/// Uses that are meant: (file, what).
const NATIVE_EXCEPTIONS: [(&str, &str); 17] = [
    ("gpu/choices.rs", "Instant"), // what is measured
    ("gpu/choices.rs", "std::time"),
    ("gpu/device.rs", "fs::"), // the cache of compiled pipelines, and the names of software Vulkan's threads in /proc
    ("gpu/shader.rs", "fs::"), // kernels from the folder that EBM_SHADERS names
    ("gpu/shader.rs", "std::env"),
    ("gpu/device.rs", "pollster"),       // the blocking form of opening an adapter
    ("gpu/mod.rs", "wait_indefinitely"), // when a device is dropped
    ("gpu/profile.rs", "Instant"),       // the host's clock, where an adapter has no timestamps
    ("gpu/profile.rs", "std::time"),
    ("gpu/profile.rs", "wait_indefinitely"),
    ("gpu/profile.rs", "pollster"), // the blocking form of the end of a profile
    ("gpu/texels.rs", "Instant"),   // so is the choice of a software adapter
    ("gpu/texels.rs", "std::time"),
    ("gpu/read.rs", "pollster"), // the blocking form of a read-back
    ("gpu/read.rs", "wait_indefinitely"),
    ("gpu/recorder.rs", "wait_indefinitely"), // the blocking form of waiting for everything
    ("metrics/sliced_wasserstein.rs", "std::thread"), // one thread where there is no second one
];

/// Threads, files, clocks and the environment belong to `io` and above.
#[test]
fn nothing_below_io_needs_an_operating_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut met) = (BTreeSet::new(), BTreeSet::new());
    for file in rust_files(&root) {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let tests = path.ends_with("tests.rs");
        if tests || !PORTABLE.contains(&path.split('/').next().unwrap().trim_end_matches(".rs")) {
            continue;
        }
        let code = code(&std::fs::read_to_string(&file).unwrap());
        for native in NATIVE.into_iter().filter(|native| code.contains(native)) {
            match NATIVE_EXCEPTIONS.into_iter().find(|exception| *exception == (path.as_str(), native)) {
                Some(exception) => _ = met.insert(exception),
                None => _ = wrong.insert(format!("src/{path} must not use {native}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    assert_eq!(met.len(), NATIVE_EXCEPTIONS.len(), "an exception is no longer needed: only {met:?} are");
}

#[test]
fn all_ways_to_name_a_module_are_seen() {
    let text =
        "use crate::{gpu::{A, B}, ops};\n// crate::cli\nlet x = crate::tensor::f();\n#[cfg(test)]\nuse crate::io;";
    assert_eq!(uses(text), ["gpu", "ops", "tensor"].map(String::from).into());
}
