//! Changes to one image `[H, W, C]` with values in [0, 1], as torchvision defines them.
//!
//! Colour functions take the channel count C: 3 is RGB; with 1 (grey) those that change only colour do nothing.

/// The grey value of an RGB pixel (ITU-R 601).
fn luma(p: &[f32]) -> f32 {
    0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]
}

/// `factor` * x + (1 - factor) * other, kept in [0, 1].
fn blend(x: f32, other: f32, factor: f32) -> f32 {
    (factor * x + (1.0 - factor) * other).clamp(0.0, 1.0)
}

/// Exchanges left and right.
pub fn flip_horizontal(x: &mut [f32], [_, w, c]: [usize; 3]) {
    for row in x.chunks_exact_mut(w * c) {
        for j in 0..w / 2 {
            let (left, right) = row.split_at_mut((w - 1 - j) * c);
            left[j * c..(j + 1) * c].swap_with_slice(&mut right[..c]);
        }
    }
}

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// The part `crop`, enlarged to the size of the image: bilinear, pixel centres at half-integers, edges repeated.
#[track_caller]
pub fn resized_crop(x: &[f32], [h, w, c]: [usize; 3], crop: Crop) -> Vec<f32> {
    assert!(
        crop.top + crop.height <= h && crop.left + crop.width <= w && crop.height * crop.width > 0,
        "resized_crop: {crop:?} is not inside a {h} x {w} image"
    );
    let rows: Vec<_> = (0..h).map(|i| tap(i, h, crop.top, crop.height)).collect();
    let columns: Vec<_> = (0..w).map(|j| tap(j, w, crop.left, crop.width)).collect();
    let mut out = Vec::with_capacity(x.len());
    for &(i0, i1, a) in &rows {
        for &(j0, j1, b) in &columns {
            for k in 0..c {
                let at = |i: usize, j: usize| x[(i * w + j) * c + k];
                let top = at(i0, j0) * (1.0 - b) + at(i0, j1) * b;
                let bottom = at(i1, j0) * (1.0 - b) + at(i1, j1) * b;
                out.push(top * (1.0 - a) + bottom * a);
            }
        }
    }
    out
}

/// The two source pixels of output pixel `i` and the weight of the second, for `part` pixels from `start` over `size`.
fn tap(i: usize, size: usize, start: usize, part: usize) -> (usize, usize, f32) {
    let centre = (i as f32 + 0.5) * part as f32 / size as f32 - 0.5;
    let centre = centre.clamp(0.0, (part - 1) as f32);
    let low = centre as usize;
    (start + low, start + (low + 1).min(part - 1), centre - low as f32)
}

/// x * factor.
pub fn brightness(x: &mut [f32], factor: f32) {
    x.iter_mut().for_each(|v| *v = blend(*v, 0.0, factor));
}

/// Moves every value away from (factor > 1) or towards the mean grey value of the image.
pub fn contrast(x: &mut [f32], c: usize, factor: f32) {
    let grey = |p: &[f32]| f64::from(if c == 3 { luma(p) } else { p[0] });
    let mean = (x.chunks_exact(c).map(grey).sum::<f64>() / (x.len() / c) as f64) as f32;
    x.iter_mut().for_each(|v| *v = blend(*v, mean, factor));
}

/// Moves every pixel away from (factor > 1) or towards its own grey value.
pub fn saturation(x: &mut [f32], c: usize, factor: f32) {
    if c == 3 {
        for p in x.chunks_exact_mut(3) {
            let grey = luma(p);
            p.iter_mut().for_each(|v| *v = blend(*v, grey, factor));
        }
    }
}

/// Replaces every pixel by its grey value.
pub fn grey(x: &mut [f32], c: usize) {
    saturation(x, c, 0.0);
}

/// Turns the hue by `shift` of a full circle: 1/3 takes red to green.
pub fn hue(x: &mut [f32], c: usize, shift: f32) {
    if c == 3 {
        for p in x.as_chunks_mut::<3>().0 {
            *p = turn_hue(*p, shift);
        }
    }
}

/// RGB -> HSV, add to the hue, -> RGB.
fn turn_hue([r, g, b]: [f32; 3], shift: f32) -> [f32; 3] {
    let value = r.max(g).max(b);
    let chroma = value - r.min(g).min(b);
    if chroma == 0.0 {
        return [r, g, b];
    }
    // The hue in sixths of the circle: 0 red, 2 green, 4 blue.
    let sixths = if value == r {
        (g - b) / chroma
    } else if value == g {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    let turned = sixths + 6.0 * shift;
    // Channel n (5 red, 3 green, 1 blue): value - chroma * clamp(min(k, 4 - k), 0, 1), k = (n + hue) mod 6.
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + turned).rem_euclid(6.0);
        value - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// Gaussian blur with an odd `kernel` of pixels and deviation `sigma`, mirrored at the edges (without the edge pixel).
#[track_caller]
pub fn gaussian_blur(x: &[f32], [h, w, c]: [usize; 3], kernel: usize, sigma: f64) -> Vec<f32> {
    let radius = kernel / 2;
    assert!(kernel % 2 == 1 && radius < h && radius < w, "gaussian_blur: kernel {kernel} for a {h} x {w} image");
    let weight = |k: usize| (-0.5 * ((k as f64 - radius as f64) / sigma).powi(2)).exp();
    let total: f64 = (0..kernel).map(weight).sum();
    let weights: Vec<f32> = (0..kernel).map(|k| (weight(k) / total) as f32).collect();
    let mirror = |i: usize, k: usize, size: usize| {
        let at = (i + k).abs_diff(radius);
        if at < size { at } else { 2 * (size - 1) - at }
    };
    let mut across = vec![0.0; x.len()];
    let mut out = vec![0.0; x.len()];
    for (at, o) in across.iter_mut().enumerate() {
        let (i, j, ch) = (at / (w * c), at / c % w, at % c);
        *o = (0..kernel).map(|k| weights[k] * x[(i * w + mirror(j, k, w)) * c + ch]).sum();
    }
    for (at, o) in out.iter_mut().enumerate() {
        let (i, j, ch) = (at / (w * c), at / c % w, at % c);
        *o = (0..kernel).map(|k| weights[k] * across[(mirror(i, k, h) * w + j) * c + ch]).sum();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [f32; 3] = [1.0, 0.0, 0.0];

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 2e-6), "{a:?} {b:?}");
    }

    #[test]
    fn turning_the_hue_walks_the_colour_circle() {
        close(&turn_hue(RED, 1.0 / 3.0), &[0.0, 1.0, 0.0]);
        close(&turn_hue(RED, -1.0 / 3.0), &[0.0, 0.0, 1.0]);
        close(&turn_hue(RED, 1.0 / 6.0), &[1.0, 1.0, 0.0]);
        close(&turn_hue([0.3; 3], 0.4), &[0.3; 3]);
        for p in [[0.2, 0.7, 0.4], [0.9, 0.1, 0.6], [0.5, 0.5, 0.1]] {
            close(&turn_hue(p, 0.0), &p);
            close(&turn_hue(p, 1.0 / 3.0), &[p[2], p[0], p[1]]); // a third of the circle exchanges the channels
        }
    }

    #[test]
    fn factors_of_one_change_nothing_and_of_zero_give_the_limit() {
        let image = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0f32]; // red, blue
        let after = |change: &dyn Fn(&mut [f32])| {
            let mut x = image;
            change(&mut x);
            x
        };
        close(&after(&|x| brightness(x, 1.0)), &image);
        close(&after(&|x| contrast(x, 3, 1.0)), &image);
        close(&after(&|x| saturation(x, 3, 1.0)), &image);
        close(&after(&|x| brightness(x, 0.5)), &[0.5, 0.0, 0.0, 0.0, 0.0, 0.5]);
        close(&after(&|x| brightness(x, 1.8)), &image);
        close(&after(&|x| contrast(x, 3, 0.0)), &[(0.299 + 0.114) / 2.0; 6]);
        close(&after(&|x| grey(x, 3)), &[0.299, 0.299, 0.299, 0.114, 0.114, 0.114]);
        close(&after(&|x| grey(x, 1)), &image);
    }

    #[test]
    fn a_flip_exchanges_columns_and_keeps_channels() {
        let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        flip_horizontal(&mut x, [1, 3, 2]);
        assert_eq!(x, [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
    }

    #[test]
    fn a_crop_is_enlarged_bilinearly() {
        let x: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let whole = Crop { top: 0, left: 0, height: 4, width: 4 };
        assert_eq!(resized_crop(&x, [4, 4, 1], whole), x);
        // Two pixels over four: centres at -1/4, 1/4, 3/4, 5/4 of the pair (0, 1), clamped to it.
        let pair = resized_crop(&x, [4, 4, 1], Crop { top: 1, left: 2, height: 1, width: 2 });
        assert_eq!(pair[..4], [6.0, 6.25, 6.75, 7.0]);
        assert_eq!(pair[12..], pair[..4]);
    }

    #[test]
    fn a_blur_keeps_constants_and_spreads_a_point_by_its_weights() {
        close(&gaussian_blur(&[0.7; 36], [6, 6, 1], 5, 1.3), &[0.7; 36]);
        let mut x = [0.0; 49];
        x[24] = 1.0;
        let y = gaussian_blur(&x, [7, 7, 1], 3, 1.0);
        let (side, total) = ((-0.5f32).exp(), 1.0 + 2.0 * (-0.5f32).exp());
        close(&[y[24], y[25], y[16]], &[total.powi(-2), side / total.powi(2), (side / total).powi(2)]);
        // Mirrored edges: the neighbour of the corner counts twice, in each direction.
        let mut x = [0.0; 49];
        x[1] = 1.0;
        close(&gaussian_blur(&x, [7, 7, 1], 3, 1.0)[..1], &[2.0 * side / total.powi(2)]);
    }
}
