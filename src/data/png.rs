//! PNG images as `[H, W, C]` bytes.

use std::io::Cursor;

use ::png::{Decoder, DecodingError, Transformations};

/// Pictures with more pixels than this are refused before anything is allocated for them.
const MOST_PIXELS: usize = 1 << 26;

/// Decodes an image as 8-bit grey (C = 1) or RGB (C = 3), `[H, W, C]`; palettes are expanded, and what is transparent
/// is laid over black.
pub fn decode(bytes: &[u8]) -> Result<(Vec<u8>, [usize; 3]), String> {
    let wrong = |e: DecodingError| e.to_string();
    check_palettes(bytes)?;
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(wrong)?;
    let (w, h) = (reader.info().width as usize, reader.info().height as usize);
    if w.checked_mul(h).is_none_or(|pixels| pixels > MOST_PIXELS) {
        return Err(format!("{h} x {w} pixels are too many"));
    }
    let channels = reader.output_color_type().0.samples();
    let mut pixels = vec![0; w * h * channels]; // 8 bits a sample after the transformation above
    let frame = reader.next_frame(&mut pixels).map_err(wrong)?;
    if (frame.width as usize, frame.height as usize) != (w, h) {
        return Err("its first frame is smaller than the image".into());
    }
    reader.finish().map_err(wrong)?;
    let colours = if channels < 3 { 1 } else { 3 };
    if colours < channels {
        let over_black = |value: u8, alpha: u8| ((u16::from(value) * u16::from(alpha) + 127) / 255) as u8;
        for pixel in 0..w * h {
            for c in 0..colours {
                let (value, alpha) = (pixels[pixel * channels + c], pixels[pixel * channels + colours]);
                pixels[pixel * colours + c] = over_black(value, alpha);
            }
        }
        pixels.truncate(w * h * colours);
    }
    Ok((pixels, [h, w, colours]))
}

/// Refuses palettes that are no list of colours, on which the decoder would panic.
fn check_palettes(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    // A chunk: the length of its data, its name, the data, a checksum.
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        if after.starts_with(b"PLTE") && !length.is_multiple_of(3) {
            return Err(format!("a palette of {length} bytes, which are no list of colours"));
        }
        rest = after.get(length.saturating_add(8)..).unwrap_or_default();
    }
    Ok(())
}

/// The PNG file of 8-bit pixels `[H, W, C]` with C = 1 or 3, for tests.
#[cfg(test)]
pub(crate) fn encode([h, w, c]: [usize; 3], pixels: &[u8]) -> Vec<u8> {
    let colour = if c == 1 { ::png::ColorType::Grayscale } else { ::png::ColorType::Rgb };
    tests::encode_as(colour, ::png::BitDepth::Eight, [h, w], pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::png::{BitDepth, ColorType, Encoder};

    pub fn encode_as(colour: ColorType, depth: BitDepth, [h, w]: [usize; 2], data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, w as u32, h as u32);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
            encoder.set_trns(vec![0, 255]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn grey_and_colour_images_read_back_as_written() {
        for c in [1, 3] {
            let pixels: Vec<u8> = (0..5 * 7 * c).map(|i| (i * 37) as u8).collect();
            assert_eq!(decode(&encode([5, 7, c], &pixels)).unwrap(), (pixels, [5, 7, c]));
        }
    }

    #[test]
    fn other_kinds_become_eight_bit_grey_or_rgb_over_black() {
        let read = |colour, depth, data: &[u8]| decode(&encode_as(colour, depth, [1, 2], data)).unwrap();
        let rgb = |pixels: [u8; 6]| (pixels.to_vec(), [1, 2, 3]);
        assert_eq!(read(ColorType::Indexed, BitDepth::Eight, &[1, 0]), rgb([4, 5, 6, 0, 0, 0]));
        let half = [100, 150, 255, 128, 4, 5, 6, 255];
        assert_eq!(read(ColorType::Rgba, BitDepth::Eight, &half), rgb([50, 75, 128, 4, 5, 6]));
        assert_eq!(read(ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 0, 8, 255]), (vec![0, 8], [1, 2, 1]));
        assert_eq!(read(ColorType::Grayscale, BitDepth::Sixteen, &[7, 1, 8, 2]), (vec![7, 8], [1, 2, 1]));
        assert_eq!(read(ColorType::Grayscale, BitDepth::One, &[0b0100_0000]), (vec![0, 255], [1, 2, 1]));
    }

    #[test]
    fn damaged_images_are_refused() {
        let good = encode([4, 4, 1], &[9; 16]);
        assert!([0, 4, 20, good.len() / 2, good.len() - 12].iter().all(|&cut| decode(&good[..cut]).is_err()));
        assert!(decode(b"not an image at all").is_err());
    }

    /// Four bytes are no palette; the checksum of the chunk is right.
    #[test]
    fn a_palette_that_is_no_list_of_colours_is_refused() {
        let good = encode_as(ColorType::Indexed, BitDepth::Eight, [1, 2], &[1, 0]);
        let at = good.windows(4).position(|w| w == b"PLTE").unwrap();
        let chunk = [&b"PLTE"[..], &[1, 2, 3, 4]].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        let rest = &good[at + 4 + 6 + 4..];
        let bad = [&good[..at - 4], &4u32.to_be_bytes(), &chunk, &crc.sum().to_be_bytes(), rest].concat();
        assert!(decode(&bad).unwrap_err().contains("a palette of 4 bytes"));
    }
}
