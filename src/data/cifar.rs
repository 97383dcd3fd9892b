//! CIFAR binary files: records of label bytes and three colour planes of 32 x 32 bytes.

use std::path::{Path, PathBuf};

use super::source::{Source, existing};
use super::{Dataset, Split, Values};
use crate::error::{Error, Result};

const PLANE: usize = 32 * 32;
const IMAGE: usize = 3 * PLANE;
/// Files with more records than this are refused rather than read into memory.
const MOST_RECORDS: usize = 1 << 20;

/// The binary layout of one family.
pub(super) struct Layout {
    /// Label bytes before the pixels; the last one is the class.
    pub label_bytes: usize,
    pub class_count: usize,
    /// A text file beside the records with one class name per line.
    pub names_file: &'static str,
    /// The files of the two splits.
    pub train: &'static [&'static str],
    pub test: &'static [&'static str],
}

/// CIFAR-10, and other sets written like it.
pub(super) const TEN: Layout = Layout {
    label_bytes: 1,
    class_count: 10,
    names_file: "batches.meta.txt",
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: &["test_batch.bin"],
};
/// CIFAR-100: coarse label, fine label; the fine one is the class.
pub(super) const HUNDRED: Layout = Layout {
    label_bytes: 2,
    class_count: 100,
    names_file: "fine_label_names.txt",
    train: &["train.bin"],
    test: &["test.bin"],
};

/// Loads the records at `path`: a file, a folder with the files of the split, or a folder with one other `*.bin[.gz]`.
pub(super) fn load(path: &Path, split: Split, layout: &Layout) -> Result<Dataset> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let files = files(path, split, layout)?;
    for file in &files {
        read(file, layout, &mut pixels, &mut labels)?;
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let classes = class_names(&folder.join(layout.names_file), layout.class_count)?;
    Ok(Dataset::new("cifar", vec![32, 32, 3], Values::U8(pixels)).with_labels(labels, classes))
}

/// The files that `path` stands for.
fn files(path: &Path, split: Split, layout: &Layout) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let parts = split.choose(layout.train, layout.test);
    if [layout.train, layout.test].concat().iter().any(|part| existing(&path.join(part)).is_some()) {
        return Ok(parts.iter().map(|part| path.join(part)).collect());
    }
    let entries = std::fs::read_dir(path).map_err(|e| Error::file(path, e))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_record_file = |p: &PathBuf| p.to_str().is_some_and(|s| s.ends_with(".bin") || s.ends_with(".bin.gz"));
    let found: Vec<PathBuf> = paths.filter(is_record_file).collect();
    match found.len() {
        1 => Ok(found),
        n => Err(Error::file(path, format!("holds neither {} nor a single .bin file ({n} found)", parts.join(", ")))),
    }
}

/// Appends the records of one file, colour planes changed to `[H, W, C]`.
fn read(path: &Path, layout: &Layout, pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<()> {
    let mut source = Source::open(path, "CIFAR")?;
    let record = layout.label_bytes + IMAGE;
    let bytes = source.up_to(record * MOST_RECORDS + 1)?;
    if bytes.is_empty() || bytes.len() % record != 0 || bytes.len() > record * MOST_RECORDS {
        return Err(source.wrong(format!("{} bytes are not a number of {record}-byte records", bytes.len())));
    }
    for (i, entry) in bytes.chunks_exact(record).enumerate() {
        let label = entry[layout.label_bytes - 1];
        if usize::from(label) >= layout.class_count {
            return Err(source.wrong(format!("record {i} has label {label}, expected 0..{}", layout.class_count - 1)));
        }
        labels.push(u32::from(label));
        let planes = &entry[layout.label_bytes..];
        pixels.extend((0..PLANE).flat_map(|p| [planes[p], planes[PLANE + p], planes[2 * PLANE + p]]));
    }
    Ok(())
}

/// The class names in label order; the numbers themselves if the file is not there.
fn class_names(path: &Path, count: usize) -> Result<Vec<String>> {
    if !path.exists() {
        return Ok((0..count).map(|i| i.to_string()).collect());
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    match names.len() == count {
        true => Ok(names),
        false => Err(Error::format(path, "class name", format!("{} names, expected {count}", names.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{png, scratch, shared_data};

    #[test]
    fn planes_become_interleaved_pixels_and_the_last_label_byte_counts() {
        let path = scratch("cifar").join("a.bin");
        let planes: Vec<u8> = [[10u8; PLANE], [20; PLANE], [30; PLANE]].concat();
        std::fs::write(&path, [&[3, 77], &planes[..]].concat()).unwrap();
        let set = load(&path, Split::Train, &HUNDRED).unwrap();
        assert_eq!(set.labels, Some(vec![77]));
        assert_eq!(set.values, Values::U8([10, 20, 30].repeat(PLANE)));
    }

    #[test]
    fn damaged_files_are_refused_with_what_was_found() {
        let dir = scratch("cifar-bad");
        let refuse = |bytes: &[u8], expect: &str| {
            std::fs::write(dir.join("a.bin"), bytes).unwrap();
            let e = load(&dir, Split::Train, &TEN).unwrap_err();
            assert!(matches!(e, Error::Format { .. }) && e.to_string().contains(expect), "{e}");
        };
        refuse(&[0; 1 + IMAGE - 1], "3072 bytes are not a number of 3073-byte records");
        refuse(&[], "0 bytes");
        refuse(&[200; 1 + IMAGE], "record 0 has label 200, expected 0..9");
        std::fs::write(dir.join("a.bin"), [0; 1 + IMAGE]).unwrap();
        std::fs::write(dir.join(TEN.names_file), "cat\ndog\n").unwrap();
        assert!(load(&dir, Split::Train, &TEN).unwrap_err().to_string().contains("2 names, expected 10"));
        std::fs::write(dir.join("b.bin"), [0; 1 + IMAGE]).unwrap();
        assert!(matches!(load(&dir, Split::Train, &TEN), Err(Error::File { .. })));
        // A test file alone is never taken for the training set.
        let dir = scratch("cifar-test-only");
        std::fs::write(dir.join("test_batch.bin"), [0; 1 + IMAGE]).unwrap();
        assert_eq!(load(&dir, Split::Test, &TEN).unwrap().len(), 1);
        assert!(matches!(load(&dir, Split::Train, &TEN), Err(Error::File { .. })));
    }

    #[test]
    fn cifar_10_has_its_known_class_counts_mean_and_deviation() {
        let Some(dir) = shared_data("cifar_10", "cifar-10-batches-bin") else { return };
        let spec = format!("cifar10:{}", dir.display());
        let train = Dataset::load(&spec, Split::Train).unwrap();
        assert_eq!((train.len(), &train.sample_shape[..]), (50_000, &[32, 32, 3][..]));
        let Values::U8(bytes) = &train.values else { panic!("CIFAR is stored as bytes") };
        // The mean of all pixels of a channel, and the deviation of all pixels of a channel.
        for (c, (mean, std)) in [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)].into_iter().enumerate() {
            let values = || bytes.iter().skip(c).step_by(3).map(|&b| f64::from(b) / 255.0);
            let n = (bytes.len() / 3) as f64;
            let m = values().sum::<f64>() / n;
            let s = (values().map(|v| (v - m).powi(2)).sum::<f64>() / n).sqrt();
            assert!((m - mean).abs() < 6e-5 && (s - std).abs() < 6e-5, "channel {c}: {m} {s}");
        }
        let count = |labels: &[u32]| -> Vec<usize> {
            (0..10).map(|class| labels.iter().filter(|&&l| l == class).count()).collect()
        };
        let labels = train.labels.unwrap();
        assert_eq!(count(&labels[..10_000]), [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]);
        assert_eq!(count(&labels), [5000; 10]);
        let test = Dataset::load(&spec, Split::Test).unwrap();
        assert_eq!(count(test.labels.as_ref().unwrap()), [1000; 10]);
        assert_eq!(test.classes[9], "truck");
    }

    #[test]
    fn the_png_samples_equal_their_binary_records() {
        let Some(dir) = shared_data("png_samples", "cifar-10-batches-bin") else { return };
        let Some(samples) = shared_data("png_samples", "cifar-10-png-sample") else { return };
        let test = Dataset::load(&format!("cifar10:{}", dir.display()), Split::Test).unwrap();
        let (Values::U8(bytes), Some(labels)) = (&test.values, &test.labels) else { panic!("bytes and labels") };
        let mut compared = 0;
        for (class, name) in test.classes.iter().enumerate() {
            for entry in std::fs::read_dir(samples.join(name)).unwrap() {
                let path = entry.unwrap().path();
                let record: usize = path.file_stem().unwrap().to_str().unwrap()[5..].parse().unwrap();
                let (pixels, shape) = png::read(&path).unwrap();
                assert_eq!((shape, labels[record] as usize), ([32, 32, 3], class));
                assert_eq!(pixels, bytes[record * IMAGE..(record + 1) * IMAGE], "{}", path.display());
                compared += 1;
            }
        }
        assert_eq!(compared, 100);
    }

    #[test]
    fn the_other_sets_of_this_layout_load() {
        let Some(dir) = shared_data("other_sets", "cifar-100-subset") else { return };
        let set = Dataset::load(&format!("cifar100:{}", dir.display()), Split::Test).unwrap();
        let labels = set.labels.as_ref().unwrap();
        assert_eq!((set.len(), labels.iter().filter(|&&l| l == 42).count()), (3000, 30));
        let Some(dir) = shared_data("other_sets", "dtd-32x32") else { return };
        let set = Dataset::load(&format!("dtd:{}", dir.join("dtd10_32x32.bin.gz").display()), Split::Test).unwrap();
        assert_eq!((set.len(), set.classes[5].as_str()), (1200, "chequered"));
    }
}
