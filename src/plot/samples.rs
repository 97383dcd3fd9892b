//! Images side by side: grids of samples and strips of chains.

use super::{NAN, Picture, Rgb};

/// Pixels between images, before the enlargement.
const GAP: usize = 1;
/// A picture is enlarged by a whole factor until it is about this wide.
const WIDTH: usize = 640;
const BACKGROUND: Rgb = [128, 128, 128];

/// The most channels that can be drawn: grey, grey and alpha, colour, colour and alpha. Alpha is over black.
pub const MOST_CHANNELS: usize = 4;

/// `images[N,H,W,C]` with values in [0, 1] (clamped; NaN is magenta) in rows of `columns`, the first at the top left.
///
/// # Panics
/// If C is not 1 to [`MOST_CHANNELS`], or `images` does not fill `shape`.
#[track_caller]
pub fn grid(images: &[f32], shape: [usize; 4], columns: usize) -> Picture {
    let [n, h, w, c] = shape;
    check("plot::grid", images.len(), shape);
    assert!(columns > 0, "plot::grid: no columns");
    let size = h * w * c;
    tile((0..n).map(|i| &images[i * size..(i + 1) * size]), [h, w, c], n.div_ceil(columns), columns)
}

/// Chains of images: row i shows image i of every frame, `frames[t][N,H,W,C]`, time running to the right.
///
/// # Panics
/// If C is not 1 to [`MOST_CHANNELS`], or a frame does not fill `shape`.
#[track_caller]
pub fn strips(frames: &[Vec<f32>], shape: [usize; 4]) -> Picture {
    let [n, h, w, c] = shape;
    frames.iter().for_each(|frame| check("plot::strips", frame.len(), shape));
    let size = h * w * c;
    let images = (0..n).flat_map(|i| frames.iter().map(move |frame| &frame[i * size..(i + 1) * size]));
    tile(images, [h, w, c], n, frames.len())
}

/// Pictures one beside the other.
pub fn beside(pictures: &[Picture]) -> Picture {
    let (width, height) =
        (pictures.iter().map(|p| p.width).sum(), pictures.iter().map(|p| p.height).max().unwrap_or(0));
    let (mut all, mut left) = (Picture::new(width, height, BACKGROUND), 0);
    for picture in pictures {
        all.paste(left, 0, picture);
        left += picture.width;
    }
    all
}

/// Pictures one below the other.
pub fn stack(pictures: &[Picture]) -> Picture {
    let width = pictures.iter().map(|p| p.width).max().unwrap_or(0);
    let mut all = Picture::new(width, pictures.iter().map(|p| p.height).sum(), super::WHITE);
    let mut top = 0;
    for picture in pictures {
        all.paste(0, top, picture);
        top += picture.height;
    }
    all
}

#[track_caller]
fn check(name: &str, count: usize, shape: [usize; 4]) {
    assert!((1..=MOST_CHANNELS).contains(&shape[3]), "{name}: images have 1 to 4 channels, got shape {shape:?}");
    assert!(count == shape.iter().product::<usize>(), "{name}: {count} values do not fill shape {shape:?}");
}

fn tile<'a>(images: impl Iterator<Item = &'a [f32]>, [h, w, c]: [usize; 3], rows: usize, columns: usize) -> Picture {
    let (step_x, step_y) = (w + GAP, h + GAP);
    let (width, height) = (columns * step_x + GAP, rows * step_y + GAP);
    let scale = WIDTH.div_ceil(width);
    let mut picture = Picture::new(width * scale, height * scale, BACKGROUND);
    for (i, image) in images.enumerate() {
        let (left, top) = (GAP + i % columns * step_x, GAP + i / columns * step_y);
        for (p, pixel) in image.chunks_exact(c).enumerate() {
            let (x, y) = (left + p % w, top + p / w);
            picture.fill(x * scale, y * scale, scale, scale, color(pixel));
        }
    }
    picture
}

/// The colour of one to four channels; an even last one is alpha.
fn color(pixel: &[f32]) -> Rgb {
    if pixel.iter().any(|v| v.is_nan()) {
        return NAN;
    }
    let (color, alpha) = match *pixel {
        [grey, alpha] => ([grey; 3], alpha),
        [red, green, blue, alpha] => ([red, green, blue], alpha),
        _ => (std::array::from_fn(|i| pixel[i % pixel.len()]), 1.0),
    };
    color.map(|c| (c.clamp(0.0, 1.0) * alpha.clamp(0.0, 1.0) * 255.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_row_by_row_with_gaps() {
        // Five images of one pixel in rows of three, each with its own value.
        let values = [0.0, 0.2, 0.4, 0.6, 1.0];
        let picture = grid(&values, [5, 1, 1, 1], 3);
        let scale = picture.width / 7;
        assert_eq!((picture.width, picture.height), (7 * scale, 5 * scale));
        assert!(picture.width >= WIDTH);
        let at = |x: usize, y: usize| picture.get(x * scale + scale - 1, y * scale);
        assert_eq!([at(1, 1), at(3, 1), at(5, 1)], [[0; 3], [51; 3], [102; 3]]);
        assert_eq!([at(1, 3), at(3, 3), at(5, 3)], [[153; 3], [255; 3], BACKGROUND]);
        assert_eq!([at(0, 0), at(2, 1), at(1, 2), at(6, 4)], [BACKGROUND; 4]);
    }

    #[test]
    fn colours_are_clamped_and_nan_is_seen() {
        let picture = grid(&[-1.0, 0.5, 2.0, f32::NAN, 0.0, 0.0], [1, 1, 2, 3], 1);
        let scale = picture.width / 4;
        assert_eq!(picture.get(scale, scale), [0, 128, 255]);
        assert_eq!(picture.get(2 * scale, scale), NAN);
    }

    #[test]
    fn alpha_is_over_black() {
        let first = |image: &[f32]| grid(image, [1, 1, 1, image.len()], 1).get(WIDTH / 2, WIDTH / 2);
        assert_eq!(first(&[0.8, 0.5]), [102; 3]);
        assert_eq!(first(&[0.2, 0.4, 2.0, 0.5]), [26, 51, 128]);
    }

    #[test]
    fn pictures_lie_beside_each_other_and_below() {
        let [a, b] = [[1; 3], [2; 3]].map(|color| Picture::new(2, if color == [1; 3] { 3 } else { 1 }, color));
        let (row, column) = (beside(&[a.clone(), b.clone()]), stack(&[a, b]));
        assert_eq!(([row.width, row.height], [column.width, column.height]), ([4, 3], [2, 4]));
        assert_eq!([row.get(1, 2), row.get(3, 0), row.get(3, 2)], [[1; 3], [2; 3], BACKGROUND]);
        assert_eq!([column.get(1, 2), column.get(1, 3)], [[1; 3], [2; 3]]);
    }

    #[test]
    fn a_strip_shows_time_to_the_right() {
        let frames = [vec![0.0, 0.2], vec![0.4, 0.6], vec![0.8, 1.0]];
        assert_eq!(strips(&frames, [2, 1, 1, 1]), grid(&[0.0, 0.4, 0.8, 0.2, 0.6, 1.0], [6, 1, 1, 1], 3));
    }

    #[test]
    #[should_panic(expected = "plot::grid: 5 values do not fill shape [2, 1, 3, 1]")]
    fn a_wrong_shape_is_named() {
        grid(&[0.0; 5], [2, 1, 3, 1], 2);
    }
}
