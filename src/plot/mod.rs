//! Pictures: maps of 2-D functions, grids of images, curves. Nothing here touches a file: a [`Picture`] gives the bytes
//! of a PNG and `Curves` (feature `plots`) the text of an SVG; `io::atomic::write_bytes` puts either on disk.

mod colormap;
#[cfg(feature = "plots")]
mod curves;
mod density;
mod font;
#[cfg(feature = "plots")]
mod growth;
#[cfg(feature = "plots")]
mod log_log;
mod picture;
mod png;
#[cfg(feature = "plots")]
mod roofline;
mod samples;

pub use colormap::Colormap;
#[cfg(feature = "plots")]
pub use curves::Curves;
pub use density::{Bounds, Panel, histogram, panels, quantiles};
#[cfg(feature = "plots")]
pub use growth::Growth;
pub use picture::Picture;
pub use png::animation;
#[cfg(feature = "plots")]
pub use roofline::Roofline;
pub use samples::{MOST_CHANNELS, beside, grid, stack, strips};

/// A colour: red, green, blue.
pub type Rgb = [u8; 3];

const WHITE: Rgb = [255, 255, 255];
const INK: Rgb = [40, 44, 50];
/// What is drawn for a NaN, so that it is seen.
const NAN: Rgb = [255, 0, 255];

/// A number with three significant digits, for labels.
fn label(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e5).contains(&size) {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        let cases = [
            (0.0, "0"),
            (-4.0, "-4"),
            (0.123456, "0.123"),
            (1234.5, "1234"),
            (100.0, "100"),
            (-2.5e-7, "-2.5e-7"),
            (1e-4, "1e-4"),
        ];
        cases.iter().for_each(|(value, text)| assert_eq!(label(*value), *text));
    }
}
