//! Random changes of images that let a replay memory hop between modes (Improved CD, section "augmentation moves").

use serde::{Deserialize, Serialize};

use super::draws::Draws;
use super::pixels::{self, Crop};
use crate::error::{Error, Result};
use crate::tensor::Key;

/// What may happen to an image, in this order: crop, flip, colour jitter, grey, blur. The default changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Share [lo, hi] of the area that a random crop keeps, enlarged to the full size; absent: no crop.
    /// The aspect ratio is log-uniform on [3/4, 4/3].
    pub crop_area: Option<[f64; 2]>,
    /// Probability of exchanging left and right.
    pub flip: f64,
    /// Probability of the colour jitter: the four changes below in random order.
    pub jitter: f64,
    /// Brightness factor uniform on [max(0, 1 - b), 1 + b].
    pub brightness: f64,
    /// Contrast factor, likewise.
    pub contrast: f64,
    /// Saturation factor, likewise.
    pub saturation: f64,
    /// Hue shift uniform on [-hue, hue] of a full circle, at most 0.5.
    pub hue: f64,
    /// Probability of taking the colour away.
    pub grey: f64,
    /// Probability of a Gaussian blur.
    pub blur: f64,
    /// Width of the blur kernel in pixels, odd.
    pub blur_kernel: usize,
    /// Deviation of the blur in pixels, uniform on [lo, hi].
    pub blur_sigma: [f64; 2],
}

impl Default for Augment {
    fn default() -> Augment {
        Augment {
            crop_area: None,
            flip: 0.0,
            jitter: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey: 0.0,
            blur: 0.0,
            blur_kernel: 5,
            blur_sigma: [0.1, 2.0],
        }
    }
}

impl Augment {
    /// The moves of the CIFAR-10 experiments: crop .08 to 1, flip, jitter .8/.8/.8/.4 with p = .8, grey with p = .2.
    pub fn cifar() -> Augment {
        Augment {
            crop_area: Some([0.08, 1.0]),
            flip: 0.5,
            jitter: 0.8,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.4,
            grey: 0.2,
            ..Augment::default()
        }
    }

    /// Checks the settings against images of `shape` = [H, W, C]; call it once before training.
    pub fn check(&self, shape: [usize; 3]) -> Result<()> {
        let probabilities = [("flip", self.flip), ("jitter", self.jitter), ("grey", self.grey), ("blur", self.blur)];
        for (name, p) in probabilities {
            ensure((0.0..=1.0).contains(&p), || format!("augment.{name} = {p}: a probability is in 0..1"))?;
        }
        let strengths = [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)];
        for (name, s) in strengths {
            ensure(s >= 0.0 && s.is_finite(), || format!("augment.{name} = {s}: must not be negative"))?;
        }
        ensure((0.0..=0.5).contains(&self.hue), || format!("augment.hue = {}: must be in 0..0.5", self.hue))?;
        if let Some([lo, hi]) = self.crop_area {
            let good = 0.0 < lo && lo <= hi && hi <= 1.0;
            ensure(good, || format!("augment.crop_area = [{lo}, {hi}]: must be 0 < lo <= hi <= 1"))?;
        }
        let ([lo, hi], kernel) = (self.blur_sigma, self.blur_kernel);
        ensure(0.0 < lo && lo <= hi, || format!("augment.blur_sigma = [{lo}, {hi}]: must be 0 < lo <= hi"))?;
        let fits = kernel % 2 == 1 && kernel / 2 < shape[0].min(shape[1]);
        ensure(self.blur == 0.0 || fits, || {
            format!("augment.blur_kernel = {kernel}: must be odd and below twice the image side")
        })
    }

    /// Changes a batch `[N, H, W, C]` in place; image i uses its own key, `key.index(i)`.
    pub fn batch(&self, images: &mut [f32], shape: [usize; 3], key: &Key) {
        let size = shape.iter().product();
        for (i, image) in images.chunks_exact_mut(size).enumerate() {
            self.image(image, shape, &key.index(i as u64));
        }
    }

    /// Changes one image `[H, W, C]` with values in [0, 1] in place: a pure function of the image and the key.
    ///
    /// Panics unless C is 1 or 3.
    #[track_caller]
    pub fn image(&self, x: &mut [f32], shape: [usize; 3], key: &Key) {
        let c = shape[2];
        assert!(
            x.len() == shape.iter().product::<usize>() && (c == 1 || c == 3),
            "augment: {} values, {shape:?}",
            x.len()
        );
        let d = &mut Draws::new(key.clone());
        if let Some(area) = self.crop_area {
            let crop = random_crop(shape, area, d);
            x.copy_from_slice(&pixels::resized_crop(x, shape, crop));
        }
        if d.chance(self.flip) {
            pixels::flip_horizontal(x, shape);
        }
        if d.chance(self.jitter) {
            self.jitter(x, c, d);
        }
        if d.chance(self.grey) {
            pixels::grey(x, c);
        }
        if d.chance(self.blur) {
            let sigma = d.between(self.blur_sigma[0], self.blur_sigma[1]);
            x.copy_from_slice(&pixels::gaussian_blur(x, shape, self.blur_kernel, sigma));
        }
    }

    /// Brightness, contrast, saturation and hue in random order.
    fn jitter(&self, x: &mut [f32], c: usize, d: &mut Draws) {
        let mut order = [0, 1, 2, 3];
        for i in (1..4).rev() {
            order.swap(i, d.below(i + 1));
        }
        for change in order {
            let mut factor = |strength: f64| d.between((1.0 - strength).max(0.0), 1.0 + strength) as f32;
            match change {
                0 => pixels::brightness(x, factor(self.brightness)),
                1 => pixels::contrast(x, c, factor(self.contrast)),
                2 => pixels::saturation(x, c, factor(self.saturation)),
                _ => pixels::hue(x, c, d.between(-self.hue, self.hue) as f32),
            }
        }
    }
}

/// A crop of random area and aspect: ten attempts, then the whole image.
fn random_crop([h, w, _]: [usize; 3], area: [f64; 2], d: &mut Draws) -> Crop {
    for _ in 0..10 {
        let pixels = (h * w) as f64 * d.between(area[0], area[1]);
        let aspect = d.between((3.0f64 / 4.0).ln(), (4.0f64 / 3.0).ln()).exp();
        let width = (pixels * aspect).sqrt().round() as usize;
        let height = (pixels / aspect).sqrt().round() as usize;
        if (1..=w).contains(&width) && (1..=h).contains(&height) {
            return Crop { top: d.below(h - height + 1), left: d.below(w - width + 1), height, width };
        }
    }
    Crop { top: 0, left: 0, height: h, width: w }
}

fn ensure(good: bool, text: impl Fn() -> String) -> Result<()> {
    if good { Ok(()) } else { Err(Error::setting(text())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [8, 8, 3];

    fn image() -> Vec<f32> {
        (0..8 * 8 * 3).map(|i| (i * 29 % 64) as f32 / 63.0).collect()
    }

    #[test]
    fn the_default_changes_nothing_and_each_probability_works_alone() {
        let changed = |augment: Augment| {
            augment.check(SHAPE).unwrap();
            let mut x = image();
            augment.image(&mut x, SHAPE, &Key::new(0));
            x
        };
        assert_eq!(changed(Augment::default()), image());
        let mut flipped = image();
        pixels::flip_horizontal(&mut flipped, SHAPE);
        assert_eq!(changed(Augment { flip: 1.0, ..Augment::default() }), flipped);
        let grey = changed(Augment { grey: 1.0, ..Augment::default() });
        assert!(grey.as_chunks::<3>().0.iter().all(|p| (p[0] - p[1]).abs().max((p[1] - p[2]).abs()) < 1e-6));
        assert_ne!(changed(Augment { blur: 1.0, ..Augment::default() }), image());
        assert_ne!(changed(Augment { crop_area: Some([0.2, 0.5]), ..Augment::default() }), image());
    }

    #[test]
    fn a_batch_is_a_pure_function_of_the_key_and_stays_in_the_unit_interval() {
        let augment = Augment { blur: 0.5, ..Augment::cifar() };
        let run = |seed| {
            let mut x = image().repeat(50);
            augment.batch(&mut x, SHAPE, &Key::new(seed));
            x
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let x = run(1);
        assert!(x.iter().all(|v| (-1e-6..=1.0 + 1e-6).contains(v)));
        assert_ne!(x[..192], x[192..384]);
    }

    /// Uniform area on [.08, 1]: crops that do not fit are redrawn, so the mean is a little below .54 but above .4.
    #[test]
    fn crops_lie_inside_and_cover_the_range_of_areas() {
        let d = &mut Draws::new(Key::new(5));
        let n = 2000;
        let areas = (0..n).map(|_| {
            let c = random_crop([32, 32, 3], [0.08, 1.0], d);
            assert!(c.top + c.height <= 32 && c.left + c.width <= 32);
            (c.width * c.height) as f64 / 1024.0
        });
        let areas: Vec<f64> = areas.collect();
        let (lo, hi) = areas.iter().fold((1.0f64, 0.0f64), |(lo, hi), &a| (lo.min(a), hi.max(a)));
        let mean = areas.iter().sum::<f64>() / n as f64;
        assert!(lo < 0.1 && hi > 0.95 && (0.4..0.54).contains(&mean), "{lo} {mean} {hi}");
    }

    #[test]
    fn settings_are_read_from_toml_and_wrong_ones_named() {
        let text = toml::to_string(&Augment::cifar()).unwrap();
        assert_eq!(toml::from_str::<Augment>(&text).unwrap(), Augment::cifar());
        assert_eq!(toml::from_str::<Augment>("").unwrap(), Augment::default());
        assert!(toml::from_str::<Augment>("flop = 0.5").is_err());
        let refuse = |augment: Augment, expect: &str| {
            let text = augment.check(SHAPE).unwrap_err().to_string();
            assert!(text.contains(expect), "{text}");
        };
        refuse(Augment { flip: 1.5, ..Augment::default() }, "augment.flip = 1.5");
        refuse(Augment { hue: 0.6, ..Augment::default() }, "augment.hue");
        refuse(Augment { crop_area: Some([0.5, 0.1]), ..Augment::default() }, "crop_area");
        refuse(Augment { blur: 0.5, blur_kernel: 4, ..Augment::default() }, "blur_kernel = 4");
        refuse(Augment { blur: 0.5, blur_kernel: 17, ..Augment::default() }, "blur_kernel = 17");
    }
}
