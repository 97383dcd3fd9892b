//! PNG bytes of 8-bit RGB pixels.

/// Encodes `rgb`, rows from the top, three bytes a pixel.
pub fn encode(rgb: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // The only way to fail here is a size that does not fit the pixels.
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(rgb));
    assert!(written.is_ok(), "png::encode: {width} x {height} pixels from {} bytes", rgb.len());
    bytes
}
