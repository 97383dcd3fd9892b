//! PNG bytes of 8-bit RGB pixels.

use super::Picture;

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

/// An animated PNG of pictures of one size, shown again and again: each for `milliseconds[0]`, the last for
/// `milliseconds[1]`. What cannot show animations shows the first.
///
/// # Panics
/// Without pictures, or if their sizes differ.
#[track_caller]
pub fn animation(pictures: &[Picture], milliseconds: [u16; 2]) -> Vec<u8> {
    let (first, last) = (&pictures[0], pictures.len() - 1);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, first.width as u32, first.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.set_animated(pictures.len() as u32, 0).and_then(|()| encoder.write_header());
    let written = written.and_then(|mut writer| {
        pictures.iter().enumerate().try_for_each(|(i, picture)| {
            writer.set_frame_delay(milliseconds[usize::from(i == last)], 1000)?;
            writer.write_image_data(&picture.rgb)
        })
    });
    assert!(written.is_ok(), "png::animation: pictures of different sizes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_animation_holds_every_picture() {
        let pictures = [[1, 2, 3], [4, 5, 6]].map(|color| Picture::new(3, 2, color));
        let bytes = animation(&pictures, [100, 500]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 2);
        let mut pixels = vec![0; 18];
        for (picture, delay) in pictures.iter().zip([100, 500]) {
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, picture.rgb);
            assert_eq!(reader.info().frame_control().unwrap().delay_num, delay);
        }
    }
}
