//! NumPy `.npy` files: a Python dictionary in ASCII, then the numbers.

use std::io::Write;
use std::path::Path;

use super::source::Source;
use super::{Dataset, Values};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// A longer header is not one of an array of numbers.
const MOST_HEADER: usize = 1 << 16;

/// An array: row-major values and their shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// Reads an array of `f2`, `f4`, `f8` (as f32) or `u1`, little-endian and C order; `.npy.gz` too.
pub fn read(path: &Path) -> Result<Array> {
    let mut source = Source::open(path, "npy")?;
    let header = header(&mut source)?;
    let entry = |key: &str| {
        value_of(&header, key).ok_or_else(|| source.wrong(format!("no '{key}' in the header {:?}", header.trim())))
    };
    let descr = entry("descr")?.trim_matches(['\'', '"']);
    let width = match descr {
        "|u1" | "<u1" => 1,
        "<f2" => 2,
        "<f4" => 4,
        "<f8" => 8,
        _ => return Err(source.wrong(format!("numbers of type {descr}; save it with x.astype('<f4') or '<u1'"))),
    };
    if entry("fortran_order")? != "False" {
        return Err(source.wrong("column-major order; save numpy.ascontiguousarray(x)"));
    }
    let shape = shape_of(entry("shape")?).ok_or_else(|| source.wrong("the shape cannot be read"))?;
    let bytes = shape.iter().try_fold(width, |n: usize, &d| n.checked_mul(d)).filter(|&n| n > 0);
    let bytes = bytes.ok_or_else(|| source.wrong(format!("impossible shape {shape:?}")))?;
    let raw = source.last(bytes, &format!("content of shape {shape:?}"))?;
    let values = match width {
        1 => Values::U8(raw),
        2 => Values::F32(raw.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()).collect()),
        4 => Values::F32(raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        _ => Values::F32(raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()),
    };
    Ok(Array { shape, values })
}

/// Writes row-major f32 values as version 1.0, `<f4`. Panics if they do not fill `shape`.
#[track_caller]
pub fn write(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "npy: {} values for shape {shape:?}", values.len());
    let sizes: String = shape.iter().map(|d| format!("{d}, ")).collect(); // "(2, 3, )" is a tuple for any rank
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    let total = (MAGIC.len() + 4 + dict.len() + 1).next_multiple_of(64); // NumPy aligns the numbers to 64 bytes
    let padding = total - MAGIC.len() - 4;
    let mut bytes = [MAGIC, &[1, 0], &(padding as u16).to_le_bytes()].concat();
    bytes.extend(format!("{dict:<width$}\n", width = padding - 1).bytes());
    bytes.extend_from_slice(bytemuck::cast_slice(values)); // little-endian, as every machine wgpu runs on
    let mut file = std::fs::File::create(path).map_err(|e| Error::file(path, e))?;
    file.write_all(&bytes).map_err(|e| Error::file(path, e))
}

/// Points `[N, D]`, grey images `[N, H, W]` or images `[N, H, W, C]` as a data set.
pub(super) fn load(path: &Path) -> Result<Dataset> {
    let Array { shape, values } = read(path)?;
    let item = match shape[..] {
        [_, d] => vec![d],
        [_, h, w] => vec![h, w, 1],
        [_, h, w, c] => vec![h, w, c],
        _ => {
            return Err(Error::format(
                path,
                "npy",
                format!("shape {shape:?}, expected [N, D], [N, H, W] or [N, H, W, C]"),
            ));
        }
    };
    if let Values::F32(v) = &values
        && let Some(i) = v.iter().position(|x| !x.is_finite())
    {
        return Err(Error::format(path, "npy", format!("value {i} is {}; training data must be finite", v[i])));
    }
    Ok(Dataset::new("npy", item, values))
}

/// The text of the header's dictionary.
fn header(source: &mut Source) -> Result<String> {
    let start = source.exactly(8, "the header")?;
    if !start.starts_with(MAGIC) {
        return Err(source.wrong("it does not begin with \\x93NUMPY"));
    }
    let length = match start[6] {
        1 => source.exactly(2, "the header length")?,
        2 | 3 => source.exactly(4, "the header length")?,
        version => return Err(source.wrong(format!("format version {version}, expected 1..3"))),
    };
    let length = length.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
    if length > MOST_HEADER {
        return Err(source.wrong(format!("a header of {length} bytes")));
    }
    let bytes = source.exactly(length, "the header")?;
    String::from_utf8(bytes).map_err(|_| source.wrong("the header is not text"))
}

/// The value after `'key':` in a flat Python dictionary, a tuple kept whole.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = header.split_once(&format!("'{key}':"))?.1.trim_start();
    let end = if after.starts_with('(') { after.find(')')? + 1 } else { after.find([',', '}'])? };
    Some(after[..end].trim())
}

/// The numbers of a Python tuple such as `(3, 4)` or `(3,)`.
fn shape_of(tuple: &str) -> Option<Vec<usize>> {
    let inner = tuple.strip_prefix('(')?.strip_suffix(')')?;
    inner.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scratch;

    /// What `numpy.save` writes for `numpy.array(..., dtype=descr)` of this shape.
    fn npy(descr: &str, shape: &str, content: &[u8]) -> Vec<u8> {
        let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let dict = format!("{dict:<117}\n");
        [MAGIC, &[1, 0, 118, 0], dict.as_bytes(), content].concat()
    }

    #[test]
    fn every_supported_type_reads() {
        let path = scratch("npy").join("x.npy");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap()
        };
        let floats = Array { shape: vec![1, 2], values: Values::F32(vec![1.5, -2.0]) };
        assert_eq!(read(&npy("<f4", "(1, 2)", &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0])), floats);
        assert_eq!(read(&npy("<f2", "(1, 2)", &[0, 0x3e, 0, 0xc0])), floats);
        assert_eq!(read(&npy("<f8", "(1, 2)", bytemuck::cast_slice(&[1.5f64, -2.0]))), floats);
        assert_eq!(read(&npy("|u1", "(3,)", &[1, 2, 3])), Array { shape: vec![3], values: Values::U8(vec![1, 2, 3]) });
    }

    #[test]
    fn what_is_written_is_what_numpy_would_write_and_reads_back() {
        let path = scratch("npy-write").join("x.npy");
        let values: Vec<f32> = (0..24).map(|i| i as f32 / 7.0).collect();
        write(&path, &[2, 3, 4], &values).unwrap();
        assert_eq!(read(&path).unwrap(), Array { shape: vec![2, 3, 4], values: Values::F32(values) });
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[..10]), (128 + 96, &b"\x93NUMPY\x01\0\x76\0"[..]));
        assert_eq!(bytes[127], b'\n');
        assert_eq!(load(&path).unwrap().sample_shape, [3, 4, 1]);
    }

    #[test]
    fn damaged_files_are_refused_with_what_was_found() {
        let path = scratch("npy-bad").join("x.npy");
        let refuse = |bytes: &[u8], expect: &str| {
            std::fs::write(&path, bytes).unwrap();
            let e = load(&path).unwrap_err();
            assert!(matches!(e, Error::Format { .. }) && e.to_string().contains(expect), "{e}");
        };
        let good = npy("<f4", "(1, 2)", &[0; 8]);
        refuse(b"PK\x03\x04 an archive", "does not begin with");
        refuse(&good[..50], "the header needs 118 bytes, found 40");
        refuse(&good[..132], "content of shape [1, 2] needs 8 bytes, found 4");
        refuse(&[&good[..], &[0]].concat(), "goes on");
        refuse(&npy(">f4", "(1, 2)", &[0; 8]), "astype");
        refuse(&npy("<f4", "(9999999999, 9999999999)", &[0; 8]), "impossible shape");
        refuse(&npy("<f4", "(999999999999,)", &[0; 8]), "found 8"); // 4 TB are claimed, none is allocated
        refuse(&npy("<f4", "(1, x)", &[0; 8]), "shape cannot be read");
        refuse(&npy("<f4", "(2,)", &[0; 8]), "expected [N, D]");
        refuse(&npy("<f4", "(1, 2)", &[0, 0, 0x80, 0x7f, 0, 0, 0, 0]), "value 0 is inf");
        let fortran = String::from_utf8_lossy(&good[10..]).replace("False, ", "True,  ");
        refuse(&[&good[..10], fortran.as_bytes()].concat(), "ascontiguousarray");
    }
}
