//! NumPy `.npy` files: a Python dictionary in ASCII, then the numbers.

use super::{Dataset, MOST_BYTES, Values};

const MAGIC: &[u8] = b"\x93NUMPY";
/// A longer header is not one of an array of numbers.
const MOST_HEADER: usize = 1 << 15;

/// An array: row-major values and their shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// What stands before the numbers.
struct Header {
    /// `f`, `i`, `u` or `b` (boolean).
    kind: u8,
    /// Bytes of one number.
    width: usize,
    big_endian: bool,
    column_major: bool,
    shape: Vec<usize>,
    /// Where the numbers start and end.
    start: usize,
    end: usize,
}

/// The size of a whole file, from its first bytes (64 KiB, or all there are).
pub fn size(beginning: &[u8]) -> Result<usize, String> {
    header(beginning).map(|header| header.end)
}

/// Reads `f2`, `f4`, `f8`, integers and booleans as f32, and `u1` as bytes; either byte order, either memory order.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    let header = header(bytes)?;
    let (needed, shape) = (header.end - header.start, header.shape);
    let raw = &bytes[header.start..];
    if raw.len() < needed {
        return Err(format!("content of shape {shape:?} needs {needed} bytes, found {}", raw.len()));
    }
    if raw.len() > needed {
        return Err(format!("content of shape {shape:?} needs {needed} bytes, but the file goes on after them"));
    }
    let big = header.big_endian;
    let mut values = match (header.kind, header.width) {
        (b'u', 1) => Values::U8(raw.to_vec()),
        (b'b', _) => Values::F32(raw.iter().map(|&b| f32::from(u8::from(b != 0))).collect()),
        (b'i', 1) => numbers(raw, big, |b| f32::from(i8::from_le_bytes(b))),
        (b'i', 2) => numbers(raw, big, |b| f32::from(i16::from_le_bytes(b))),
        (b'i', 4) => numbers(raw, big, |b| i32::from_le_bytes(b) as f32),
        (b'i', _) => numbers(raw, big, |b| i64::from_le_bytes(b) as f32),
        (b'u', 2) => numbers(raw, big, |b| f32::from(u16::from_le_bytes(b))),
        (b'u', 4) => numbers(raw, big, |b| u32::from_le_bytes(b) as f32),
        (b'u', _) => numbers(raw, big, |b| u64::from_le_bytes(b) as f32),
        (_, 2) => numbers(raw, big, |b| half::f16::from_le_bytes(b).to_f32()),
        (_, 4) => numbers(raw, big, f32::from_le_bytes),
        _ => numbers(raw, big, |b| f64::from_le_bytes(b) as f32),
    };
    if header.column_major {
        values = match values {
            Values::U8(v) => Values::U8(row_major(&v, &shape)),
            Values::F32(v) => Values::F32(row_major(&v, &shape)),
        };
    }
    Ok(Array { shape, values })
}

/// The bytes of a file with row-major f32 values: version 1.0, `<f4`. Panics if they do not fill `shape`.
#[track_caller]
pub fn encode(shape: &[usize], values: &[f32]) -> Vec<u8> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "npy: {} values for shape {shape:?}", values.len());
    let sizes: String = shape.iter().map(|d| format!("{d}, ")).collect(); // "(2, 3, )" is a tuple for any rank
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    let total = (MAGIC.len() + 4 + dict.len() + 1).next_multiple_of(64); // NumPy aligns the numbers to 64 bytes
    let padding = total - MAGIC.len() - 4;
    let mut bytes = [MAGIC, &[1, 0], &(padding as u16).to_le_bytes()].concat();
    bytes.extend(format!("{dict:<width$}\n", width = padding - 1).bytes());
    bytes.extend_from_slice(bytemuck::cast_slice(values)); // little-endian, as every machine wgpu runs on
    bytes
}

/// Points `[N]` or `[N, D]`, grey images `[N, H, W]` or images `[N, H, W, C]` as a data set.
///
/// Images of bytes hold 0 to 255, all others 0 to 1, with one channel or three. Points keep their values.
pub fn dataset(bytes: &[u8]) -> Result<Dataset, String> {
    let Array { shape, mut values } = parse(bytes)?;
    let sample_shape = match shape[..] {
        [_] => vec![1],
        [_, d] => vec![d],
        [_, h, w] => vec![h, w, 1],
        [_, h, w, c @ (1 | 3)] => vec![h, w, c],
        [_, _, _, c] => return Err(format!("images of {c} channels; keep 1 (grey) or 3 (red, green, blue)")),
        _ => return Err(format!("shape {shape:?}, expected [N], [N, D], [N, H, W] or [N, H, W, C]")),
    };
    let points = sample_shape.len() == 1;
    if let (true, Values::U8(v)) = (points, &values) {
        values = Values::F32(v.iter().map(|&b| f32::from(b)).collect());
    }
    if let Values::F32(v) = &values {
        if let Some(i) = v.iter().position(|x| !x.is_finite()) {
            return Err(format!("value {i} is {}; training data must be finite f32 numbers", v[i]));
        }
        if let (false, Some(i)) = (points, v.iter().position(|x| !(0.0..=1.0).contains(x))) {
            return Err(format!("value {i} is {}; images hold 0 to 1, or 0 to 255 as bytes (x.astype('u1'))", v[i]));
        }
    }
    Ok(Dataset::new("npy", sample_shape, values))
}

fn numbers<const N: usize>(raw: &[u8], big_endian: bool, read: impl Fn([u8; N]) -> f32) -> Values {
    let ordered = |mut bytes: [u8; N]| {
        if big_endian {
            bytes.reverse();
        }
        bytes
    };
    Values::F32(raw.as_chunks().0.iter().map(|&bytes| read(ordered(bytes))).collect())
}

/// Values whose first index runs fastest, in the order in which the last one does.
fn row_major<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let place = |i: usize| {
        let (mut rest, mut at) = (i, 0);
        for (axis, &size) in shape.iter().enumerate().rev() {
            at += rest % size * shape[..axis].iter().product::<usize>();
            rest /= size;
        }
        at
    };
    (0..values.len()).map(|i| values[place(i)]).collect()
}

fn header(bytes: &[u8]) -> Result<Header, String> {
    let (text, start) = header_text(bytes)?;
    let entry = |key: &str| {
        value_of(text, key)
            .ok_or_else(|| format!("no '{key}' in the header {:?}", text.chars().take(80).collect::<String>()))
    };
    let descr = entry("descr")?.trim_matches(['\'', '"']);
    let number = match *descr.as_bytes() {
        [order @ (b'<' | b'>' | b'|'), kind @ (b'f' | b'i' | b'u' | b'b'), width] => {
            Some((order == b'>', kind, usize::from(width.wrapping_sub(b'0'))))
        }
        _ => None,
    };
    let known = number.filter(|&(_, kind, width)| match kind {
        b'f' => [2, 4, 8].contains(&width),
        b'b' => width == 1,
        _ => [1, 2, 4, 8].contains(&width),
    });
    let Some((big_endian, kind, width)) = known else {
        let descr: String = descr.chars().take(20).collect();
        return Err(format!("numbers of type {descr}; save it with x.astype('<f4') or x.astype('u1')"));
    };
    let column_major = match entry("fortran_order")? {
        "False" => false,
        "True" => true,
        _ => return Err("fortran_order is neither True nor False".into()),
    };
    let shape = shape_of(entry("shape")?).ok_or("the shape cannot be read")?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n > 0);
    let count = count.ok_or_else(|| format!("impossible shape {shape:?}"))?;
    let held = if (kind, width) == (b'u', 1) { 1 } else { width.max(4) }; // bytes of one number as read or as f32
    if count > MOST_BYTES / held {
        return Err(format!("shape {shape:?} is too large: more than {MOST_BYTES} bytes"));
    }
    Ok(Header { kind, width, big_endian, column_major, shape, start, end: start + count * width })
}

/// The text of the header's dictionary and the place after it.
fn header_text(bytes: &[u8]) -> Result<(&str, usize), String> {
    let cut = |needed: usize, found: usize| format!("the header needs {needed} bytes, found {found}");
    let Some((start, rest)) = bytes.split_at_checked(8) else { return Err(cut(8, bytes.len())) };
    if !start.starts_with(MAGIC) {
        return Err("it does not begin with \\x93NUMPY".into());
    }
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        version => return Err(format!("format version {version}, expected 1..3")),
    };
    let Some((length, rest)) = rest.split_at_checked(width) else { return Err(cut(width, rest.len())) };
    let length = length.iter().rev().fold(0, |n: usize, &b| n << 8 | usize::from(b));
    if length > MOST_HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let text = rest.get(..length).ok_or_else(|| cut(length, rest.len()))?;
    Ok((std::str::from_utf8(text).map_err(|_| "the header is not text")?, 8 + width + length))
}

/// The value after `'key':` in a flat Python dictionary, a tuple kept whole.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = header.split_once(&format!("'{key}':"))?.1.trim_start();
    let end = if after.starts_with('(') { after.find(')')? + 1 } else { after.find([',', '}'])? };
    Some(after[..end].trim())
}

/// The numbers of a Python tuple such as `(3, 4)` or `(3,)`; NumPy has at most 64 dimensions.
fn shape_of(tuple: &str) -> Option<Vec<usize>> {
    let inner = tuple.strip_prefix('(')?.strip_suffix(')')?;
    let sizes = inner.split(',').map(str::trim).filter(|s| !s.is_empty());
    sizes.map(|s| s.parse().ok()).collect::<Option<Vec<usize>>>().filter(|shape| shape.len() <= 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `numpy.save` writes for an array of this type, order and shape.
    fn npy(descr: &str, fortran: &str, shape: &str, content: &[u8]) -> Vec<u8> {
        let dict = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        let dict = format!("{dict:<117}\n");
        [MAGIC, &[1, 0], &(dict.len() as u16).to_le_bytes(), dict.as_bytes(), content].concat()
    }

    fn values(descr: &str, shape: &str, content: &[u8]) -> Values {
        parse(&npy(descr, "False", shape, content)).unwrap().values
    }

    #[test]
    fn every_supported_type_reads() {
        let floats = Values::F32(vec![1.5, -2.0]);
        assert_eq!(values("<f4", "(1, 2)", &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]), floats);
        assert_eq!(values(">f4", "(1, 2)", &[0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0]), floats);
        assert_eq!(values("<f2", "(1, 2)", &[0, 0x3e, 0, 0xc0]), floats);
        assert_eq!(values(">f2", "(1, 2)", &[0x3e, 0, 0xc0, 0]), floats);
        assert_eq!(values("<f8", "(1, 2)", bytemuck::cast_slice(&[1.5f64, -2.0])), floats);
        assert_eq!(values("|u1", "(3,)", &[1, 2, 255]), Values::U8(vec![1, 2, 255]));
        assert_eq!(values("|b1", "(2,)", &[1, 0]), Values::F32(vec![1.0, 0.0]));
        let pair = Values::F32(vec![-2.0, 3.0]);
        assert_eq!(values("|i1", "(2,)", &[254, 3]), pair);
        assert_eq!(values("<i2", "(2,)", bytemuck::cast_slice(&[-2i16, 3])), pair);
        assert_eq!(values("<i4", "(2,)", bytemuck::cast_slice(&[-2i32, 3])), pair);
        assert_eq!(values("<i8", "(2,)", bytemuck::cast_slice(&[-2i64, 3])), pair);
        assert_eq!(values(">i2", "(2,)", &[0xff, 0xfe, 0, 3]), pair);
        let pair = Values::F32(vec![65_535.0, 3.0]);
        assert_eq!(values("<u2", "(2,)", bytemuck::cast_slice(&[65_535u16, 3])), pair);
        assert_eq!(values("<u4", "(2,)", bytemuck::cast_slice(&[65_535u32, 3])), pair);
        assert_eq!(values("<u8", "(2,)", bytemuck::cast_slice(&[65_535u64, 3])), pair);
    }

    /// numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4)) lies in memory as 0, 12, 4, 16, 8, 20, 1, ...
    #[test]
    fn column_major_arrays_are_turned() {
        let content: Vec<u8> = (0..24).map(|i| (i % 2 * 12 + i / 2 % 3 * 4 + i / 6) as u8).collect();
        assert_eq!(content[..7], [0, 12, 4, 16, 8, 20, 1]);
        let array = parse(&npy("|u1", "True", "(2, 3, 4)", &content)).unwrap();
        assert_eq!(array, Array { shape: vec![2, 3, 4], values: Values::U8((0..24).collect()) });
    }

    #[test]
    fn what_is_written_is_what_numpy_would_write_and_reads_back() {
        let values: Vec<f32> = (0..24).map(|i| i as f32 / 23.0).collect();
        let bytes = encode(&[2, 3, 4], &values);
        assert_eq!(parse(&bytes).unwrap(), Array { shape: vec![2, 3, 4], values: Values::F32(values) });
        assert_eq!((bytes.len(), &bytes[..10]), (128 + 96, &b"\x93NUMPY\x01\0\x76\0"[..]));
        assert_eq!(bytes[127], b'\n');
        assert_eq!(dataset(&bytes).unwrap().sample_shape, [3, 4, 1]);
        assert_eq!(size(&bytes[..128]), Ok(bytes.len()));
    }

    #[test]
    fn points_of_any_dimension_keep_their_values_and_images_must_be_images() {
        let points = dataset(&npy("|u1", "False", "(2, 3)", &[0, 7, 255, 1, 2, 3])).unwrap();
        assert_eq!((points.sample_shape.as_slice(), points.rows(&[0])), (&[3][..], vec![0.0, 7.0, 255.0]));
        let line = dataset(&encode(&[3], &[0.5, -9.0, 1e6])).unwrap();
        assert_eq!((line.sample_shape.as_slice(), line.len()), (&[1][..], 3));
        let refused = |bytes: &[u8], expect: &str| {
            let why = dataset(bytes).unwrap_err();
            assert!(why.contains(expect), "{why}");
        };
        refused(&npy("|u1", "False", "(1, 1, 1, 2)", &[0; 2]), "images of 2 channels");
        refused(&npy("|u1", "False", "(1, 1, 1, 4)", &[0; 4]), "images of 4 channels");
        refused(&encode(&[1, 1, 2], &[0.5, 128.0]), "value 1 is 128; images hold 0 to 1");
        refused(&encode(&[1, 2], &[0.0, f32::INFINITY]), "value 1 is inf");
        refused(&encode(&[1, 1, 1, 1, 1], &[0.0]), "expected [N], [N, D]");
    }

    #[test]
    fn damaged_files_are_refused_with_what_was_found() {
        let refuse = |bytes: &[u8], expect: &str| {
            let why = parse(bytes).unwrap_err();
            assert!(why.contains(expect), "{why}");
        };
        let float = |shape: &str| npy("<f4", "False", shape, &[0; 8]);
        let good = float("(1, 2)");
        refuse(b"PK\x03\x04 an archive", "does not begin with");
        refuse(&good[..50], "the header needs 118 bytes, found 40");
        refuse(&good[..132], "content of shape [1, 2] needs 8 bytes, found 4");
        refuse(&[&good[..], &[0]].concat(), "goes on");
        for descr in ["<c8", "|S4", "<U1", "|O", "<M8[ns]", "<f3", "|b2", "=f4"] {
            refuse(&npy(descr, "False", "(1, 2)", &[0; 8]), "astype");
        }
        refuse(&float("(9999999999, 9999999999)"), "impossible shape");
        refuse(&float("(4294967296, 4294967296)"), "impossible shape"); // the product is 2^64, 0 when it wraps
        refuse(&float("(999999999999,)"), "too large");
        refuse(&npy("|i1", "False", "(1073741824,)", &[]), "too large"); // four times as large as f32
        refuse(&float("(0, 2)"), "impossible shape");
        refuse(&float("(1, x)"), "shape cannot be read");
        refuse(&float(&format!("({})", "1,".repeat(65))), "shape cannot be read");
    }
}
