//! The moves of [`Augment`] on the device, in the order crop, flip, colour jitter, grey, blur: compositions of public ops, the
//! same numbers on every device up to rounding. The host's one-image forms in [`crate::data::pixels`] are their test.
//!
//! Two differences: a crop's corners need not lie on pixels, and a side that would not fit is cut to the image (the host draws
//! again); the four parts of the jitter come in one order, brightness, contrast, saturation, hue.

use super::moves::chance;
use crate::data::Augment;
use crate::tensor::{Key, Tensor};

/// Images `x [N, H, W, C]` with values in [0, 1], each changed by chance.
pub(super) fn apply(moves: &Augment, x: &Tensor, key: &Key) -> Tensor {
    let mut x = x.clone();
    if moves.crop_area.is_some() || moves.flip > 0.0 {
        x = crop(moves, &x, &key.named("crop"));
    }
    if moves.jitter > 0.0 {
        let jittered = jitter(moves, &x, &key.named("jitter"));
        x = chance(&x, "jitters", moves.jitter, key).where_(&jittered, &x);
    }
    if moves.grey > 0.0 && x.dim(3) == 3 {
        x = chance(&x, "greys", moves.grey, key).where_(&luma(&x), &x);
    }
    if moves.blur > 0.0 {
        let [lo, hi] = moves.blur_sigma;
        let blurred = blur(&x, moves.blur_kernel, &between(&x, "sigma", lo, hi, key));
        x = chance(&x, "blurs", moves.blur, key).where_(&blurred, &x);
    }
    x
}

/// Uniform on (lo, hi) for each sample, `[N, 1, 1, 1]`.
fn between(x: &Tensor, name: &str, lo: f64, hi: f64, key: &Key) -> Tensor {
    Tensor::uniform(x.device(), [x.dim(0)], &key.named(name)).affine(hi - lo, lo).per_sample(x)
}

/// `y[n, i, j, c] = sum_kl down[n, i, k] across[n, j, l] x[n, k, l, c]`: every image times matrices of its own.
fn separable(x: &Tensor, down: &Tensor, across: &Tensor) -> Tensor {
    let [n, h, w, c] = x.shape()[..] else { unreachable!("images are [N, H, W, C]") };
    let rows = down.matmul(&x.reshape([n, h, w * c])).reshape([n, h, w, c]);
    across.reshape([n, 1, w, w]).matmul(&rows)
}

/// A random part of the image, enlarged to its size, mirrored by chance.
fn crop(moves: &Augment, x: &Tensor, key: &Key) -> Tensor {
    let (n, h, w) = (x.dim(0), x.dim(1), x.dim(2));
    let uniform = |name: &str| Tensor::uniform(x.device(), [n, 1, 1], &key.named(name));
    let [lo, hi] = moves.crop_area.unwrap_or([1.0, 1.0]);
    let area = uniform("area").affine(hi - lo, lo);
    let most = if moves.crop_area.is_some() { (4.0f64 / 3.0).ln() } else { 0.0 };
    // Sides in pixels: width / height = aspect, the area a share of that of the image.
    let aspect = uniform("aspect").affine(2.0 * most, -most).exp().mul_scalar(h as f64 / w as f64);
    let height = (&area / &aspect).sqrt().clamp(0.0, 1.0);
    let width = (&area * &aspect).sqrt().clamp(0.0, 1.0);
    let top = uniform("top") * height.affine(-1.0, 1.0);
    let left = uniform("left") * width.affine(-1.0, 1.0);
    let flip = chance(x, "flip", moves.flip, key).reshape([n, 1, 1]);
    separable(x, &enlarge(&top, &height, h, None), &enlarge(&left, &width, w, Some(&flip)))
}

/// `[N, size, size]`: row j holds the bilinear weights of output pixel j, the centre of the j-th part of `[start, start +
/// length]` (shares of the side), edges repeated; in reverse order where `flip`.
fn enlarge(start: &Tensor, length: &Tensor, size: usize, flip: Option<&Tensor>) -> Tensor {
    let pixel = Tensor::iota(start.device(), size);
    let mut share = pixel.affine(1.0 / size as f64, 0.5 / size as f64).reshape([1, size, 1]);
    if let Some(flip) = flip {
        share = flip.where_(&share.affine(-1.0, 1.0), &share);
    }
    let at = (&share * length + start).affine(size as f64, -0.5).clamp(0.0, (size - 1) as f64); // [N, size, 1]
    // The tent around it: the two neighbours share it by their distance.
    (at - pixel).abs().affine(-1.0, 1.0).relu()
}

/// Brightness, contrast, saturation and hue, by factors uniform on `[max(0, 1 - s), 1 + s]` and a shift.
fn jitter(moves: &Augment, x: &Tensor, key: &Key) -> Tensor {
    let factor = |name: &str, s: f64| between(x, name, (1.0 - s).max(0.0), 1.0 + s, key);
    let bright = (x * factor("brightness", moves.brightness)).clamp(0.0, 1.0);
    let contrasted = blend(&bright, &luma(&bright).mean_keepdim(&[1, 2]), &factor("contrast", moves.contrast));
    if x.dim(3) == 1 {
        return contrasted;
    }
    let saturated = blend(&contrasted, &luma(&contrasted), &factor("saturation", moves.saturation));
    turn_hue(&saturated, &between(x, "hue", -moves.hue, moves.hue, key))
}

/// The grey values `[N, H, W, 1]` (ITU-R 601).
fn luma(x: &Tensor) -> Tensor {
    if x.dim(3) == 1 {
        return x.clone();
    }
    (x * &Tensor::new(x.device(), [3], &[0.299, 0.587, 0.114])).sum_keepdim(&[3])
}

/// `factor x + (1 - factor) other`, kept in [0, 1].
fn blend(x: &Tensor, other: &Tensor, factor: &Tensor) -> Tensor {
    ((x - other) * factor + other).clamp(0.0, 1.0)
}

/// Turns the hue of `x [N, H, W, 3]` by `shift [N, 1, 1, 1]` of a full circle: RGB -> HSV, add, -> RGB.
fn turn_hue(x: &Tensor, shift: &Tensor) -> Tensor {
    let [r, g, b] = [0, 1, 2].map(|c| x.narrow(3, c, 1));
    let value = x.max_axes(&[3]).unsqueeze(-1);
    let chroma = &value - &x.min_axes(&[3]).unsqueeze(-1);
    // Where a pixel is grey any hue will do.
    let divisor = &chroma + &chroma.equal(&Tensor::scalar(x.device(), 0.0));
    let third = |a: &Tensor, b: &Tensor, from: f64| ((a - b) / &divisor).add_scalar(from);
    let other = g.equal(&value).where_(&third(&b, &r, 2.0), &third(&r, &g, 4.0));
    let sixths = r.equal(&value).where_(&third(&g, &b, 0.0), &other); // 0 red, 2 green, 4 blue
    let turned = sixths + shift.mul_scalar(6.0);
    // Channel n (5 red, 3 green, 1 blue): value - chroma clamp(min(k, 4 - k), 0, 1), k = (n + hue) mod 6.
    let n = turned + Tensor::new(x.device(), [3], &[5.0, 3.0, 1.0]);
    let k = &n - &n.mul_scalar(1.0 / 6.0).floor().mul_scalar(6.0);
    value - chroma * k.minimum(&k.affine(-1.0, 4.0)).clamp(0.0, 1.0)
}

/// Gaussian blur with an odd `kernel` of pixels and deviation `sigma [N, 1, 1, 1]`, mirrored at the edges.
fn blur(x: &Tensor, kernel: usize, sigma: &Tensor) -> Tensor {
    let (n, radius) = (x.dim(0), kernel / 2);
    let distance = Tensor::iota(x.device(), kernel).add_scalar(-(radius as f64));
    let weights = (&distance / &sigma.reshape([n, 1])).square().mul_scalar(-0.5).exp(); // [N, kernel]
    let weights = &weights / &weights.sum_keepdim(&[1]);
    // taps[k, i, j] is 1 where weight k takes output pixel i to input pixel j: constants, made once.
    let matrix = |size: usize| {
        let mut taps = vec![0.0; kernel * size * size];
        for (k, i) in (0..kernel).flat_map(|k| (0..size).map(move |i| (k, i))) {
            let at = (i + k).abs_diff(radius);
            let j = if at < size { at } else { 2 * (size - 1) - at };
            taps[(k * size + i) * size + j] = 1.0;
        }
        weights.matmul(&Tensor::new(x.device(), [kernel, size * size], &taps)).reshape([n, size, size])
    };
    separable(x, &matrix(x.dim(1)), &matrix(x.dim(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::pixels::{self, Crop};
    use crate::tensor::Device;

    const SHAPE: [usize; 3] = [8, 6, 3];
    const N: usize = 3;

    fn devices() -> Vec<Device> {
        [Ok(Device::oracle()), Device::open()].into_iter().flatten().collect()
    }

    fn images(device: &Device) -> Tensor {
        Tensor::uniform(device, [N, SHAPE[0], SHAPE[1], SHAPE[2]], &Key::new(3))
    }

    /// `change` on the device against `host` image by image.
    fn agree(what: &str, change: impl Fn(&Tensor) -> Tensor, host: impl Fn(usize, &[f32]) -> Vec<f32>) {
        for device in devices() {
            let x = images(&device);
            let (got, all) = (change(&x).to_vec().unwrap(), x.to_vec().unwrap());
            for (i, image) in all.chunks(SHAPE.iter().product()).enumerate() {
                let want = host(i, image);
                let part = &got[i * want.len()..][..want.len()];
                let off = part.iter().zip(&want).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(off < 2e-5, "{device}: {what} of image {i} is off by {off}");
            }
        }
    }

    fn each(device: &Device, values: [f32; N]) -> Tensor {
        Tensor::new(device, [N, 1, 1, 1], &values)
    }

    #[test]
    fn colours_and_blur_are_those_of_the_host() {
        let change = |f: fn(&mut [f32], f32), v: f32, x: &[f32]| {
            let mut x = x.to_vec();
            f(&mut x, v);
            x
        };
        let shifts = [0.3, -0.45, 0.0];
        agree(
            "hue",
            |x| turn_hue(x, &each(x.device(), shifts)),
            |i, x| change(|x, v| pixels::hue(x, 3, v), shifts[i], x),
        );
        let factors = [0.2, 1.7, 1.0];
        agree(
            "saturation",
            |x| blend(x, &luma(x), &each(x.device(), factors)),
            |i, x| change(|x, v| pixels::saturation(x, 3, v), factors[i], x),
        );
        agree(
            "contrast",
            |x| blend(x, &luma(x).mean_keepdim(&[1, 2]), &each(x.device(), factors)),
            |i, x| change(|x, v| pixels::contrast(x, 3, v), factors[i], x),
        );
        let sigmas = [0.3, 1.0, 2.0];
        agree(
            "blur",
            |x| blur(x, 5, &each(x.device(), sigmas)),
            |i, x| pixels::gaussian_blur(x, SHAPE, 5, sigmas[i].into()),
        );
    }

    /// The host interpolates inside the crop, the device inside the image: equal away from the crop's edges, and everywhere
    /// for the whole image.
    #[test]
    fn a_crop_is_enlarged_as_on_the_host_and_a_flip_reverses_it() {
        let whole = |x: &Tensor, flip: bool| {
            let one = |v: f64| Tensor::full(x.device(), [N, 1, 1], v);
            let flip = flip.then(|| one(1.0));
            separable(x, &enlarge(&one(0.0), &one(1.0), 8, None), &enlarge(&one(0.0), &one(1.0), 6, flip.as_ref()))
        };
        agree("the whole", |x| whole(x, false), |_, x| x.to_vec());
        agree(
            "the mirrored whole",
            |x| whole(x, true),
            |_, x| {
                let mut x = x.to_vec();
                pixels::flip_horizontal(&mut x, SHAPE);
                x
            },
        );
        for device in devices() {
            let x = images(&device);
            let one = |v: f64| Tensor::full(&device, [N, 1, 1], v);
            let part = |start: usize, len: usize, size: usize| {
                let size_f = size as f64;
                enlarge(&one(start as f64 / size_f), &one(len as f64 / size_f), size, None)
            };
            let got = separable(&x, &part(2, 4, 8), &part(1, 3, 6)).to_vec().unwrap();
            let image = &x.to_vec().unwrap()[..144];
            let want = pixels::resized_crop(image, SHAPE, Crop { top: 2, left: 1, height: 4, width: 3 });
            for (i, j) in (1..7).flat_map(|i| (1..5).map(move |j| (i, j))) {
                let at = (i * 6 + j) * 3;
                assert!((got[at] - want[at]).abs() < 1e-5, "{device}: pixel {i}, {j}");
            }
        }
    }

    #[test]
    fn moves_stay_in_the_unit_interval_and_differ_between_images_and_keys() {
        for device in devices() {
            let x = images(&device);
            let moves = Augment { blur: 0.5, ..Augment::cifar() };
            let run = |seed| apply(&moves, &x, &Key::new(seed)).to_vec().unwrap();
            let y = run(1);
            assert!(y.iter().all(|v| (-1e-5..=1.0 + 1e-5).contains(v)));
            assert!(y == run(1) && y != run(2), "{device}");
        }
    }
}
