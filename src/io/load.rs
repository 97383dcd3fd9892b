//! `Dataset::load`: the data sets that a setting or a command line can name, as `KIND:WHERE`.
//!
//! A relative path is looked for from the current folder, then under the folder that `EBM_DATA` names.

use super::source::{self, Source, existing};
use crate::data::{Dataset, MOST_BYTES, Split, Values, cifar, generated, idx, npy, optdigits};
use crate::error::{Error, Result, nearest, printable};
use std::path::{Path, PathBuf};

/// A kind of data set: its name, what follows the colon, and what the files are, for those who do not have them.
struct Kind {
    name: &'static str,
    place: &'static str,
    about: &'static str,
}

const fn kind(name: &'static str, place: &'static str, about: &'static str) -> Kind {
    Kind { name, place, about }
}

const KINDS: [Kind; 12] = [
    kind("toy", "NAME or NAME:COUNT", ""),
    kind("mnist", "DIR", "the four .gz files of \"The MNIST database of handwritten digits\" (LeCun, Cortes, Burges)"),
    kind("fashion-mnist", "DIR", "the four .gz files of \"Fashion-MNIST\" (Zalando Research)"),
    kind("emnist-letters", "DIR", "the emnist-letters files of \"The EMNIST Dataset\" (NIST), in the format of MNIST"),
    kind(
        "optdigits",
        "DIR",
        "optdigits.tra and .tes of \"Optical Recognition of Handwritten Digits\" (UCI, Alpaydin and Kaynak)",
    ),
    kind("cifar10", "DIR or FILE", "\"CIFAR-10 binary version\" (Krizhevsky, University of Toronto)"),
    kind("cifar100", "DIR or FILE", "\"CIFAR-100 binary version\" (Krizhevsky, University of Toronto)"),
    kind(
        "dtd",
        "DIR or FILE",
        "the \"Describable Textures Dataset\" (Oxford VGG) at 32 x 32, in the binary format of CIFAR-10",
    ),
    kind("png", "DIR", "a folder of .png files of one size, or of one such folder for each class"),
    kind("npy", "FILE", "an array saved by numpy.save: points [N, D] or images [N, H, W, C]"),
    kind("uniform-noise", "HxWxC or HxWxC:COUNT", ""),
    kind("half", "the data of images, for example half:mnist:DIR", ""),
];

impl Dataset {
    /// Loads the data set that `spec` names: `toy:two-moons:50000`, `mnist:DIR`, `npy:points.npy`, `png:DIR` ...
    ///
    /// Files may be gzipped. Relative paths are looked for from the current folder, then under `$EBM_DATA`.
    /// Of an array or a folder of pictures, `Split::Test` is a held-out tenth ([`Dataset::held_out`]).
    ///
    /// # Errors
    /// An unknown kind, a missing file, a file that is not what its name says, more than 1 GiB of data.
    pub fn load(spec: &str, split: Split) -> Result<Dataset> {
        let root = std::env::var_os("EBM_DATA").map(PathBuf::from);
        load(spec, split, root.as_deref())
    }
}

/// [`Dataset::load`] with the folder for relative paths.
fn load(spec: &str, split: Split, root: Option<&Path>) -> Result<Dataset> {
    let mut inner = spec;
    let mut halvings = 0;
    while let Some(rest) = inner.strip_prefix("half:").filter(|_| halvings < 16) {
        (inner, halvings) = (rest, halvings + 1);
    }
    let (name, place) = inner.split_once(':').unwrap_or((inner, ""));
    let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| unknown_kind(spec, name))?;
    if place.is_empty() || name == "half" {
        return Err(Error::setting(format!("data '{spec}': write {name}:{}", kind.place)));
    }
    let path = || locate(kind, place, root);
    let mut set = match name {
        "toy" => generated::toy(place, split),
        "uniform-noise" => generated::uniform_noise(place, split),
        "mnist" => load_idx(&path()?, split, &idx::MNIST),
        "fashion-mnist" => load_idx(&path()?, split, &idx::FASHION_MNIST),
        "emnist-letters" => load_idx(&path()?, split, &idx::EMNIST_LETTERS),
        "optdigits" => load_optdigits(&path()?.join(optdigits::file(split))),
        "cifar10" | "dtd" => load_cifar(&path()?, split, &cifar::TEN),
        "cifar100" => load_cifar(&path()?, split, &cifar::HUNDRED),
        "png" => load_png(&path()?)?.held_out(split),
        _ => load_npy(&path()?)?.held_out(split),
    }
    .map_err(|e| with_source(e, kind))?;
    for _ in 0..halvings {
        set = generated::halved(set)?;
    }
    Ok(Dataset { name: printable(&format!("{spec} ({})", split.choose("train", "test"))), ..set })
}

fn unknown_kind(spec: &str, name: &str) -> Error {
    let list: Vec<String> = KINDS.iter().map(|kind| format!("{}:{}", kind.name, kind.place)).collect();
    let near = nearest(name, KINDS.iter().map(|kind| kind.name)).unwrap_or_default();
    Error::setting(format!("unknown data '{spec}', did you mean '{near}:...'? Known: {}", list.join(", ")))
}

/// The path that `place` stands for: itself, or under `root` if it is relative and only there.
fn locate(kind: &Kind, place: &str, root: Option<&Path>) -> Result<PathBuf> {
    let here = Path::new(place);
    let there = root.filter(|_| here.is_relative()).map(|root| root.join(place));
    if let Some(found) = [Some(here), there.as_deref()].into_iter().flatten().find(|path| existing(path).is_some()) {
        return Ok(found.to_path_buf());
    }
    let elsewhere = match (here.is_relative(), &there) {
        (false, _) => String::new(),
        (true, Some(there)) => format!(", nor is {} (EBM_DATA)", there.display()),
        (true, None) => ", and EBM_DATA names no folder to look in".into(),
    };
    Err(with_source(Error::file(here, format!("not found{elsewhere}")), kind))
}

/// A file that is missing, with what it is and how it is named.
fn with_source(error: Error, kind: &Kind) -> Error {
    match error {
        Error::File { path, why } if existing(&path).is_none() && !kind.about.is_empty() => {
            Error::file(path, format!("{why}; --data {}:{} wants {}", kind.name, kind.place, kind.about))
        }
        other => other,
    }
}

/// The images and labels of one split.
fn load_idx(folder: &Path, split: Split, layout: &idx::Layout) -> Result<Dataset> {
    let [images, labels] = layout.files(split).map(|file| folder.join(file));
    let images = Source::read(&images, "IDX", |bytes| idx::size(bytes, 3))?;
    let set = images.parsed(idx::images(&images.bytes, layout))?;
    let file = Source::read(&labels, "IDX", |bytes| idx::size(bytes, 1))?;
    let labels = file.parsed(idx::labels(&file.bytes, layout))?;
    if labels.len() != set.len() {
        let why = format!("{} labels for {} images; the pair does not belong together", labels.len(), set.len());
        return file.parsed(Err(why));
    }
    Ok(set.with_labels(labels, layout.classes.iter().map(|&name| name.into()).collect()))
}

/// The records at `path`: a file, a folder with the files of the split, or a folder with one other `*.bin[.gz]`.
fn load_cifar(path: &Path, split: Split, layout: &cifar::Layout) -> Result<Dataset> {
    let mut records = cifar::Records::default();
    for file in cifar_files(path, split, layout)? {
        let source = Source::read(&file, "CIFAR", |_| Ok(MOST_BYTES - 1))?;
        source.parsed(records.append(&source.bytes, layout))?;
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let names = folder.join(layout.names_file);
    let classes = if names.exists() {
        let wrong = |why| Error::format(&names, "class name", why);
        cifar::class_names(&source::read_text(&names)?, layout).map_err(wrong)?
    } else {
        (0..layout.class_count).map(|i| i.to_string()).collect()
    };
    let classes = classes.iter().map(|name| printable(name)).collect();
    Ok(Dataset::new("cifar", vec![32, 32, 3], Values::U8(records.pixels)).with_labels(records.labels, classes))
}

fn cifar_files(path: &Path, split: Split, layout: &cifar::Layout) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    if [layout.train, layout.test].concat().iter().any(|part| existing(&path.join(part)).is_some()) {
        return Ok(layout.files(split).iter().map(|part| path.join(part)).collect());
    }
    let is_record_file = |p: &PathBuf| p.to_str().is_some_and(|s| s.ends_with(".bin") || s.ends_with(".bin.gz"));
    let found: Vec<PathBuf> = sorted(path)?.into_iter().filter(is_record_file).collect();
    match found.len() {
        1 => Ok(found),
        n => {
            let why = format!("not found, nor is there a single other .bin file ({n} found)");
            Err(Error::file(path.join(layout.files(split)[0]), why))
        }
    }
}

fn load_optdigits(path: &Path) -> Result<Dataset> {
    let text = source::read_text(path)?;
    optdigits::dataset(&text).map_err(|why| Error::format(path, "digit", why))
}

fn load_npy(path: &Path) -> Result<Dataset> {
    let source = Source::read(path, "npy", npy::size)?;
    source.parsed(npy::dataset(&source.bytes))
}

/// All PNG files of a folder, or of its subfolders (then these are the classes), in the order of their names.
fn load_png(folder: &Path) -> Result<Dataset> {
    let (folders, files): (Vec<_>, Vec<_>) = sorted(folder)?.into_iter().partition(|p| p.is_dir());
    let files: Vec<PathBuf> = files.into_iter().filter(|p| is_png(p)).collect();
    let (mut labelled, mut classes) = (Vec::new(), Vec::new());
    for class in folders {
        let pictures: Vec<PathBuf> = sorted(&class)?.into_iter().filter(|p| is_png(p)).collect();
        if !pictures.is_empty() {
            labelled.extend(pictures.into_iter().map(|p| (p, classes.len() as u32)));
            classes.push(printable(&class.file_name().unwrap_or_default().to_string_lossy()));
        }
    }
    match (files.is_empty(), labelled.is_empty()) {
        (true, true) => Err(Error::file(folder, "no .png files in it or in its subfolders")),
        (false, false) => Err(Error::file(folder, "both .png files and subfolders with .png files; keep one kind")),
        (false, true) => read_all(&files),
        (true, false) => {
            let (files, labels): (Vec<PathBuf>, Vec<u32>) = labelled.into_iter().unzip();
            Ok(read_all(&files)?.with_labels(labels, classes))
        }
    }
}

/// The images of `files`, which must all have the shape of the first.
fn read_all(files: &[PathBuf]) -> Result<Dataset> {
    let mut all = Vec::new();
    let mut first = None;
    for file in files {
        let (pixels, shape) = super::png::read(file)?;
        let expected = *first.get_or_insert(shape);
        if shape != expected {
            let why = format!("size [H, W, C] = {shape:?}, but {} has {expected:?}", files[0].display());
            return Err(Error::format(file, "PNG", why));
        }
        if all.len() + pixels.len() > MOST_BYTES {
            return Err(Error::file(file, format!("with this one the pictures take more than {MOST_BYTES} bytes")));
        }
        all.extend(pixels);
    }
    let shape = first.expect("at least one file");
    Ok(Dataset::new("png", shape.to_vec(), Values::U8(all)))
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

/// The entries of a folder in the order of their names.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |why: std::io::Error| Error::file(folder, format!("cannot read this folder: {why}"));
    let paths: std::io::Result<Vec<PathBuf>> =
        std::fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
