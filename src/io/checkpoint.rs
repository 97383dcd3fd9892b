//! Checkpoints: named f32 tensors and a map of strings in one safetensors file.
//!
//! The file is a little-endian u64 header length, a JSON header (names, shapes, byte ranges, metadata) and the raw
//! values. The header is written here, sorted by name, because the crate's writer puts the metadata in the random
//! order of a `HashMap`: the same state must give the same bytes. Reading and its validation are the crate's.

use super::atomic;
use crate::error::nearest;
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const _: () = assert!(cfg!(target_endian = "little"), "safetensors holds little-endian values");

/// The metadata entry that holds the checksum of the values; added when saving, checked and removed when loading.
const CHECKSUM: &str = "crc32";

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

    fn write(&self, header: &str, w: &mut dyn Write) -> io::Result<()> {
        w.write_all(&(header.len() as u64).to_le_bytes())?;
        w.write_all(header.as_bytes())?;
        self.tensors.values().try_for_each(|array| w.write_all(bytemuck::cast_slice(&array.data)))
    }

    /// The JSON header, padded with spaces so that the values start at a multiple of eight bytes.
    fn header(&self) -> String {
        let mut meta = self.meta.clone();
        meta.insert(CHECKSUM.into(), self.checksum());
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
        text
    }

    fn checksum(&self) -> String {
        let mut crc = flate2::Crc::new();
        self.tensors.values().for_each(|array| crc.update(bytemuck::cast_slice(&array.data)));
        format!("{:08x}", crc.sum())
    }

    /// Reads a safetensors file: F32 bit for bit; F64, F16 and BF16 converted to f32.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read; [`Error::Format`] if it is cut short, damaged or holds another type.
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint> {
        let path = path.as_ref();
        let wrong = |why: String| Error::format(path, "safetensors", why);
        let bytes = std::fs::read(path).map_err(|why| Error::file(path, format!("cannot read: {why}")))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|why| wrong(format!("cut short or damaged ({why})")))?;
        let (header_len, header) =
            SafeTensors::read_metadata(&bytes).map_err(|why| wrong(format!("cut short or damaged ({why})")))?;

        let mut meta: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
        if let Some(expected) = meta.remove(CHECKSUM) {
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[8 + header_len..]);
            let found = format!("{:08x}", crc.sum());
            if found != expected {
                return Err(wrong(format!("damaged: checksum {found}, expected {expected}")));
            }
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = to_f32(&view).ok_or_else(|| {
                wrong(format!("{name} holds {:?} values; only F32, F64, F16 and BF16 are read", view.dtype()))
            })?;
            tensors.insert(name, Array32 { shape: view.shape().to_vec(), data });
        }
        Ok(Checkpoint { tensors, meta, path: path.to_path_buf() })
    }
}

/// The values of a stored tensor, or `None` for a type that is not a float of 16 to 64 bits.
fn to_f32(view: &TensorView) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&b| convert(b)).collect()
    }
    let bytes = view.data();
    match view.dtype() {
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
        let mut crc = flate2::Crc::new();
        crc.update(&values);
        let header = format!(
            r#"{{"__metadata__":{{"crc32":"{:08x}","step":"7"}},"w":{{"data_offsets":[0,8],"dtype":"F32","shape":[1,2]}}}}"#,
            crc.sum()
        );
        let padded = header.len().next_multiple_of(8);
        let expected = [&(padded as u64).to_le_bytes()[..], format!("{header:padded$}").as_bytes(), &values].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn every_truncation_and_every_flipped_value_bit_is_noticed() {
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
        let values = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        for at in values..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(rejects(&bad), "byte {at}");
        }
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
