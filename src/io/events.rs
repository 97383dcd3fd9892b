//! TensorBoard event files, written by hand: TFRecord framing around `Event` protocol buffers.
//!
//! A record is
//! `length: u64 | masked_crc(length bytes): u32 | payload | masked_crc(payload): u32`, all little-endian, with
//! `masked_crc(b) = rotate_right(crc32c(b), 15) + 0xa282ead8 (mod 2^32)`. The first payload states the format's version.

use super::{atomic, source};
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends scalars and images to one event file.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Starts an empty file; TensorBoard only looks at names that contain `tfevents`.
    pub fn create(path: impl AsRef<Path>) -> Result<EventLog> {
        EventLog::start(path.as_ref(), &record(&event(now(), 0, 3, b"brain.Event:2")))
    }

    /// Continues a file: events of the steps from `next_step` on, which will run again, are dropped, and so is a last
    /// record that a kill has cut. A missing file is started.
    pub fn resume(path: impl AsRef<Path>, next_step: u64) -> Result<EventLog> {
        let path = path.as_ref();
        if !path.exists() {
            return EventLog::create(path);
        }
        let bytes = source::read(path)?;
        let mut payloads = payloads(&bytes);
        let Some(version) = payloads.next() else { return EventLog::create(path) };
        let kept = payloads.filter(|payload| step_of(payload) < next_step);
        let bytes: Vec<u8> = std::iter::once(version).chain(kept).flat_map(record).collect();
        EventLog::start(path, &bytes)
    }

    fn start(path: &Path, bytes: &[u8]) -> Result<EventLog> {
        atomic::write_bytes(path, bytes)?;
        let file = OpenOptions::new().append(true).open(path).map_err(|why| Error::file(path, why))?;
        Ok(EventLog { path: path.to_path_buf(), file })
    }

    /// Appends the named values of a step.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let summary: Vec<u8> = values.iter().flat_map(|(tag, value)| scalar(tag, *value as f32)).collect();
        self.append(&event(now(), step, 5, &summary))
    }

    /// Appends a picture: the bytes of a PNG file.
    ///
    /// # Panics
    /// If `png` does not start as a PNG file does.
    #[track_caller]
    pub fn image(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<()> {
        assert!(png.len() > 25 && png.starts_with(b"\x89PNG\r\n\x1a\n"), "EventLog::image: `{tag}` is not a PNG file");
        self.append(&event(now(), step, 5, &image(tag, png)))
    }

    fn append(&mut self, payload: &[u8]) -> Result<()> {
        let written = self.file.write_all(&record(payload));
        written.map_err(|why| Error::file(&self.path, format!("cannot append: {why}")))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// `Event { double wall_time = 1; int64 step = 2; string file_version = 3 | Summary summary = 5 }`.
fn event(wall_time: f64, step: u64, field: u64, content: &[u8]) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend(wall_time.to_le_bytes());
    push_number(&mut out, 2, step);
    push_bytes(&mut out, field, content);
    out
}

/// One entry of a summary: `Summary { repeated Value value = 1 }`, `Value { string tag = 1; float simple_value = 2 }`.
fn scalar(tag: &str, value: f32) -> Vec<u8> {
    let mut entry = Vec::new();
    push_bytes(&mut entry, 1, tag.as_bytes());
    entry.push(2 << 3 | 5);
    entry.extend(value.to_le_bytes());
    let mut out = Vec::new();
    push_bytes(&mut out, 1, &entry);
    out
}

/// One entry of a summary: `Value { string tag = 1; Image image = 4 }`,
/// `Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4 }`.
fn image(tag: &str, png: &[u8]) -> Vec<u8> {
    let size = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]) as u64;
    let channels = match png[25] {
        0 => 1,
        4 => 2,
        6 => 4,
        _ => 3,
    };
    let mut picture = Vec::new();
    push_number(&mut picture, 1, size(20));
    push_number(&mut picture, 2, size(16));
    push_number(&mut picture, 3, channels);
    push_bytes(&mut picture, 4, png);
    let mut entry = Vec::new();
    push_bytes(&mut entry, 1, tag.as_bytes());
    push_bytes(&mut entry, 4, &picture);
    let mut out = Vec::new();
    push_bytes(&mut out, 1, &entry);
    out
}

/// A field of wire type 0: the key, then the number.
fn push_number(out: &mut Vec<u8>, field: u64, value: u64) {
    push_varint(out, field << 3);
    push_varint(out, value);
}

/// A field of wire type 2: the key, the length, the bytes.
fn push_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    push_varint(out, field << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Seven bits a byte, low ones first; the top bit says that more follow.
fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The TFRecord frame around `payload`.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let crcs = [masked_crc(&length).to_le_bytes(), masked_crc(payload).to_le_bytes()];
    [&length[..], &crcs[0], payload, &crcs[1]].concat()
}

/// The payloads of a file, up to the first record that is cut or damaged.
fn payloads(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (length_crc, rest) = rest.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let (payload_crc, rest) = rest.split_first_chunk::<4>()?;
        let good = masked_crc(length) == u32::from_le_bytes(*length_crc)
            && masked_crc(payload) == u32::from_le_bytes(*payload_crc);
        bytes = rest;
        good.then_some(payload)
    })
}

/// The step of an event as [`event`] lays it out: nine bytes of wall time, the key, the number.
fn step_of(payload: &[u8]) -> u64 {
    let digits = payload.get(10..).unwrap_or_default().iter().take(10);
    let last = digits.clone().position(|byte| byte & 0x80 == 0).unwrap_or_default();
    digits.take(last + 1).enumerate().fold(0, |step, (i, byte)| step | ((byte & 0x7f) as u64) << (7 * i))
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The Castagnoli CRC, bit-reversed polynomial 0x82f63b78.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| TABLE[((crc ^ *byte as u32) & 0xff) as usize] ^ (crc >> 8))
}

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::test_folder;

    /// The check value of the CRC catalogue and the vectors of RFC 3720, B.4.
    #[test]
    fn crc32c_gives_the_known_answers() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        // rotate_right(0xe3069283, 15) = 0x2507c60d; plus 0xa282ead8 = 0xc78ab0e5.
        assert_eq!(masked_crc(b"123456789"), 0xc78a_b0e5);
        // TensorFlow's own files start with the length 24 and the bytes a3 7f 4b 22.
        assert_eq!(masked_crc(&24u64.to_le_bytes()), 0x224b_7fa3);
    }

    /// The event wall_time 1.5, step 300, value "loss" = 2.0, put together by hand from the protocol buffer wire format.
    #[test]
    fn a_record_is_the_one_derived_by_hand() {
        let payload = [
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f][..], // field 1, 8 bytes: 1.5
            &[0x10, 0xac, 0x02],                       // field 2, varint: 300 = 0b10_0101100
            &[0x2a, 0x0d],                             // field 5, 13 bytes: the summary
            &[0x0a, 0x0b],                             // field 1, 11 bytes: its only value
            &[0x0a, 0x04, b'l', b'o', b's', b's'],     // field 1, 4 bytes: the tag
            &[0x15, 0, 0, 0, 0x40],                    // field 2, 4 bytes: 2.0
        ]
        .concat();
        assert_eq!(event(1.5, 300, 5, &scalar("loss", 2.0)), payload);
        // The frame; its two checksums come from a program that divides the polynomials bit by bit.
        let (length, length_crc, payload_crc) =
            ([27, 0, 0, 0, 0, 0, 0, 0], [0x1a, 0x0d, 0x9e, 0x13], [0x5f, 0x3c, 0x80, 0x0b]);
        assert_eq!(record(&payload), [&length[..], &length_crc, &payload, &payload_crc].concat());
    }

    /// Every field of a message as (number, bytes); numbers come as eight bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= ((byte & 0x7f) as u64) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    found.push((key >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                5 => 4,
                _ => varint(&mut bytes) as usize,
            };
            found.push((key >> 3, bytes[..length].to_vec()));
            bytes = &bytes[length..];
        }
        found
    }

    /// (step, tag, value) of every scalar in a file.
    fn scalars(path: &Path) -> Vec<(u64, String, f32)> {
        let bytes = std::fs::read(path).unwrap();
        let mut found = Vec::new();
        for payload in payloads(&bytes) {
            let event = fields(payload);
            let step = u64::from_le_bytes(event[1].1[..].try_into().unwrap());
            assert_eq!(step, step_of(payload));
            for (_, value) in event.iter().filter(|(n, _)| *n == 5).flat_map(|(_, summary)| fields(summary)) {
                let value = fields(&value);
                let tag = String::from_utf8(value[0].1.clone()).unwrap();
                if value[1].0 == 2 {
                    found.push((step, tag, f32::from_le_bytes(value[1].1[..].try_into().unwrap())));
                }
            }
        }
        found
    }

    #[test]
    fn a_resumed_file_holds_every_step_once_even_after_a_cut_record() {
        let folder = test_folder("events");
        let path = folder.join("events.out.tfevents.ebm");
        let mut log = EventLog::create(&path).unwrap();
        let values = |step: u64| [("loss", step as f64), ("energy/gap", -0.5)];
        [0, 100, 1 << 40].iter().for_each(|&step| log.scalars(step, &values(step)).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let first = fields(payloads(&whole).next().unwrap());
        assert_eq!(first[2], (3, b"brain.Event:2".to_vec()));

        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let mut log = EventLog::resume(&path, 100).unwrap();
        log.scalars(100, &values(100)).unwrap();
        let expected = [0u64, 100].iter().flat_map(|&s| values(s).map(|(tag, v)| (s, tag.to_string(), v as f32)));
        assert_eq!(scalars(&path), expected.collect::<Vec<_>>());
    }

    #[test]
    fn an_image_event_states_the_size_of_its_png() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x03\x08\x02\0\0\0".to_vec();
        png.extend([1, 2, 3]);
        let summary = fields(&image("samples", &png));
        let value = fields(&summary[0].1);
        assert_eq!(value[0], (1, b"samples".to_vec()));
        let picture = fields(&value[1].1);
        let number = |i: usize| u64::from_le_bytes(picture[i].1[..].try_into().unwrap());
        assert_eq!((value[1].0, number(0), number(1), number(2)), (4, 3, 5, 3));
        assert_eq!(picture[3], (4, png));
    }
}
