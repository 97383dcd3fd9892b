//! "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak; UCI): a line a digit, 8 x 8 numbers 0..16 and the class.

use super::{Dataset, MOST_BYTES, Split, Values};

/// The pixels of a digit.
const PIXELS: usize = 64;

/// The file of a split.
pub fn file(split: Split) -> &'static str {
    split.choose("optdigits.tra", "optdigits.tes")
}

/// Images `[8, 8, 1]` in [0, 1] with labels 0..=9, from the text of a file.
pub fn dataset(text: &str) -> Result<Dataset, String> {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| format!("line {}: {why}", i + 1);
        let row: Result<Vec<u8>, _> = line.split(',').map(|v| v.trim().parse::<u8>()).collect();
        let row = row.map_err(|e| wrong(e.to_string()))?;
        if row.len() != PIXELS + 1 {
            return Err(wrong(format!("{} numbers, expected {}", row.len(), PIXELS + 1)));
        }
        if let Some(v) = row[..PIXELS].iter().find(|&&v| v > 16) {
            return Err(wrong(format!("pixel {v}, expected 0 to 16")));
        }
        if row[PIXELS] > 9 {
            return Err(wrong(format!("class {}, expected 0 to 9", row[PIXELS])));
        }
        values.extend(row[..PIXELS].iter().map(|&v| f32::from(v) / 16.0));
        labels.push(u32::from(row[PIXELS]));
        if values.len() * 4 > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes of digits"));
        }
    }
    if labels.is_empty() {
        return Err("no digits".into());
    }
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    Ok(Dataset::new("optdigits", vec![8, 8, 1], Values::F32(values)).with_labels(labels, classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_images_with_labels_and_what_is_wrong_is_told_with_its_line() {
        let line = |v: &str, class: &str| format!("{}{class}\n", format!("{v},").repeat(PIXELS));
        let set = dataset(&(line("8", "3") + "\n" + &line("16", "0"))).unwrap();
        assert_eq!((set.len(), set.sample_shape.as_slice()), (2, &[8, 8, 1][..]));
        assert_eq!((set.rows(&[0, 1])[..].first(), set.rows(&[1])[63]), (Some(&0.5), 1.0));
        assert_eq!(set.labels, Some(vec![3, 0]));
        for (text, why) in [
            (line("17", "0"), "line 1: pixel 17"),
            (line("1", "10"), "line 1: class 10"),
            (line("1", "0") + "1,2,3", "line 2: 3 numbers, expected 65"),
            (line("-1", "0"), "line 1: invalid digit"),
            (String::new(), "no digits"),
        ] {
            let told = dataset(&text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
