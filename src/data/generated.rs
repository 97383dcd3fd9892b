//! Data sets that are computed: points of a 2-D density, noise, and images at half their size.

use super::{Dataset, MOST_BYTES, Split, Toy, Values};
use crate::check::MOST_COUNTED;
use crate::error::{Error, Result};
use crate::tensor::Key;

/// Items of a generated set when the spec does not say.
const DEFAULT_COUNT: usize = 10_000;

/// `NAME` or `NAME:COUNT`: points of a 2-D density; the two splits are independent draws, the same in every run.
pub fn toy(place: &str, split: Split) -> Result<Dataset> {
    let (name, count) = with_count(place, 8)?;
    let toy = Toy::by_name(name)?;
    Ok(Dataset::new(name, vec![2], Values::F32(toy.sample(count, &fixed_key(split)))))
}

/// `HxWxC` or `HxWxC:COUNT`: images of independent uniform bytes, the simplest out-of-distribution set.
pub fn uniform_noise(place: &str, split: Split) -> Result<Dataset> {
    let sizes = place.split(':').next().unwrap_or_default();
    let item: Option<Vec<usize>> = sizes.split('x').map(|d| d.parse().ok().filter(|&d: &usize| d > 0)).collect();
    let item = item.filter(|item| item.len() == 3 && [1, 3].contains(&item[2]));
    let item =
        item.ok_or_else(|| Error::setting(format!("uniform-noise:{place}: write HxWxC with C 1 or 3, as in 28x28x1")))?;
    let size = item.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    let (_, count) = with_count(place, size)?;
    let key = fixed_key(split);
    let bytes = (0..(count * size) as u64).map(|i| (key.bits(i / 4, 0) >> (8 * (i % 4))) as u8).collect();
    Ok(Dataset::new("uniform-noise", item, Values::U8(bytes)))
}

/// Images at half their height and width: means of 2 x 2 pixels.
pub fn halved(set: Dataset) -> Result<Dataset> {
    let ([h, w, c], Values::U8(bytes)) = (set.sample_shape.as_slice(), &set.values) else {
        return Err(Error::setting(format!("half: {} are not images of bytes", set.name)));
    };
    if h % 2 != 0 || w % 2 != 0 {
        return Err(Error::setting(format!("half: images of {h} x {w} cannot be halved")));
    }
    let (rows, columns) = (h / 2, w / 2);
    let pixel = |i: usize| {
        let (channel, x, y, n) = (i % c, i / c % columns, i / (c * columns) % rows, i / (c * columns * rows));
        let at = |dy: usize, dx: usize| u32::from(bytes[((n * h + 2 * y + dy) * w + 2 * x + dx) * c + channel]);
        ((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1) + 2) / 4) as u8
    };
    let values = Values::U8((0..bytes.len() / 4).map(pixel).collect());
    Ok(Dataset { sample_shape: vec![rows, columns, *c], values, ..set })
}

/// Splits `WHAT:COUNT`, with the default if there is no count; `bytes` per item bound the count.
fn with_count(place: &str, bytes: usize) -> Result<(&str, usize)> {
    let (what, count) = match place.split_once(':') {
        None => (place, Some(DEFAULT_COUNT)),
        Some((what, count)) => (what, count.parse().ok()),
    };
    let most = (MOST_BYTES / bytes.max(1)).min(MOST_COUNTED);
    match count {
        Some(n) if (1..=most).contains(&n) => Ok((what, n)),
        _ if most == 0 => Err(Error::setting(format!("'{place}': one item takes more than {MOST_BYTES} bytes"))),
        _ => Err(Error::setting(format!(
            "'{place}': the count (after the colon, {DEFAULT_COUNT} without) must be 1..{most}"
        ))),
    }
}

/// Generated data is as fixed as a file: one key for each split, whatever the seed of the run.
fn fixed_key(split: Split) -> Key {
    Key::new(0).named(split.choose("train data", "test data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_takes_means_of_four_pixels() {
        let set = Dataset::new("t", vec![2, 4, 1], Values::U8(vec![0, 4, 10, 10, 4, 8, 10, 13]));
        let half = halved(set).unwrap();
        assert_eq!((half.sample_shape, half.values), (vec![1, 2, 1], Values::U8(vec![4, 11])));
        assert!(halved(toy("two-moons", Split::Test).unwrap()).unwrap_err().to_string().contains("not images"));
    }

    #[test]
    fn generated_sets_are_fixed_and_their_splits_differ() {
        let moons = toy("two-moons:100", Split::Train).unwrap();
        assert_eq!((moons.len(), &moons.sample_shape[..]), (100, &[2][..]));
        assert_eq!(moons.values, toy("two-moons:100", Split::Train).unwrap().values);
        assert_ne!(moons.values, toy("two-moons:100", Split::Test).unwrap().values);
        let noise = uniform_noise("4x5x3:1000", Split::Train).unwrap();
        assert_eq!((noise.len(), &noise.sample_shape[..]), (1000, &[4, 5, 3][..]));
        let values = noise.rows(&(0..1000).collect::<Vec<_>>());
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / values.len() as f64).sqrt(), "{mean}");
    }

    #[test]
    fn counts_and_sizes_are_bounded() {
        let message = |place: &str| uniform_noise(place, Split::Train).unwrap_err().to_string();
        assert!(message("28x28").contains("28x28x1"));
        assert!(message("99999x99999x1").contains("one item takes more"));
        assert!(message("4294967296x4294967296x1").contains("one item takes more"));
        assert!(message("1024x1024x1:1025").contains("1..1024"));
        assert!(toy("two-moons:0", Split::Train).unwrap_err().to_string().contains("count"));
        assert!(toy("two-moons:999999999", Split::Train).unwrap_err().to_string().contains("1..16777216"));
    }
}
