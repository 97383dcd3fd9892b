//! Maps of functions on the plane, and points, in panels side by side.

use super::font;
use super::{Colormap, INK, NAN, Picture, Rgb, WHITE, label};

/// The side of the square that a map is drawn in, in pixels, at least.
const SIDE: usize = 384;
/// Room around a panel.
const MARGIN: usize = 12;
/// Between a frame and the text beside it.
const GAP: usize = 5;
/// The height of a line of text with its gap.
const LINE: usize = font::HEIGHT + 6;
/// The height of the strip that explains the colours.
const BAR: usize = 12;
/// The colour of points where there is no map below them.
const POINT: Rgb = [0, 80, 160];

/// A box of the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left and right end.
    pub x: [f32; 2],
    /// Lower and upper end.
    pub y: [f32; 2],
}

impl Bounds {
    /// [-half, half] in both directions.
    pub fn square(half: f32) -> Bounds {
        Bounds { x: [-half, half], y: [-half, half] }
    }

    /// The centre of cell (`i`, `j`) of a grid of `width` x `height` cells: column `i` from the left, row `j` from below.
    pub fn cell(&self, i: usize, j: usize, width: usize, height: usize) -> [f32; 2] {
        let at = |[low, high]: [f32; 2], k: usize, n: usize| low + (high - low) * (k as f32 + 0.5) / n as f32;
        [at(self.x, i, width), at(self.y, j, height)]
    }

    /// The centres of all cells, row by row from below: where to evaluate a function for [`Panel::map`].
    pub fn grid(&self, width: usize, height: usize) -> Vec<[f32; 2]> {
        (0..width * height).map(|k| self.cell(k % width, k / width, width, height)).collect()
    }

    /// The place of a point in the box as parts of its width and height, or `None` outside.
    fn place(&self, [x, y]: [f32; 2]) -> Option<[f32; 2]> {
        let part = |v: f32, [low, high]: [f32; 2]| (v - low) / (high - low);
        let place = [part(x, self.x), part(y, self.y)];
        place.iter().all(|p| (0.0..1.0).contains(p)).then_some(place)
    }
}

/// One panel: a map, points, or points over a map.
#[derive(Clone, Debug)]
pub struct Panel<'a> {
    title: String,
    bounds: Bounds,
    map: Option<Map<'a>>,
    points: &'a [[f32; 2]],
}

#[derive(Clone, Debug)]
struct Map<'a> {
    values: &'a [f32],
    width: usize,
    height: usize,
    colors: Colormap,
    range: [f32; 2],
}

impl<'a> Panel<'a> {
    /// A map of `values[height, width]`, row 0 at the lowest y, as given by [`Bounds::grid`]; viridis from the smallest
    /// to the largest finite value.
    ///
    /// # Panics
    /// If there are not `width * height` values, or none.
    #[track_caller]
    pub fn map(title: &str, bounds: Bounds, values: &'a [f32], width: usize, height: usize) -> Panel<'a> {
        assert!(width * height > 0, "Panel::map: no cells");
        assert!(values.len() == width * height, "Panel::map: {} values for {width} x {height} cells", values.len());
        let map = Map { values, width, height, colors: Colormap::Viridis, range: quantiles(values, 0.0, 1.0) };
        Panel { title: title.into(), bounds, map: Some(map), points: &[] }
    }

    /// Points alone.
    pub fn scatter(title: &str, bounds: Bounds, points: &'a [[f32; 2]]) -> Panel<'a> {
        Panel { title: title.into(), bounds, map: None, points }
    }

    /// Chooses the colours of the map.
    pub fn colors(mut self, colors: Colormap) -> Panel<'a> {
        self.map.iter_mut().for_each(|map| map.colors = colors);
        self
    }

    /// Chooses the values that get the first and the last colour; those beyond get the same.
    pub fn range(mut self, range: [f32; 2]) -> Panel<'a> {
        self.map.iter_mut().for_each(|map| map.range = range);
        self
    }

    /// Draws points over the map.
    pub fn points(mut self, points: &'a [[f32; 2]]) -> Panel<'a> {
        self.points = points;
        self
    }

    fn draw(&self) -> Picture {
        let (width, height) = self.size();
        let [low, high] = self.bounds.y.map(|y| label(y as f64));
        let (left, top) = (MARGIN + font::width(&low).max(font::width(&high)) + GAP, MARGIN + LINE);
        let mut picture = Picture::new(left + width + MARGIN, height + 2 * MARGIN + 3 * LINE + BAR, WHITE);
        picture.text(left, MARGIN, &self.title, INK);
        picture.text(left - GAP - font::width(&high), top, &high, INK);
        picture.text(left - GAP - font::width(&low), top + height - font::HEIGHT, &low, INK);
        if let Some(map) = &self.map {
            map.draw(&mut picture, left, top, width, height);
            map.draw_bar(&mut picture, left, top + height + LINE + GAP, width);
        }
        let (color, alpha) = self.map.as_ref().map_or((POINT, 0.5), |map| (map.colors.contrast(), 0.6));
        for [x, y] in self.points.iter().filter_map(|point| self.bounds.place(*point)) {
            let (x, y) = (left + (x * width as f32) as usize, top + height - 1 - (y * height as f32) as usize);
            dot(&mut picture, x, y, color, alpha);
        }
        picture.frame(left, top, width, height, INK);
        ends(&mut picture, left, top + height + GAP, width, self.bounds.x);
        picture
    }

    /// Pixels of the map: a whole number of them a cell, and at least [`SIDE`] on the longer side.
    fn size(&self) -> (usize, usize) {
        let Some(map) = &self.map else { return (SIDE, SIDE) };
        let scale = SIDE.div_ceil(map.width.max(map.height));
        (map.width * scale, map.height * scale)
    }
}

impl Map<'_> {
    fn draw(&self, picture: &mut Picture, left: usize, top: usize, width: usize, height: usize) {
        let scale = width / self.width;
        for (k, value) in self.values.iter().enumerate() {
            let (i, j) = (k % self.width, k / self.width);
            picture.fill(left + i * scale, top + height - (j + 1) * scale, scale, scale, self.color(*value));
        }
    }

    fn color(&self, value: f32) -> Rgb {
        let [low, high] = self.range;
        if value.is_nan() {
            NAN
        } else if high > low {
            self.colors.color((value - low) / (high - low))
        } else {
            self.colors.color(0.5)
        }
    }

    /// The colours from low to high, and the values at the ends below it.
    fn draw_bar(&self, picture: &mut Picture, left: usize, top: usize, width: usize) {
        for x in 0..width {
            picture.fill(left + x, top, 1, BAR, self.colors.color(x as f32 / (width - 1) as f32));
        }
        picture.frame(left, top, width, BAR, INK);
        ends(picture, left, top + BAR + GAP, width, self.range);
    }
}

/// Two numbers under the ends of something `width` wide.
fn ends(picture: &mut Picture, left: usize, top: usize, width: usize, [low, high]: [f32; 2]) {
    let (low, high) = (label(low as f64), label(high as f64));
    picture.text(left, top, &low, INK);
    picture.text((left + width).saturating_sub(font::width(&high)), top, &high, INK);
}

/// A small round dot.
fn dot(picture: &mut Picture, x: usize, y: usize, color: Rgb, alpha: f32) {
    picture.blend(x, y, color, alpha);
    for (x, y) in [(x + 1, y), (x.wrapping_sub(1), y), (x, y + 1), (x, y.wrapping_sub(1))] {
        picture.blend(x, y, color, alpha * 0.6);
    }
}

/// The panels side by side, each with its title above and the ends of its ranges and of its colours around it.
pub fn panels(panels: &[Panel]) -> Picture {
    let drawn: Vec<Picture> = panels.iter().map(Panel::draw).collect();
    let width = drawn.iter().map(|p| p.width).sum();
    let height = drawn.iter().map(|p| p.height).max().unwrap_or(1);
    let mut picture = Picture::new(width, height, WHITE);
    let mut left = 0;
    for panel in &drawn {
        picture.paste(left, 0, panel);
        left += panel.width;
    }
    picture
}

/// The density of `points` on a grid of `width` x `height` cells, for [`Panel::map`]: count / (number of points * area of
/// a cell). Points outside the box count in the number.
pub fn histogram(points: &[[f32; 2]], bounds: Bounds, width: usize, height: usize) -> Vec<f32> {
    let area = (bounds.x[1] - bounds.x[0]) * (bounds.y[1] - bounds.y[0]) / (width * height) as f32;
    let mut density = vec![0.0; width * height];
    for [x, y] in points.iter().filter_map(|point| bounds.place(*point)) {
        density[(y * height as f32) as usize * width + (x * width as f32) as usize] += 1.0;
    }
    density.iter_mut().for_each(|d| *d /= points.len() as f32 * area);
    density
}

/// The values below which the parts `low` and `high` of the finite values lie: a range of colours that a few extreme
/// energies at the border do not spoil.
pub fn quantiles(values: &[f32], low: f32, high: f32) -> [f32; 2] {
    let mut finite: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f32::total_cmp);
    let Some(last) = finite.len().checked_sub(1) else { return [0.0, 0.0] };
    [low, high].map(|part| finite[(part.clamp(0.0, 1.0) * last as f32).round() as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Bounds = Bounds { x: [0.0, 2.0], y: [-1.0, 1.0] };
    /// The top left corner of the map: the label -1 is two characters wide.
    const LEFT: usize = MARGIN + 2 * font::ADVANCE - font::SCALE + GAP;
    const TOP: usize = MARGIN + LINE;

    #[test]
    fn row_0_is_the_lowest_y_and_nan_is_seen() {
        let picture = panels(&[Panel::map("t", BOX, &[0.0, 1.0, 2.0, f32::NAN], 2, 2)]);
        let at = |i: usize, j: usize| picture.get(LEFT + i * SIDE / 2 + 9, TOP + (1 - j) * SIDE / 2 + 9);
        assert_eq!(at(0, 0), Colormap::Viridis.color(0.0));
        assert_eq!(at(1, 0), Colormap::Viridis.color(0.5));
        assert_eq!(at(0, 1), Colormap::Viridis.color(1.0));
        assert_eq!(at(1, 1), NAN);
        assert_eq!([picture.get(LEFT - 1, TOP), picture.get(LEFT + SIDE, TOP)], [INK; 2]);
    }

    #[test]
    fn a_point_is_drawn_in_its_place_and_left_out_when_outside() {
        let blank = panels(&[Panel::scatter("", BOX, &[])]);
        assert_eq!(panels(&[Panel::scatter("", BOX, &[[3.0, 0.0], [f32::NAN, 0.0]])]), blank);
        let one = panels(&[Panel::scatter("", BOX, &[[0.5, 0.5]])]);
        assert_ne!(one.get(LEFT + SIDE / 4, TOP + SIDE / 4 - 1), WHITE);
    }

    #[test]
    fn cells_run_from_the_lower_left_and_match_the_histogram() {
        let centres = BOX.grid(4, 2);
        assert_eq!(centres[0], [0.25, -0.5]);
        assert_eq!(centres[5], [0.75, 0.5]);
        for (k, centre) in centres.iter().enumerate() {
            let density = histogram(&[*centre, [9.0, 9.0]], BOX, 4, 2);
            // One of two points in a cell of area 1/2.
            assert_eq!(density.iter().position(|d| *d == 1.0), Some(k));
            assert_eq!(density.iter().sum::<f32>(), 1.0);
        }
    }

    #[test]
    fn quantiles_pass_over_what_is_not_finite() {
        let mut values: Vec<f32> = (0..=100).map(|v| v as f32).collect();
        values.extend([f32::NAN, f32::INFINITY]);
        assert_eq!(quantiles(&values, 0.05, 0.9), [5.0, 90.0]);
        assert_eq!(quantiles(&[f32::NAN], 0.0, 1.0), [0.0, 0.0]);
    }
}
