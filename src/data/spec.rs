//! The data sets a command line can name: `KIND:WHERE`.

use std::path::Path;

use super::{Dataset, Split, Toy, Values, cifar, idx, npy, png};
use crate::error::{Error, Result, nearest};
use crate::tensor::Key;

/// Kinds and what follows the colon.
const KINDS: [(&str, &str); 11] = [
    ("toy", "NAME or NAME:COUNT"),
    ("mnist", "DIR"),
    ("fashion-mnist", "DIR"),
    ("emnist-letters", "DIR"),
    ("cifar10", "DIR or FILE"),
    ("cifar100", "DIR or FILE"),
    ("dtd", "DIR or FILE"),
    ("png", "DIR"),
    ("npy", "FILE"),
    ("uniform-noise", "HxWxC or HxWxC:COUNT"),
    ("half", "the data of images, for example half:mnist:DIR"),
];
/// Items of a generated set when the spec does not say.
const DEFAULT_COUNT: usize = 10_000;
/// Generated sets larger than this many numbers are refused.
const MOST_VALUES: usize = 1 << 31;

impl Dataset {
    /// Loads the data set that `spec` names, for example `mnist:../shared/data/mnist` or `toy:two-moons:50000`.
    ///
    /// Files may be gzipped. Errors: an unknown kind, a missing file, a file that is not what its name says.
    pub fn load(spec: &str, split: Split) -> Result<Dataset> {
        let (kind, place) = spec.split_once(':').unwrap_or((spec, ""));
        let Some((_, what)) = KINDS.iter().find(|(k, _)| *k == kind) else { return Err(unknown_kind(spec, kind)) };
        if place.is_empty() {
            return Err(Error::setting(format!("data '{spec}': write {kind}:{what}")));
        }
        let path = Path::new(place);
        let set = match kind {
            "toy" => toy(place, split),
            "mnist" => idx::load(path, split.choose("train", "t10k"), digits(), 0, false),
            "fashion-mnist" => idx::load(path, split.choose("train", "t10k"), fashion(), 0, false),
            "emnist-letters" => {
                idx::load(path, split.choose("emnist-letters-train", "emnist-letters-test"), letters(), 1, true)
            }
            "cifar10" | "dtd" => cifar::load(path, split, &cifar::TEN),
            "cifar100" => cifar::load(path, split, &cifar::HUNDRED),
            "png" => png::load(path),
            "npy" => npy::load(path),
            "half" => halved(Dataset::load(place, split)?),
            _ => uniform_noise(place, split),
        }?;
        Ok(Dataset { name: format!("{spec} ({})", split.choose("train", "test")), ..set })
    }
}

fn unknown_kind(spec: &str, kind: &str) -> Error {
    let list: Vec<String> = KINDS.iter().map(|(k, what)| format!("{k}:{what}")).collect();
    let near = nearest(kind, KINDS.map(|(k, _)| k)).unwrap_or_default();
    Error::setting(format!("unknown data '{spec}', did you mean '{near}:...'? Known: {}", list.join(", ")))
}

/// `COUNT` points of a 2-D density; the two splits are independent draws, the same in every run.
fn toy(place: &str, split: Split) -> Result<Dataset> {
    let (name, count) = with_count(place, 2)?;
    let toy = Toy::by_name(name)?;
    Ok(Dataset::new(name, vec![2], Values::F32(toy.sample(count, &fixed_key(split)))))
}

/// Images of independent uniform bytes, the simplest out-of-distribution set.
fn uniform_noise(place: &str, split: Split) -> Result<Dataset> {
    let sizes = place.split(':').next().unwrap_or_default();
    let item: Option<Vec<usize>> = sizes.split('x').map(|d| d.parse().ok().filter(|&d: &usize| d > 0)).collect();
    let item = item.filter(|item| item.len() == 3);
    let item =
        item.ok_or_else(|| Error::setting(format!("uniform-noise:{place}: write HxWxC, for example 28x28x1")))?;
    let size = item.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    let (_, count) = with_count(place, size)?;
    let key = fixed_key(split);
    let bytes = (0..(count * size) as u64).map(|i| (key.bits(i / 4, 0) >> (8 * (i % 4))) as u8).collect();
    Ok(Dataset::new("uniform-noise", item, Values::U8(bytes)))
}

/// Images at half their height and width: means of 2 x 2 pixels.
fn halved(set: Dataset) -> Result<Dataset> {
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

/// Splits `WHAT:COUNT`, with the default if there is no count; `size` numbers per item bound the count.
fn with_count(place: &str, size: usize) -> Result<(&str, usize)> {
    let (what, count) = match place.split_once(':') {
        None => (place, Some(DEFAULT_COUNT)),
        Some((what, count)) => (what, count.parse().ok()),
    };
    match count {
        Some(n) if n > 0 && size.checked_mul(n).is_some_and(|total| total <= MOST_VALUES) => Ok((what, n)),
        _ => Err(Error::setting(format!(
            "'{place}': the count after the colon must be 1..{}",
            MOST_VALUES / size.max(1)
        ))),
    }
}

/// Generated data is as fixed as a file: one key for each split, whatever the seed of the run.
fn fixed_key(split: Split) -> Key {
    Key::new(0).named(split.choose("train data", "test data"))
}

fn digits() -> Vec<String> {
    (0..10).map(|d| d.to_string()).collect()
}

fn letters() -> Vec<String> {
    ('A'..='Z').map(String::from).collect()
}

fn fashion() -> Vec<String> {
    let names =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
    names.map(String::from).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_takes_means_of_four_pixels() {
        let set = Dataset::new("t", vec![2, 4, 1], Values::U8(vec![0, 4, 10, 10, 4, 8, 10, 13]));
        let half = halved(set).unwrap();
        assert_eq!((half.sample_shape, half.values), (vec![1, 2, 1], Values::U8(vec![4, 11])));
        let e = Dataset::load("half:toy:two-moons", Split::Test).unwrap_err().to_string();
        assert!(e.contains("not images"), "{e}");
        let noise = Dataset::load("half:uniform-noise:4x6x3:5", Split::Test).unwrap();
        assert_eq!((noise.sample_shape.as_slice(), noise.len()), (&[2, 3, 3][..], 5));
    }

    fn message(spec: &str) -> String {
        let e = Dataset::load(spec, Split::Train).unwrap_err();
        assert!(matches!(e, Error::Setting(_)), "{e}");
        e.to_string()
    }

    #[test]
    fn wrong_specs_say_what_would_be_right() {
        assert!(message("mnits:x").contains("did you mean 'mnist:...'"));
        assert!(message("mnist").contains("mnist:DIR"));
        assert!(message("toy:two-moon").contains("two-moons"));
        assert!(message("toy:two-moons:0").contains("count"));
        assert!(message("uniform-noise:28x28").contains("28x28x1"));
        assert!(message("uniform-noise:99999x99999x99999").contains("count"));
        assert!(matches!(Dataset::load("mnist:/nowhere", Split::Test), Err(Error::File { .. })));
        assert!(matches!(Dataset::load("cifar10:/nowhere", Split::Test), Err(Error::File { .. })));
    }

    #[test]
    fn generated_sets_are_fixed_and_their_splits_differ() {
        let load = |spec: &str, split| Dataset::load(spec, split).unwrap();
        let moons = load("toy:two-moons:100", Split::Train);
        assert_eq!((moons.len(), &moons.sample_shape[..]), (100, &[2][..]));
        assert_eq!(moons.values, load("toy:two-moons:100", Split::Train).values);
        assert_ne!(moons.values, load("toy:two-moons:100", Split::Test).values);
        let noise = load("uniform-noise:4x5x3:1000", Split::Train);
        assert_eq!((noise.len(), &noise.sample_shape[..]), (1000, &[4, 5, 3][..]));
        let values = noise.rows(&(0..1000).collect::<Vec<_>>());
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / values.len() as f64).sqrt(), "{mean}");
    }
}
