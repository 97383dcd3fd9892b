//! Checkpoints: named f32 tensors and a map of strings in one safetensors file.
//!
//! The file is a little-endian u64 header length, a JSON header (names, shapes, byte ranges, metadata) and the raw
//! values. The header is written here, sorted by name, because the crate's writer puts the metadata in the random
//! order of a `HashMap`: the same state must give the same bytes. Reading and its validation are the crate's.

use super::{atomic, source};
use crate::error::nearest;
use crate::{Error, Result};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const _: () = assert!(cfg!(target_endian = "little"), "safetensors holds little-endian values");

/// Two entries of the metadata, added when saving, checked and removed when loading: the CRC-32 of the whole file with
/// eight zeros in the place of the sum, and the mark of a file that must have one.
const CHECKSUM: &str = "crc32";
const FORMAT: (&str, &str) = ("format", "ebm");
const NO_SUM: &str = "00000000";

/// A longer header is refused; one of 100 000 tensors has about 10 MB.
const MOST_HEADER: u64 = 1 << 24;

/// A host array: `data` in row-major order, `data.len() == shape.iter().product()`.
#[derive(Clone, Debug, PartialEq)]
pub struct Array32 {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// The state of a run: tensors by name, and text (step, seed, settings ...) by key.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    pub tensors: BTreeMap<String, Array32>,
    pub meta: BTreeMap<String, String>,
    /// Where it was loaded from, for error messages.
    path: PathBuf,
}

impl Checkpoint {
    /// An empty checkpoint.
    pub fn new() -> Checkpoint {
        Checkpoint::default()
    }

    /// Adds the tensor `name`.
    ///
    /// # Panics
    /// If `data` does not fill `shape`, or if there is such a tensor already.
    #[track_caller]
    pub fn insert(&mut self, name: &str, shape: &[usize], data: Vec<f32>) {
        let count: usize = shape.iter().product();
        assert!(data.len() == count, "checkpoint: {name} of shape {shape:?} needs {count} values, got {}", data.len());
        let old = self.tensors.insert(name.to_string(), Array32 { shape: shape.to_vec(), data });
        assert!(old.is_none(), "checkpoint: two tensors are named {name}");
    }

    /// Takes the tensor `name` out.
    ///
    /// # Errors
    /// [`Error::Setting`] that names the tensor if it is missing or has another shape.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(array) = self.tensors.get(name) else {
            let near = nearest(name, self.tensors.keys().map(String::as_str));
            let near = near.map(|n| format!("; the nearest name in it is {n}")).unwrap_or_default();
            return Err(self.other_model(format!("{name} is missing{near}")));
        };
        if array.shape != shape {
            return Err(self.other_model(format!("{name} is {:?}, this model needs {shape:?}", array.shape)));
        }
        Ok(self.tensors.remove(name).map(|array| array.data).unwrap_or_default())
    }

    /// The text stored under `key`.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is none.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.meta.get(key).map(String::as_str).ok_or_else(|| self.other_model(format!("it has no entry `{key}`")))
    }

    /// The whole number stored under `key` (step, seed).
    ///
    /// # Errors
    /// [`Error::Setting`] if there is none or it is no number.
    pub fn number(&self, key: &str) -> Result<u64> {
        let text = self.text(key)?;
        text.parse().map_err(|_| self.other_model(format!("`{key}` is `{text}`, not a whole number")))
    }

    /// Notes which run this is a state of: its seed, and its settings as they stand in `config.toml`.
    pub fn set_origin(&mut self, seed: u64, config: &str) {
        self.meta.insert("seed".into(), seed.to_string());
        self.meta.insert("config_crc32".into(), crc32(&[config.as_bytes()]));
    }

    /// Compares what [`Checkpoint::set_origin`] noted: whether the settings differ, as they may where somebody has followed the
    /// advice after a divergence.
    ///
    /// # Errors
    /// [`Error::Setting`] when the seed differs, or nothing was noted.
    pub fn check_origin(&self, seed: u64, config: &str) -> Result<bool> {
        let stored = self.number("seed")?;
        if stored != seed {
            let path = self.path.display();
            return Err(Error::setting(format!("{path}: it was saved with seed {stored}, this run has seed {seed}")));
        }
        Ok(self.text("config_crc32")? != crc32(&[config.as_bytes()]))
    }

    fn other_model(&self, what: String) -> Error {
        Error::setting(format!("{}: checkpoint of another model: {what}", self.path.display()))
    }

    /// Writes the file atomically; see [`atomic::write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let header = self.header();
        atomic::write(path, |w| self.write(&header, w))
    }

    /// Writes the file atomically and keeps the one that was there as `previous`; see [`atomic::write_keeping`].
    pub fn save_keeping(&self, path: impl AsRef<Path>, previous: impl AsRef<Path>) -> Result<()> {
        let header = self.header();
        atomic::write_keeping(path, previous, |w| self.write(&header, w))
    }

    /// The content of the file that [`Checkpoint::save`] writes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&self.header(), &mut bytes).expect("memory takes what is written to it");
        bytes
    }

    fn write(&self, header: &str, w: &mut dyn Write) -> io::Result<()> {
        w.write_all(&(header.len() as u64).to_le_bytes())?;
        w.write_all(header.as_bytes())?;
        self.tensors.values().try_for_each(|array| w.write_all(bytemuck::cast_slice(&array.data)))
    }

    /// The JSON header, padded with spaces so that the values start at a multiple of eight bytes.
    fn header(&self) -> String {
        let mut meta = self.meta.clone();
        meta.insert(CHECKSUM.into(), NO_SUM.into());
        meta.insert(FORMAT.0.into(), FORMAT.1.into());
        let mut header = Map::from_iter([("__metadata__".to_string(), json!(meta))]);
        let mut start = 0;
        for (name, array) in &self.tensors {
            assert!(
                array.data.len() == array.shape.iter().product::<usize>(),
                "checkpoint: {name} does not fill its shape"
            );
            let end = start + 4 * array.data.len();
            header.insert(name.clone(), json!({ "dtype": "F32", "shape": array.shape, "data_offsets": [start, end] }));
            start = end;
        }
        let mut text = Value::Object(header).to_string();
        text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));

        let length = (text.len() as u64).to_le_bytes();
        let values = self.tensors.values().map(|array| bytemuck::cast_slice(&array.data));
        let sum = crc32(&[&length[..], text.as_bytes()].into_iter().chain(values).collect::<Vec<_>>());
        text.replacen(&entry(CHECKSUM, NO_SUM), &entry(CHECKSUM, &sum), 1)
    }

    /// Reads a safetensors file: F32 bit for bit; F64, F16 and BF16 converted to f32.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read; [`Error::Format`] if it is cut short, damaged or holds another type.
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint> {
        let path = path.as_ref();
        let failed = |why: io::Error| Error::file(path, format!("cannot read: {why}"));
        let wrong = |why| Error::format(path, "safetensors", why);
        let file = source::open(path)?;
        let whole = file.metadata().map_err(failed)?.len();

        // Nothing is read before it is known to be there and to be wanted.
        let mut bytes = Vec::new();
        (&file).take(8).read_to_end(&mut bytes).map_err(failed)?;
        let header = header_length(&bytes).map_err(wrong)?;
        (&file).take(header as u64).read_to_end(&mut bytes).map_err(failed)?;
        let parsed: Metadata = serde_json::from_slice(&bytes[8..]).map_err(|why| wrong(damaged(why)))?;
        let expected = (8 + header as u64).checked_add(parsed.data_len() as u64);
        if expected != Some(whole) {
            return Err(wrong(damaged(format!("{whole} bytes, its header tells of {}", expected.unwrap_or(u64::MAX)))));
        }
        (&file).read_to_end(&mut bytes).map_err(failed)?;
        let checkpoint = Checkpoint::parse(&bytes).map_err(wrong)?;
        Ok(Checkpoint { path: path.to_path_buf(), ..checkpoint })
    }

    /// [`Checkpoint::load`] for the content of a file.
    pub fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
        header_length(bytes)?;
        let (length, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let (start, values) = bytes.split_at(8 + length);

        let mut meta: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let ours = meta.get(FORMAT.0).is_some_and(|format| format == FORMAT.1);
        match meta.remove(CHECKSUM) {
            None if ours => return Err(damaged("its checksum is missing")),
            None => (),
            Some(expected) => {
                let text = String::from_utf8_lossy(&start[8..]);
                let without = text.replacen(&entry(CHECKSUM, &expected), &entry(CHECKSUM, NO_SUM), 1);
                let found = crc32(&[&start[..8], without.as_bytes(), values]);
                if found != expected {
                    return Err(damaged(format!("checksum {found}, expected {expected}")));
                }
                meta.remove(FORMAT.0);
            }
        }
        let mut tensors = BTreeMap::new();
        for (name, info) in header.tensors() {
            let data = to_f32(info.dtype, &values[info.data_offsets.0..info.data_offsets.1])
                .ok_or_else(|| format!("{name} holds {:?} values; only F32, F64, F16 and BF16 are read", info.dtype))?;
            tensors.insert(name, Array32 { shape: info.shape.clone(), data });
        }
        Ok(Checkpoint { tensors, meta, path: PathBuf::new() })
    }
}

/// The length of the JSON header, from the first eight bytes.
fn header_length(bytes: &[u8]) -> Result<usize, String> {
    let length = bytes.first_chunk().map(|&length| u64::from_le_bytes(length));
    match length {
        None => Err(damaged(format!("{} bytes", bytes.len()))),
        Some(length) if length > MOST_HEADER => Err(damaged(format!("a header of {length} bytes"))),
        Some(length) => Ok(length as usize),
    }
}

fn damaged(why: impl std::fmt::Display) -> String {
    format!("cut short or damaged ({why})")
}

/// `"key":"value"` as it stands in the header; nothing else can look like it, because quotes in texts are escaped.
fn entry(key: &str, value: &str) -> String {
    format!("\"{key}\":\"{value}\"")
}

/// The checksum of parts that lie one after the other, as eight hexadecimal digits.
fn crc32(parts: &[&[u8]]) -> String {
    let mut crc = flate2::Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    format!("{:08x}", crc.sum())
}

/// The values of a stored tensor, or `None` for a type that is not a float of 16 to 64 bits.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&b| convert(b)).collect()
    }
    match dtype {
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes)),
        Dtype::F64 => Some(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F16 => Some(each(bytes, |b| half::f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Some(each(bytes, |b| half::bf16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::test_folder;
    use safetensors::tensor::TensorView;

    fn example() -> Checkpoint {
        let mut c = Checkpoint::new();
        c.insert("energy.l1.weight", &[2, 3], vec![1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY, 0.1, 3e38]);
        c.insert("nan", &[3], vec![f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffc1_2345)]);
        c.insert("scalar", &[], vec![0.5]);
        c.insert("empty", &[0, 4], vec![]);
        c.meta.insert("step".into(), u64::MAX.to_string());
        c.meta.insert("config".into(), "name = \"a\"\n# é\n".into());
        c
    }

    fn bits(c: &Checkpoint) -> Vec<(&String, &[usize], Vec<u32>)> {
        c.tensors.iter().map(|(n, a)| (n, &a.shape[..], a.data.iter().map(|v| v.to_bits()).collect())).collect()
    }

    #[test]
    fn every_bit_survives_nan_payloads_included() {
        let folder = test_folder("checkpoint");
        let path = folder.join("a.safetensors");
        let saved = example();
        saved.save(&path).unwrap();
        let loaded = Checkpoint::load(&path).unwrap();
        assert_eq!(bits(&loaded), bits(&saved));
        assert_eq!(loaded.meta, saved.meta);
        assert_eq!(loaded.number("step").unwrap(), u64::MAX);
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let folder = test_folder("checkpoint-bytes");
        let path = folder.join("a.safetensors");
        let mut c = Checkpoint::new();
        c.insert("w", &[1, 2], vec![1.0, -2.0]);
        c.meta.insert("step".into(), "7".into());
        c.save(&path).unwrap();
        let values = [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0u8];
        let header = |sum: &str| {
            let meta = format!(r#"{{"crc32":"{sum}","format":"ebm","step":"7"}}"#);
            let text = format!(r#"{{"__metadata__":{meta},"w":{{"data_offsets":[0,8],"dtype":"F32","shape":[1,2]}}}}"#);
            let padded = text.len().next_multiple_of(8);
            [&(padded as u64).to_le_bytes()[..], format!("{text:padded$}").as_bytes(), &values].concat()
        };
        let mut crc = flate2::Crc::new();
        crc.update(&header("00000000"));
        assert_eq!(std::fs::read(&path).unwrap(), header(&format!("{:08x}", crc.sum())));
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_noticed() {
        let folder = test_folder("checkpoint-damage");
        let path = folder.join("a.safetensors");
        example().save(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        let rejects = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            matches!(Checkpoint::load(&path), Err(Error::Format { .. }))
        };
        assert!(!rejects(&good));
        assert!((0..good.len()).all(|n| rejects(&good[..n])));
        assert!(rejects(&[&good[..], &[0]].concat()));
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(rejects(&bad), "bit {bit}");
        }
    }

    /// Sizes that nothing backs up: refused before memory is asked for.
    #[test]
    fn absurd_sizes_are_refused() {
        let folder = test_folder("checkpoint-sizes");
        let path = folder.join("a.safetensors");
        let refused = |length: u64, header: &str| {
            std::fs::write(&path, [&length.to_le_bytes(), header.as_bytes()].concat()).unwrap();
            assert!(matches!(Checkpoint::load(&path), Err(Error::Format { .. })), "{length} {header}");
        };
        refused(u64::MAX, "{}");
        refused(MOST_HEADER + 1, "{}");
        refused(99_999, "{}");
        let tensor = |shape: &str, end: u64| {
            let header = format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
            refused(header.len() as u64, &header);
        };
        tensor("[25000000000]", 100_000_000_000);
        tensor("[4294967296,4294967296]", 0); // the product is 2^64, 0 when it wraps
        tensor("[18446744073709551615]", u64::MAX);
    }

    #[test]
    fn a_checkpoint_knows_the_run_it_belongs_to() {
        let mut c = example();
        assert!(c.check_origin(7, "a = 1").unwrap_err().to_string().contains("no entry `seed`"));
        c.set_origin(7, "a = 1");
        let c = {
            let folder = test_folder("checkpoint-origin");
            c.save(folder.join("a")).unwrap();
            Checkpoint::load(folder.join("a")).unwrap()
        };
        assert!(!c.check_origin(7, "a = 1").unwrap());
        let text = c.check_origin(8, "a = 1").unwrap_err().to_string();
        assert!(text.ends_with("it was saved with seed 7, this run has seed 8"), "{text}");
        assert!(c.check_origin(7, "a = 2").unwrap());
    }

    #[test]
    fn a_wrong_model_is_told_by_name_and_shape() {
        let mut c = example();
        let text = c.take("energy.l1.weight", &[3, 3]).unwrap_err().to_string();
        assert!(text.ends_with("checkpoint of another model: energy.l1.weight is [2, 3], this model needs [3, 3]"));
        let text = c.take("energy.l1.weigth", &[2, 3]).unwrap_err().to_string();
        assert!(text.ends_with("energy.l1.weigth is missing; the nearest name in it is energy.l1.weight"), "{text}");
        assert_eq!(c.take("scalar", &[]).unwrap(), [0.5]);
        assert!(c.take("scalar", &[]).is_err());
        assert!(c.number("seed").unwrap_err().to_string().contains("no entry `seed`"));
    }

    /// A file of another program: half floats, f64, an integer.
    #[test]
    fn other_floats_are_converted_and_integers_refused() {
        let folder = test_folder("checkpoint-types");
        let path = folder.join("a.safetensors");
        let write = |dtype, data: &[u8], shape: Vec<usize>| {
            let view = TensorView::new(dtype, shape, data).unwrap();
            std::fs::write(&path, safetensors::serialize([("x", view)], None).unwrap()).unwrap();
            Checkpoint::load(&path).map(|mut c| c.tensors.remove("x").unwrap().data)
        };
        let halves: Vec<u8> = [0x3c00u16, 0xc100].iter().flat_map(|h| h.to_le_bytes()).collect();
        assert_eq!(write(Dtype::F16, &halves, vec![2]).unwrap(), [1.0, -2.5]);
        let brains: Vec<u8> = [0x3f80u16, 0xc020].iter().flat_map(|h| h.to_le_bytes()).collect();
        assert_eq!(write(Dtype::BF16, &brains, vec![2]).unwrap(), [1.0, -2.5]);
        assert_eq!(write(Dtype::F64, &(-2.5f64).to_le_bytes(), vec![]).unwrap(), [-2.5]);
        let text = write(Dtype::I64, &[0; 8], vec![1]).unwrap_err().to_string();
        assert!(text.contains("x holds I64 values"), "{text}");
    }
}
