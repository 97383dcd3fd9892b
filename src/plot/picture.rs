//! A small canvas of RGB pixels.

use super::{Rgb, font, png};

/// An RGB picture, origin at the top left.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// Three bytes a pixel, rows from the top.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// A picture of one colour.
    pub fn new(width: usize, height: usize, color: Rgb) -> Picture {
        Picture { width, height, rgb: color.repeat(width * height) }
    }

    /// The picture as a PNG file.
    pub fn png(&self) -> Vec<u8> {
        png::encode(&self.rgb, self.width, self.height)
    }

    /// The colour at column `x`, row `y`.
    #[track_caller]
    pub fn get(&self, x: usize, y: usize) -> Rgb {
        assert!(x < self.width && y < self.height, "Picture::get: ({x}, {y}) of {} x {}", self.width, self.height);
        let at = 3 * (y * self.width + x);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Sets a pixel; what is outside the picture is cut off.
    pub(super) fn set(&mut self, x: usize, y: usize, color: Rgb) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.rgb[at..at + 3].copy_from_slice(&color);
        }
    }

    /// Mixes `alpha` of `color` into a pixel.
    pub(super) fn blend(&mut self, x: usize, y: usize, color: Rgb, alpha: f32) {
        if x < self.width && y < self.height {
            let old = self.get(x, y);
            let mix = |i: usize| (old[i] as f32 + alpha * (color[i] as f32 - old[i] as f32)).round() as u8;
            self.set(x, y, std::array::from_fn(mix));
        }
    }

    /// Fills the rectangle of `width` x `height` pixels whose top left corner is (`x`, `y`).
    pub(super) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, color: Rgb) {
        for row in y..y + height {
            (x..x + width).for_each(|column| self.set(column, row, color));
        }
    }

    /// A frame one pixel wide just outside that rectangle.
    pub(super) fn frame(&mut self, x: usize, y: usize, width: usize, height: usize, color: Rgb) {
        self.fill(x - 1, y - 1, width + 2, 1, color);
        self.fill(x - 1, y + height, width + 2, 1, color);
        self.fill(x - 1, y, 1, height, color);
        self.fill(x + width, y, 1, height, color);
    }

    /// Copies `other` so that its top left corner is at (`x`, `y`).
    pub(super) fn paste(&mut self, x: usize, y: usize, other: &Picture) {
        for row in 0..other.height {
            (0..other.width).for_each(|column| self.set(x + column, y + row, other.get(column, row)));
        }
    }

    /// Writes `text` with its top left corner at (`x`, `y`).
    pub(super) fn text(&mut self, x: usize, y: usize, text: &str, color: Rgb) {
        for (i, glyph) in font::glyphs(text).enumerate() {
            for (column, bits) in glyph.iter().enumerate() {
                for row in (0..8).filter(|row| bits >> row & 1 == 1) {
                    let s = font::SCALE;
                    self.fill(x + i * font::ADVANCE + column * s, y + row * s, s, s, color);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_png_holds_the_pixels() {
        let mut picture = Picture::new(3, 2, [1, 2, 3]);
        picture.set(2, 1, [9, 8, 7]);
        picture.set(3, 0, [0, 0, 0]);
        let bytes = picture.png();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; 18];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (3, 2, ::png::ColorType::Rgb));
        assert_eq!(pixels, picture.rgb);
        assert_eq!(pixels[15..], [9, 8, 7]);
    }

    #[test]
    fn a_letter_is_drawn_where_it_belongs() {
        let mut picture = Picture::new(40, 20, [255; 3]);
        picture.text(2, 2, "L", [0; 3]);
        // The foot of the L: row 6 of the glyph, its five columns.
        let y = 2 + 6 * font::SCALE;
        assert!((0..5 * font::SCALE).all(|x| picture.get(2 + x, y) == [0; 3]));
        assert_eq!(picture.get(2 + 2 * font::SCALE, 2), [255; 3]);
    }
}
