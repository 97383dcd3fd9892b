//! IDX files (MNIST and its relatives): big-endian sizes, then bytes.

use std::path::Path;

use super::source::Source;
use super::{Dataset, Values};
use crate::error::Result;

/// Loads `DIR/<part>-images-idx3-ubyte[.gz]` and its labels; class indices are label - `first_label`.
///
/// `transposed`: EMNIST stores rows and columns exchanged.
pub(super) fn load(dir: &Path, part: &str, classes: Vec<String>, first_label: u8, transposed: bool) -> Result<Dataset> {
    let (shape, mut bytes, _) = read(&dir.join(format!("{part}-images-idx3-ubyte")), 3)?;
    let (count, labels, source) = read(&dir.join(format!("{part}-labels-idx1-ubyte")), 1)?;
    if count[0] != shape[0] {
        return Err(
            source.wrong(format!("{} labels for {} images; the pair does not belong together", count[0], shape[0]))
        );
    }
    let index = |(i, &label): (usize, &u8)| match label.checked_sub(first_label) {
        Some(class) if usize::from(class) < classes.len() => Ok(u32::from(class)),
        _ => {
            let last = usize::from(first_label) + classes.len() - 1;
            Err(source.wrong(format!("label {i} is {label}, expected {first_label}..{last}")))
        }
    };
    let labels = labels.iter().enumerate().map(index).collect::<Result<Vec<u32>>>()?;
    let (mut h, mut w) = (shape[1], shape[2]);
    if transposed {
        bytes = bytes.chunks_exact(h * w).flat_map(|image| transpose(image, h, w)).collect();
        (h, w) = (w, h);
    }
    Ok(Dataset::new(part, vec![h, w, 1], Values::U8(bytes)).with_labels(labels, classes))
}

/// Reads an IDX file of bytes with `rank` dimensions: its sizes, its content, and the file for further complaints.
fn read(path: &Path, rank: usize) -> Result<(Vec<usize>, Vec<u8>, Source)> {
    let mut source = Source::open(path, "IDX")?;
    let header = source.exactly(4 + 4 * rank, "the header")?;
    let word = |i: usize| u32::from_be_bytes([header[4 * i], header[4 * i + 1], header[4 * i + 2], header[4 * i + 3]]);
    let magic = 0x0800 + rank as u32; // type 8 (unsigned bytes), number of dimensions
    if word(0) != magic {
        return Err(source.wrong(format!("magic number {}, expected {magic}", word(0))));
    }
    let shape: Vec<usize> = (1..=rank).map(|i| word(i) as usize).collect();
    let total = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n > 0);
    let total = total.ok_or_else(|| source.wrong(format!("impossible sizes {shape:?}")))?;
    let bytes = source.last(total, &format!("content of size {shape:?}"))?;
    Ok((shape, bytes, source))
}

/// Exchanges rows and columns of an h x w image.
fn transpose(image: &[u8], h: usize, w: usize) -> impl Iterator<Item = u8> {
    (0..w).flat_map(move |j| (0..h).map(move |i| image[i * w + j]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Split, scratch, shared_data};
    use crate::error::Error;
    use std::fs;

    /// Two 2x3 images, labels 1 and 0.
    fn write_pair(dir: &Path, images: &[u8], labels: &[u8]) {
        fs::write(dir.join("t-images-idx3-ubyte"), images).unwrap();
        fs::write(dir.join("t-labels-idx1-ubyte"), labels).unwrap();
    }

    const IMAGES: &[u8] = &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    const LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 1, 0];

    fn two() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn a_small_file_reads_as_written_and_transposed() {
        let dir = scratch("idx");
        write_pair(&dir, IMAGES, LABELS);
        let set = load(&dir, "t", two(), 0, false).unwrap();
        assert_eq!((set.sample_shape.clone(), set.labels.clone()), (vec![2, 3, 1], Some(vec![1, 0])));
        assert_eq!(set.values, Values::U8((0..12).collect()));
        let set = load(&dir, "t", two(), 0, true).unwrap();
        assert_eq!(set.sample_shape, [3, 2, 1]);
        assert_eq!(set.values, Values::U8(vec![0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]));
    }

    #[test]
    fn damaged_files_are_refused_with_what_was_found() {
        let dir = scratch("idx-bad");
        let refuse = |images: &[u8], labels: &[u8], expect: &str| {
            write_pair(&dir, images, labels);
            let e = load(&dir, "t", two(), 0, false).unwrap_err();
            assert!(matches!(e, Error::Format { .. }) && e.to_string().contains(expect), "{e}");
        };
        let changed = |at: usize, to: u8| {
            let mut bytes = IMAGES.to_vec();
            bytes[at] = to;
            bytes
        };
        refuse(&changed(3, 1), LABELS, "magic number 2049, expected 2051");
        refuse(&IMAGES[..20], LABELS, "found 4");
        refuse(&IMAGES[..9], LABELS, "header");
        refuse(&changed(4, 255), LABELS, "found 12"); // claims 4 billion images: nothing of that size is allocated
        refuse(&changed(7, 0), LABELS, "impossible sizes [0, 2, 3]");
        refuse(&changed(7, 1), LABELS, "goes on");
        refuse(IMAGES, &[0, 0, 8, 1, 0, 0, 0, 1, 1], "1 labels for 2 images");
        refuse(IMAGES, &[0, 0, 8, 1, 0, 0, 0, 2, 1, 2], "label 1 is 2, expected 0..1");
        let huge: Vec<u8> = [&[0, 0, 8, 3], &[255; 12][..]].concat();
        refuse(&huge, LABELS, "impossible sizes");
    }

    #[test]
    fn the_real_sets_have_their_known_counts_and_first_labels() {
        let sets = [
            ("mnist", Split::Train, 60_000, vec![5, 0, 4, 1, 9]),
            ("mnist", Split::Test, 10_000, vec![7, 2, 1, 0, 4]),
            ("fashion-mnist", Split::Train, 60_000, vec![9, 0, 0, 3, 0]),
            ("emnist-letters", Split::Test, 20_800, vec![0; 5]), // 800 of each letter, in order: A first
        ];
        for (name, split, count, first) in sets {
            let Some(dir) = shared_data("idx", name) else { return };
            let set = Dataset::load(&format!("{name}:{}", dir.display()), split).unwrap();
            assert_eq!((set.len(), &set.sample_shape[..]), (count, &[28, 28, 1][..]), "{name}");
            assert_eq!(set.labels.as_ref().unwrap()[..5], first, "{name}");
        }
        let Some(dir) = shared_data("idx", "mnist") else { return };
        let set = Dataset::load(&format!("mnist:{}", dir.display()), Split::Train).unwrap();
        let Values::U8(bytes) = &set.values else { panic!("MNIST is stored as bytes") };
        let mean = bytes.iter().map(|&b| f64::from(b)).sum::<f64>() / bytes.len() as f64 / 255.0;
        assert!((mean - 0.1307).abs() < 5e-5, "the known mean of MNIST, found {mean}");
    }

    #[test]
    fn damaged_copies_of_a_real_file_are_refused() {
        let Some(real) = shared_data("damaged_copies", "mnist") else { return };
        let dir = scratch("idx-real");
        let (images, labels) = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz");
        let (image_bytes, label_bytes) = (fs::read(real.join(images)).unwrap(), fs::read(real.join(labels)).unwrap());
        let refuse = |image_bytes: &[u8], label_bytes: &[u8]| {
            fs::write(dir.join(images), image_bytes).unwrap();
            fs::write(dir.join(labels), label_bytes).unwrap();
            let result = Dataset::load(&format!("mnist:{}", dir.display()), Split::Test);
            assert!(matches!(result, Err(Error::Format { .. })), "{result:?}");
        };
        refuse(&image_bytes[..image_bytes.len() / 2], &label_bytes);
        refuse(&image_bytes[..image_bytes.len() - 1], &label_bytes);
        refuse(&label_bytes, &image_bytes);
        let mut flipped = image_bytes.clone();
        flipped[image_bytes.len() / 2] ^= 0x10;
        refuse(&flipped, &label_bytes);
        let train = fs::read(real.join("train-labels-idx1-ubyte.gz")).unwrap();
        refuse(&image_bytes, &train); // 60 000 labels for 10 000 images
    }

    /// The letter T upright has more ink in its top rows than at its bottom; left and right are balanced.
    #[test]
    fn emnist_letters_stand_upright() {
        let Some(dir) = shared_data("emnist_letters_stand_upright", "emnist-letters") else { return };
        let set = Dataset::load(&format!("emnist-letters:{}", dir.display()), Split::Test).unwrap();
        let labels = set.labels.as_ref().unwrap();
        let tees: Vec<usize> = (0..set.len()).filter(|&i| set.classes[labels[i] as usize] == "T").collect();
        assert_eq!(tees.len(), 800);
        let pixels = set.rows(&tees);
        let ink = |part: &dyn Fn(usize, usize) -> bool| {
            let inside = |p: &(usize, &f32)| part(p.0 / 28 % 28, p.0 % 28);
            pixels.iter().enumerate().filter(inside).map(|(_, v)| f64::from(*v)).sum::<f64>()
        };
        let (top, bottom) = (ink(&|i, _| i < 12), ink(&|i, _| i >= 16));
        let (left, right) = (ink(&|_, j| j < 12), ink(&|_, j| j >= 16));
        assert!(top / bottom > 1.2 * (left / right).max(right / left), "{top} {bottom} {left} {right}");
    }
}
