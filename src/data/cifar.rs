//! CIFAR binary files: records of label bytes and three colour planes of 32 x 32 bytes.

use super::{MOST_BYTES, Split};

const PLANE: usize = 32 * 32;
const IMAGE: usize = 3 * PLANE;

/// The binary layout of one family.
pub struct Layout {
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
pub const TEN: Layout = Layout {
    label_bytes: 1,
    class_count: 10,
    names_file: "batches.meta.txt",
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: &["test_batch.bin"],
};
/// CIFAR-100: coarse label, fine label; the fine one is the class.
pub const HUNDRED: Layout = Layout {
    label_bytes: 2,
    class_count: 100,
    names_file: "fine_label_names.txt",
    train: &["train.bin"],
    test: &["test.bin"],
};

/// Images `[32, 32, 3]` one after the other, and their classes.
#[derive(Debug, Default, PartialEq)]
pub struct Records {
    pub pixels: Vec<u8>,
    pub labels: Vec<u32>,
}

impl Layout {
    /// The files of a split.
    pub fn files(&self, split: Split) -> &'static [&'static str] {
        split.choose(self.train, self.test)
    }

    fn record(&self) -> usize {
        self.label_bytes + IMAGE
    }
}

impl Records {
    /// Appends the records of one file, colour planes changed to `[H, W, C]`.
    pub fn append(&mut self, bytes: &[u8], layout: &Layout) -> Result<(), String> {
        let record = layout.record();
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            return Err(format!("{} bytes are not a number of {record}-byte records", bytes.len()));
        }
        if self.pixels.len() + bytes.len() > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes of records"));
        }
        self.pixels.reserve_exact(bytes.len() / record * IMAGE);
        for (i, entry) in bytes.chunks_exact(record).enumerate() {
            let label = entry[layout.label_bytes - 1];
            if usize::from(label) >= layout.class_count {
                return Err(format!("record {i} has label {label}, expected 0..{}", layout.class_count - 1));
            }
            self.labels.push(u32::from(label));
            let planes = &entry[layout.label_bytes..];
            self.pixels.extend((0..PLANE).flat_map(|p| [planes[p], planes[PLANE + p], planes[2 * PLANE + p]]));
        }
        Ok(())
    }
}

/// The class names in label order, from the text of the names file.
pub fn class_names(text: &str, layout: &Layout) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    match names.len() == layout.class_count {
        true => Ok(names),
        false => Err(format!("{} names, expected {}", names.len(), layout.class_count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_interleaved_pixels_and_the_last_label_byte_counts() {
        let planes: Vec<u8> = [[10u8; PLANE], [20; PLANE], [30; PLANE]].concat();
        let mut records = Records::default();
        records.append(&[&[3, 77], &planes[..]].concat(), &HUNDRED).unwrap();
        assert_eq!(records, Records { pixels: [10, 20, 30].repeat(PLANE), labels: vec![77] });
    }

    #[test]
    fn damaged_files_are_refused_with_what_was_found() {
        let refuse = |bytes: &[u8], expect: &str| {
            let why = Records::default().append(bytes, &TEN).unwrap_err();
            assert!(why.contains(expect), "{why}");
        };
        refuse(&[0; 1 + IMAGE - 1], "3072 bytes are not a number of 3073-byte records");
        refuse(&[], "0 bytes");
        refuse(&[200; 1 + IMAGE], "record 0 has label 200, expected 0..9");
        assert_eq!(class_names("cat\ndog\n", &TEN), Err("2 names, expected 10".into()));
    }
}
