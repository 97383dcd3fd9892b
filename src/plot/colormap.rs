//! Colour maps: a number in [0, 1] to a colour, linear between a few anchors.

use super::{NAN, Rgb};

/// A colour map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colormap {
    /// Dark violet to yellow, perceptually uniform (matplotlib): densities.
    Viridis,
    /// Black over red to pale yellow, perceptually uniform (matplotlib).
    Magma,
    /// Black to white.
    Grey,
    /// Blue over white to red (ColorBrewer RdBu): energies, with the low, likely end in blue.
    Diverging,
}

impl Colormap {
    /// The colour of `t`, clamped to [0, 1]; NaN is magenta, a colour of none of the maps.
    pub fn color(self, t: f32) -> Rgb {
        if t.is_nan() {
            return NAN;
        }
        let anchors = self.anchors();
        let place = t.clamp(0.0, 1.0) * (anchors.len() - 1) as f32;
        let below = (place as usize).min(anchors.len() - 2);
        let (low, high, part) = (rgb(anchors[below]), rgb(anchors[below + 1]), place - below as f32);
        std::array::from_fn(|i| (low[i] as f32 + part * (high[i] as f32 - low[i] as f32)).round() as u8)
    }

    /// A colour that stands out from every colour of the map: for points drawn over it.
    pub fn contrast(self) -> Rgb {
        match self {
            Colormap::Viridis => [255, 255, 255],
            Colormap::Magma => [64, 224, 255],
            Colormap::Grey => [255, 110, 0],
            Colormap::Diverging => [0, 0, 0],
        }
    }

    fn anchors(self) -> &'static [u32] {
        match self {
            Colormap::Viridis => {
                &[0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21908c, 0x27ad81, 0x5dc863, 0xaadc32, 0xfde725]
            }
            Colormap::Magma => {
                &[0x000004, 0x1d1147, 0x51127c, 0x822681, 0xb63679, 0xe65164, 0xfb8861, 0xfec287, 0xfcfdbf]
            }
            Colormap::Grey => &[0x000000, 0xffffff],
            Colormap::Diverging => &[
                0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b,
                0x67001f,
            ],
        }
    }
}

fn rgb(hex: u32) -> Rgb {
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_met_and_between_them_is_the_middle() {
        assert_eq!(Colormap::Viridis.color(0.0), [0x44, 0x01, 0x54]);
        assert_eq!(Colormap::Viridis.color(1.0), [0xfd, 0xe7, 0x25]);
        assert_eq!(Colormap::Viridis.color(0.5), [0x21, 0x90, 0x8c]);
        assert_eq!(Colormap::Grey.color(0.25), [64, 64, 64]);
        assert_eq!(Colormap::Diverging.color(0.5), [0xf7, 0xf7, 0xf7]);
    }

    #[test]
    fn what_is_outside_is_clamped_and_nan_is_seen() {
        assert_eq!(Colormap::Magma.color(-1.0), Colormap::Magma.color(0.0));
        assert_eq!(Colormap::Magma.color(f32::INFINITY), Colormap::Magma.color(1.0));
        assert_eq!(Colormap::Grey.color(f32::NAN), [255, 0, 255]);
    }
}
