//! Hostile input: files of every format that is read, changed at random, give a value or one line of error: never a
//! panic, never a request for more than a gibibyte, never a long wait.
//!
//! The inputs are the files of `tests/corpus` after one to four changes each. Input n depends on n alone, so that a
//! failure comes again; the file that caused one is kept and named. `EBM_FUZZ=1000 cargo test --release --test suite
//! fuzz -- --nocapture` runs a thousand times as many as the ordinary tests, which takes hours.

use crate::support;
use ebm::data::{Dataset, MOST_BYTES, Split, Values, cifar, idx, npy, png};
use ebm::gpu::{Gpu, Options};
use ebm::io::{Checkpoint, EventLog, Metrics, MetricsLog};
use ebm::prelude::{Error, Key};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The system's allocator, with the size of the largest request of each thread.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// One input after another.
struct Dice {
    key: Key,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.thrown += 1;
        self.key.below(self.thrown - 1, n.max(1))
    }
}

/// Numbers at the edges of what sizes can be.
const EDGES: [u64; 12] = [0, 1, 2, 7, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 62, u64::MAX];
/// Texts at the edges of what the formats that are text may hold.
const WORDS: [&str; 12] = [
    "-1",
    "0",
    "99999999999999999999",
    "4294967296",
    "NaN",
    "inf",
    "1e999",
    "\n",
    ",",
    "\u{1b}[31m",
    "'>f8'",
    "\"BOOL\"",
];

/// One to four changes of `bytes`; `other` is a file of the same format.
fn change(bytes: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(16)).min(bytes.len());
        let mut put = |new: &[u8]| bytes.iter_mut().skip(at).zip(new).for_each(|(old, new)| *old = *new);
        match dice.below(10) {
            0 if at < end => bytes[at] ^= 1 << dice.below(8),
            1 => put(&[dice.below(256) as u8]),
            2 => put(&(EDGES[dice.below(EDGES.len())] as u32).to_be_bytes()),
            3 => put(&EDGES[dice.below(EDGES.len())].to_le_bytes()),
            4 => drop(bytes.splice(at..at, WORDS[dice.below(WORDS.len())].bytes())),
            5 => put(&[b'0' + dice.below(10) as u8]),
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(at..end)),
            8 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let (from, length) = (dice.below(other.len()), dice.below(64));
                let part = &other[from..(from + length).min(other.len())];
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
    bytes
}

fn corpus(format: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(format);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A folder for one test, removed with its content at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ebm-fuzz-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Gives `read` the files of a format as they are, then `count` changed ones; `mend` makes checksums right again.
/// `read` tells whether it took the input.
fn fuzz(format: &str, count: u64, mend: fn(&mut [u8]), read: impl Fn(&[u8]) -> Result<(), String>) {
    let files = corpus(format);
    let times: u64 = std::env::var("EBM_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let key = Key::new(0).named(format);
    let (mut taken, count) = (0, count * times);
    for n in 0..count {
        let dice = &mut Dice { key: key.index(n), thrown: 0 };
        let mut input = files[n as usize % files.len()].clone();
        if n >= files.len() as u64 {
            input = change(&input, &files[dice.below(files.len())], dice);
            if dice.below(4) > 0 {
                mend(&mut input);
            }
        }
        LARGEST.set(0);
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| read(&input)));
        let slow = start.elapsed() > Duration::from_secs(20);
        // As a user is shown it.
        let bad_text = |why: &String| {
            let shown = Error::format("file", "data", why).to_string();
            shown.lines().count() != 1 || shown.contains(char::is_control)
        };
        if result.as_ref().map_or(true, |r| r.as_ref().is_err_and(bad_text)) || slow || LARGEST.get() > MOST_BYTES {
            let path = std::env::temp_dir().join(format!("ebm-fuzz-{format}-{n}"));
            std::fs::write(&path, &input).unwrap();
            let (largest, path) = (LARGEST.get(), path.display());
            panic!("{format}, input {n}: {result:?}, slow: {slow}, largest request {largest}; it is kept as {path}");
        }
        taken += u64::from(matches!(result, Ok(Ok(()))));
    }
    println!("{format}: {count} inputs, {taken} of them read");
    assert!(taken > 0 && taken < count, "{format}: {taken} of {count} were read");
}

fn as_it_is(_: &mut [u8]) {}

/// Any item of a data set can be taken, and points have finite bounds.
fn check(set: &Dataset) {
    assert!(set.rows(&[set.len() - 1]).iter().all(|v| v.is_finite()));
    assert!(set.bounds().iter().flatten().all(|v| v.is_finite()));
}

#[test]
fn npy() {
    fuzz("npy", 300_000, as_it_is, |bytes| {
        let size = npy::size(bytes);
        let array = npy::parse(bytes)?;
        assert_eq!((size, array.values.len()), (Ok(bytes.len()), array.shape.iter().product()));
        if let Values::F32(values) = &array.values {
            let again = npy::parse(&npy::encode(&array.shape, values)).unwrap();
            let bits = |v: &Values| match v {
                Values::F32(v) => v.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                Values::U8(_) => Vec::new(),
            };
            assert_eq!((bits(&again.values), again.shape), (bits(&array.values), array.shape));
        }
        npy::dataset(bytes).map(|set| check(&set))
    });
}

#[test]
fn idx() {
    fuzz("idx", 300_000, as_it_is, |bytes| {
        let labels = idx::labels(bytes, &idx::EMNIST_LETTERS);
        if let Ok(labels) = &labels {
            assert!(labels.iter().all(|&label| label < 26) && idx::size(bytes, 1) == Ok(bytes.len()));
        }
        idx::images(bytes, &idx::EMNIST_LETTERS).map(|set| check(&set)).or(labels.map(drop))
    });
}

#[test]
fn cifar() {
    fuzz("cifar", 100_000, as_it_is, |bytes| {
        let read = |layout| {
            let mut records = cifar::Records::default();
            records.append(bytes, layout)?;
            assert_eq!(records.pixels.len(), 3072 * records.labels.len());
            Ok(())
        };
        read(&cifar::TEN).or(read(&cifar::HUNDRED))
    });
}

/// Makes the checksums of all chunks right, so that the decoder sees what is in them.
fn mend_png(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let end = at + 8 + length;
        if end + 4 > bytes.len() {
            break;
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
}

#[test]
fn png() {
    fuzz("png", 100_000, mend_png, |bytes| {
        let (pixels, [h, w, c]) = png::decode(bytes)?;
        assert!(pixels.len() == h * w * c && (c == 1 || c == 3));
        Ok(())
    });
}

/// Makes the checksum of a checkpoint right.
fn mend_checkpoint(bytes: &mut [u8]) {
    let mark = b"\"crc32\":\"";
    let Some(at) = bytes.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len()) else { return };
    if at + 8 <= bytes.len() {
        bytes[at..at + 8].copy_from_slice(b"00000000");
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        bytes[at..at + 8].copy_from_slice(format!("{:08x}", crc.sum()).as_bytes());
    }
}

#[test]
fn safetensors() {
    fuzz("safetensors", 300_000, mend_checkpoint, |bytes| {
        let checkpoint = Checkpoint::parse(bytes)?;
        for array in checkpoint.tensors.values() {
            assert_eq!(array.data.len(), array.shape.iter().product::<usize>());
        }
        Ok(())
    });
}

#[test]
fn metrics() {
    let folder = Folder::new("metrics");
    let path = folder.0.join("metrics.csv");
    fuzz("metrics", 1_000, as_it_is, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        if let Ok(metrics) = Metrics::read(&path) {
            assert!(metrics.columns.windows(2).all(|pair| pair[0].1.len() == pair[1].1.len()));
        }
        let log = MetricsLog::resume(&path, 15).map_err(|e| e.to_string())?;
        assert!(log.wall_s() >= 0.0 && log.wall_s().is_finite());
        MetricsLog::resume(&path, 15).map(drop).map_err(|e| format!("what was kept is not read again: {e}")).unwrap();
        Ok(())
    });
}

#[test]
fn events() {
    let folder = Folder::new("events");
    let path = folder.0.join("events.out.tfevents.ebm");
    EventLog::create(&path).unwrap();
    let empty = std::fs::read(&path).unwrap().len();
    fuzz("events", 1_000, as_it_is, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        EventLog::resume(&path, 101).map_err(|e| e.to_string())?;
        let once = std::fs::read(&path).unwrap();
        EventLog::resume(&path, 101).map_err(|e| e.to_string())?;
        assert_eq!(std::fs::read(&path).unwrap(), once, "what was kept is kept again");
        if once.len() > empty { Ok(()) } else { Err("no event was kept".into()) }
    });
}

/// Compressed files through the front door, with bombs among them.
#[test]
fn gzip() {
    let folder = Folder::new("gzip");
    let path = folder.0.join("a.npy.gz");
    let pack = |bytes: &[u8], level: u32| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        std::io::Write::write_all(&mut gz, bytes).unwrap();
        gz.finish().unwrap()
    };
    let load = |spec: &str| Dataset::load(spec, Split::Train).map(|set| check(&set)).map_err(|e| e.to_string());
    fuzz("npy", 20_000, as_it_is, |bytes| {
        let mut packed = pack(bytes, 1 + bytes.len() as u32 % 9);
        if bytes.len().is_multiple_of(3) {
            let at = bytes.len() * 7 % packed.len();
            packed[at] ^= 1 << (at % 8);
        }
        std::fs::write(&path, packed).unwrap();
        load(&format!("npy:{}", path.display()))
    });

    let zeros = vec![0; 64 << 20];
    for (file, header, kind) in [
        ("a.npy", corpus("npy").remove(0), "npy"),
        ("train-images-idx3-ubyte", [&[0, 0, 8, 3][..], &[0, 0, 0, 1].repeat(3)].concat(), "mnist"),
        ("a.bin", vec![200], "cifar10"),
    ] {
        std::fs::write(folder.0.join(file), pack(&[&header[..], &zeros].concat(), 9)).unwrap();
        let place = if kind == "npy" { folder.0.join(file) } else { folder.0.clone() };
        LARGEST.set(0);
        let why = load(&format!("{kind}:{}", place.display())).unwrap_err();
        assert!(why.contains("goes on") || why.contains("not a number of"), "{why}");
        let most = if kind == "cifar10" { 2 * zeros.len() } else { 1 << 20 }; // CIFAR files have no header
        assert!(LARGEST.get() <= most, "{kind}: {} bytes", LARGEST.get());
    }
}

/// A cache of compiled pipelines that is damaged, or of another device, is none: the device opens as without it.
#[test]
fn a_damaged_pipeline_cache_is_no_error() {
    let name = "a_damaged_pipeline_cache_is_no_error";
    if support::gpu(name, false).is_none() {
        return;
    }
    let folder = Folder::new("pipelines");
    let open = || Gpu::open("auto", Options { pipeline_cache: Some(folder.0.clone()), ..Options::default() }).unwrap();
    open().save_pipeline_cache();
    let Some(file) = std::fs::read_dir(&folder.0).unwrap().next().map(|entry| entry.unwrap().path()) else {
        println!("skipped: {name}: this adapter keeps no pipelines");
        return;
    };
    let good = std::fs::read(&file).unwrap();
    for at in (0..good.len().min(64)).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        std::fs::write(&file, bad).unwrap();
        open().check().unwrap();
    }
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    open().check().unwrap();
}
