//! IDX files (MNIST and its relatives): big-endian sizes, then bytes.

use super::{Dataset, Split, Values};

/// How one family names its files and classes.
pub struct Layout {
    /// What the file names of the two splits begin with.
    pub train: &'static str,
    pub test: &'static str,
    /// The class names; the class of a label is label - `first_label`.
    pub classes: &'static [&'static str],
    pub first_label: u8,
    /// EMNIST stores rows and columns exchanged.
    pub transposed: bool,
}

/// Handwritten digits.
pub const MNIST: Layout = Layout {
    train: "train",
    test: "t10k",
    classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    first_label: 0,
    transposed: false,
};
/// Clothes, in the files of MNIST.
pub const FASHION_MNIST: Layout = Layout {
    classes: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    ..MNIST
};
/// Handwritten letters.
pub const EMNIST_LETTERS: Layout = Layout {
    train: "emnist-letters-train",
    test: "emnist-letters-test",
    classes: &[
        "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V",
        "W", "X", "Y", "Z",
    ],
    first_label: 1,
    transposed: true,
};

impl Layout {
    /// The names of the image and the label file of a split.
    pub fn files(&self, split: Split) -> [String; 2] {
        let part = split.choose(self.train, self.test);
        [format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte")]
    }
}

/// The size of a whole file with `rank` dimensions (3 for images, 1 for labels), from its first bytes.
pub fn size(beginning: &[u8], rank: usize) -> Result<usize, String> {
    let shape = sizes(beginning, rank)?;
    let total = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n > 0);
    let end = total.and_then(|n| n.checked_add(4 + 4 * rank));
    end.ok_or_else(|| format!("impossible sizes {shape:?}"))
}

/// The images of a file, without labels.
pub fn images(bytes: &[u8], layout: &Layout) -> Result<Dataset, String> {
    let (shape, mut pixels) = content(bytes, 3)?;
    let (mut h, mut w) = (shape[1], shape[2]);
    if layout.transposed {
        pixels = pixels.chunks_exact(h * w).flat_map(|image| transpose(image, h, w)).collect();
        (h, w) = (w, h);
    }
    Ok(Dataset::new("idx", vec![h, w, 1], Values::U8(pixels)))
}

/// The class index of each item of a label file.
pub fn labels(bytes: &[u8], layout: &Layout) -> Result<Vec<u32>, String> {
    let (first, count) = (layout.first_label, layout.classes.len());
    let index = |(i, &label): (usize, &u8)| match label.checked_sub(first) {
        Some(class) if usize::from(class) < count => Ok(u32::from(class)),
        _ => Err(format!("label {i} is {label}, expected {first}..{}", usize::from(first) + count - 1)),
    };
    content(bytes, 1)?.1.iter().enumerate().map(index).collect()
}

/// The sizes in the header.
fn sizes(bytes: &[u8], rank: usize) -> Result<Vec<usize>, String> {
    let needed = 4 + 4 * rank;
    let header = bytes.get(..needed).ok_or(format!("the header needs {needed} bytes, found {}", bytes.len()))?;
    let mut words = header.as_chunks().0.iter().map(|&word| u32::from_be_bytes(word));
    let (magic, found) = (0x0800 + rank as u32, words.next().unwrap_or_default()); // unsigned bytes, dimensions
    if found != magic {
        return Err(format!("magic number {found}, expected {magic}"));
    }
    Ok(words.map(|word| word as usize).collect())
}

/// The sizes and the bytes after the header, which must be as many as the sizes say.
fn content(bytes: &[u8], rank: usize) -> Result<(Vec<usize>, Vec<u8>), String> {
    let (shape, start, end) = (sizes(bytes, rank)?, 4 + 4 * rank, size(bytes, rank)?);
    let (needed, found) = (end - start, bytes.len() - start);
    if found < needed {
        return Err(format!("content of size {shape:?} needs {needed} bytes, found {found}"));
    }
    if found > needed {
        return Err(format!("content of size {shape:?} needs {needed} bytes, but the file goes on after them"));
    }
    Ok((shape, bytes[start..].to_vec()))
}

/// Exchanges rows and columns of an h x w image.
fn transpose(image: &[u8], h: usize, w: usize) -> impl Iterator<Item = u8> {
    (0..w).flat_map(move |j| (0..h).map(move |i| image[i * w + j]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two 2x3 images, labels 1 and 0.
    const IMAGES: &[u8] = &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    const LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 1, 0];
    const TWO: Layout = Layout { classes: &["a", "b"], ..MNIST };

    #[test]
    fn a_small_file_reads_as_written_and_transposed() {
        let set = images(IMAGES, &TWO).unwrap();
        assert_eq!((set.sample_shape, set.values), (vec![2, 3, 1], Values::U8((0..12).collect())));
        assert_eq!(labels(LABELS, &TWO), Ok(vec![1, 0]));
        assert_eq!((size(IMAGES, 3), size(&LABELS[..8], 1)), (Ok(IMAGES.len()), Ok(LABELS.len())));
        let set = images(IMAGES, &Layout { transposed: true, ..TWO }).unwrap();
        assert_eq!(set.sample_shape, [3, 2, 1]);
        assert_eq!(set.values, Values::U8(vec![0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]));
    }

    #[test]
    fn damaged_files_are_refused_with_what_was_found() {
        let refuse = |bytes: &[u8], expect: &str| {
            let why = images(bytes, &TWO).unwrap_err();
            assert!(why.contains(expect), "{why}");
        };
        let changed = |at: usize, to: u8| {
            let mut bytes = IMAGES.to_vec();
            bytes[at] = to;
            bytes
        };
        refuse(&changed(3, 1), "magic number 2049, expected 2051");
        refuse(&IMAGES[..20], "found 4");
        refuse(&IMAGES[..9], "the header needs 16 bytes, found 9");
        refuse(&changed(4, 255), "found 12"); // claims 4 billion images
        refuse(&changed(7, 0), "impossible sizes [0, 2, 3]");
        refuse(&changed(7, 1), "goes on");
        refuse(&[&[0, 0, 8, 3], &[255; 12][..]].concat(), "impossible sizes");
        let why = labels(&[0, 0, 8, 1, 0, 0, 0, 2, 1, 2], &TWO).unwrap_err();
        assert!(why.contains("label 1 is 2, expected 0..1"), "{why}");
    }
}
