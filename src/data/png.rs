//! PNG images as `[H, W, C]` bytes, and folders of them as a data set.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use ::png::{BitDepth, ColorType, Decoder, DecodingError, Encoder, Transformations};

use super::{Dataset, Values};
use crate::error::{Error, Result};

/// Pictures with more pixels than this are refused before anything is allocated for them.
const MOST_PIXELS: usize = 1 << 26;

/// Reads an image as 8-bit grey (C = 1) or RGB (C = 3), `[H, W, C]`; palettes are expanded, alpha is dropped.
pub fn read(path: &Path) -> Result<(Vec<u8>, [usize; 3])> {
    let wrong = |e: DecodingError| Error::format(path, "PNG", e);
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(wrong)?;
    let (w, h) = (reader.info().width as usize, reader.info().height as usize);
    let channels = reader.output_color_type().0.samples();
    if w.checked_mul(h).is_none_or(|pixels| pixels > MOST_PIXELS) {
        return Err(Error::format(path, "PNG", format!("{h} x {w} pixels are too many")));
    }
    let mut pixels = vec![0; w * h * channels]; // 8 bits a sample after the transformation above
    reader.next_frame(&mut pixels).map_err(wrong)?;
    reader.finish().map_err(wrong)?;
    let colours = if channels < 3 { 1 } else { 3 };
    if colours < channels {
        pixels = pixels.chunks_exact(channels).flat_map(|p| p[..colours].iter().copied()).collect();
    }
    Ok((pixels, [h, w, colours]))
}

/// Writes 8-bit pixels `[H, W, C]` as a grey (C = 1) or RGB (C = 3) image.
#[track_caller]
pub fn write(path: &Path, shape: [usize; 3], pixels: &[u8]) -> Result<()> {
    let [h, w, c] = shape;
    assert!(pixels.len() == h * w * c && (c == 1 || c == 3), "png: {} bytes for shape {shape:?}", pixels.len());
    let file = File::create(path).map_err(|e| Error::file(path, e))?;
    let mut encoder = Encoder::new(BufWriter::new(file), w as u32, h as u32);
    encoder.set_color(if c == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| Error::file(path, e))?;
    writer.write_image_data(pixels).map_err(|e| Error::file(path, e))?;
    writer.finish().map_err(|e| Error::file(path, e))
}

/// All PNG files of a folder, or of its subfolders (then these are the classes), in the order of their names.
pub(super) fn load(dir: &Path) -> Result<Dataset> {
    let entries = sorted(dir)?;
    let (folders, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|p| p.is_dir());
    let files: Vec<PathBuf> = files.into_iter().filter(|p| is_png(p)).collect();
    let mut labelled = Vec::new();
    for (class, folder) in folders.iter().enumerate() {
        labelled.extend(sorted(folder)?.into_iter().filter(|p| is_png(p)).map(|p| (p, class as u32)));
    }
    match (files.is_empty(), labelled.is_empty()) {
        (true, true) => Err(Error::file(dir, "no .png files in it or in its subfolders")),
        (false, false) => Err(Error::file(dir, "both .png files and subfolders with .png files; keep one kind")),
        (false, true) => read_all(&files),
        (true, false) => {
            let (files, labels): (Vec<PathBuf>, Vec<u32>) = labelled.into_iter().unzip();
            let classes = folders.iter().filter_map(|f| Some(f.file_name()?.to_string_lossy().into_owned())).collect();
            Ok(read_all(&files)?.with_labels(labels, classes))
        }
    }
}

/// The images of `files`, which must all have the shape of the first.
fn read_all(files: &[PathBuf]) -> Result<Dataset> {
    let mut all = Vec::new();
    let mut first = None;
    for file in files {
        let (pixels, shape) = read(file)?;
        let expected = *first.get_or_insert(shape);
        if shape != expected {
            let why = format!("size [H, W, C] = {shape:?}, but {} has {expected:?}", files[0].display());
            return Err(Error::format(file, "PNG", why));
        }
        all.extend(pixels);
    }
    let shape = first.expect("at least one file");
    Ok(Dataset::new("png", shape.to_vec(), Values::U8(all)))
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

/// The entries of a folder in the order of their names.
fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::file(dir, e))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|e| Error::file(dir, e))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{scratch, shared_data};

    #[test]
    fn grey_and_colour_images_read_back_as_written() {
        let path = scratch("png").join("x.png");
        for c in [1, 3] {
            let pixels: Vec<u8> = (0..5 * 7 * c).map(|i| (i * 37) as u8).collect();
            write(&path, [5, 7, c], &pixels).unwrap();
            assert_eq!(read(&path).unwrap(), (pixels, [5, 7, c]));
        }
    }

    #[test]
    fn other_kinds_of_png_become_eight_bit_grey_or_rgb() {
        let path = scratch("png-kinds").join("x.png");
        let read_as = |colour, depth, data: &[u8]| {
            let mut encoder = Encoder::new(File::create(&path).unwrap(), 2, 1);
            encoder.set_color(colour);
            encoder.set_depth(depth);
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
            encoder.set_trns(if colour == ColorType::Indexed { vec![0, 255] } else { Vec::new() });
            encoder.write_header().unwrap().write_image_data(data).unwrap();
            read(&path).unwrap()
        };
        assert_eq!(read_as(ColorType::Indexed, BitDepth::Eight, &[1, 0]), (vec![4, 5, 6, 1, 2, 3], [1, 2, 3]));
        assert_eq!(
            read_as(ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 0, 4, 5, 6, 0]),
            (vec![1, 2, 3, 4, 5, 6], [1, 2, 3])
        );
        assert_eq!(read_as(ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 0, 8, 9]), (vec![7, 8], [1, 2, 1]));
        assert_eq!(read_as(ColorType::Grayscale, BitDepth::Sixteen, &[7, 1, 8, 2]), (vec![7, 8], [1, 2, 1]));
        assert_eq!(read_as(ColorType::Grayscale, BitDepth::One, &[0b0100_0000]), (vec![0, 255], [1, 2, 1]));
    }

    #[test]
    fn a_folder_is_labelled_by_its_subfolders() {
        let dir = scratch("png-folder");
        for (class, file, value) in [("b", "0", 3), ("a", "1", 2), ("a", "0", 1)] {
            std::fs::create_dir_all(dir.join(class)).unwrap();
            write(&dir.join(class).join(format!("{file}.png")), [1, 1, 1], &[value]).unwrap();
        }
        let set = load(&dir).unwrap();
        assert_eq!((set.values, set.labels), (Values::U8(vec![1, 2, 3]), Some(vec![0, 0, 1])));
        assert_eq!(set.classes, ["a", "b"]);
        let flat = load(&dir.join("a")).unwrap();
        assert_eq!((flat.len(), flat.labels), (2, None));
        write(&dir.join("stray.png"), [1, 1, 1], &[0]).unwrap();
        assert!(load(&dir).unwrap_err().to_string().contains("keep one kind"));
    }

    #[test]
    fn an_image_of_another_size_and_damaged_images_are_refused() {
        let dir = scratch("png-bad");
        write(&dir.join("0.png"), [4, 4, 1], &[9; 16]).unwrap();
        write(&dir.join("1.png"), [4, 5, 1], &[9; 20]).unwrap();
        let e = load(&dir).unwrap_err();
        assert!(matches!(e, Error::Format { .. }) && e.to_string().contains("[4, 5, 1]"), "{e}");
        let good = std::fs::read(dir.join("0.png")).unwrap();
        let refuse = |bytes: &[u8]| {
            std::fs::write(dir.join("1.png"), bytes).unwrap();
            assert!(matches!(load(&dir), Err(Error::Format { .. })), "{} bytes", bytes.len());
        };
        for cut in [0, 4, 20, good.len() / 2, good.len() - 12] {
            refuse(&good[..cut]);
        }
        refuse(b"not an image at all");
        assert!(matches!(load(&dir.join("none")), Err(Error::File { .. })));
    }

    #[test]
    fn the_cifar_sample_folder_loads() {
        let Some(dir) = shared_data("cifar_sample_folder", "cifar-10-png-sample") else { return };
        let set = load(&dir).unwrap();
        assert_eq!((set.len(), &set.sample_shape[..], set.classes.len()), (100, &[32, 32, 3][..], 10));
        assert_eq!(set.labels.unwrap()[10], 1);
    }
}
