//! Curves of metrics over the steps, as SVG.

use super::label;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

/// Width and height of the drawing.
const SIZE: (u32, u32) = (520, 300);
/// A series is thinned to about this many points: more do not show, and the report carries them all.
const POINTS: usize = 600;
/// Parts of a histogram.
const BINS: usize = 60;
const TEXT: (&str, u32) = ("sans-serif", 16);
/// Colours that people with any colour vision tell apart (Okabe and Ito).
pub(super) const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
    RGBColor(240, 228, 66),
];

/// A chart of one or more series with common axes.
#[derive(Clone, Debug)]
pub struct Curves {
    title: String,
    x: String,
    series: Vec<(String, Vec<(f64, f64)>)>,
    log_y: bool,
    smoothing: f64,
}

impl Curves {
    /// An empty chart with a linear axis and no smoothing.
    pub fn new(title: &str) -> Curves {
        Curves { title: title.into(), x: "step".into(), series: Vec::new(), log_y: false, smoothing: 0.0 }
    }

    /// Adds a series; pairs with a value that is not finite are left out.
    ///
    /// # Panics
    /// If there are not as many values as steps.
    #[track_caller]
    pub fn series(mut self, name: &str, steps: &[f64], values: &[f64]) -> Curves {
        assert!(steps.len() == values.len(), "Curves: {name} has {} values for {} steps", values.len(), steps.len());
        let pairs = steps.iter().copied().zip(values.iter().copied());
        self.series.push((name.into(), pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()));
        self
    }

    /// Says what is along the x axis, in place of the step.
    pub fn along(self, x: &str) -> Curves {
        Curves { x: x.into(), ..self }
    }

    /// Adds the outline of a histogram: the share of `values` in each of [`BINS`] equal parts of the interval `[lo, hi]`.
    /// Values beyond its ends count in the outermost parts; NaN count only in the number.
    #[track_caller]
    pub fn histogram(self, name: &str, values: &[f32], [lo, hi]: [f32; 2]) -> Curves {
        let mut share = [0.0; BINS];
        for v in values.iter().filter(|v| !v.is_nan()) {
            let bin = (BINS as f32 * (v - lo) / (hi - lo)).clamp(0.0, (BINS - 1) as f32);
            share[bin as usize] += 1.0 / values.len() as f64;
        }
        let edge = |i: usize| f64::from(lo) + f64::from(hi - lo) * i as f64 / BINS as f64;
        let edges: Vec<f64> = (0..BINS).flat_map(|i| [edge(i), edge(i + 1)]).collect();
        let heights: Vec<f64> = share.iter().flat_map(|&s| [s, s]).collect();
        self.series(name, &edges, &heights)
    }

    /// Makes the y axis logarithmic and leaves out values that are not positive. Where the largest value is less than
    /// ten times the smallest, the axis stays linear: there would be no power of ten to label.
    pub fn log_y(mut self) -> Curves {
        self.log_y = true;
        self
    }

    /// Draws each series faint and over it its exponential moving average m_t = s m_(t-1) + (1 - s) y_t, divided by
    /// 1 - s^t.
    ///
    /// # Panics
    /// If `s` is not in [0, 1).
    #[track_caller]
    pub fn smooth(mut self, s: f64) -> Curves {
        assert!((0.0..1.0).contains(&s), "Curves: smoothing is in [0, 1), got {s}");
        self.smoothing = s;
        self
    }

    /// The drawing as an `<svg>` element, on white whatever the page's colour.
    pub fn svg(&self) -> String {
        let mut chart = self.clone();
        if self.log_y {
            chart.series.iter_mut().for_each(|(_, points)| points.retain(|(_, y)| *y > 0.0));
        }
        let points = || chart.series.iter().flat_map(|(_, points)| points);
        let x = range(points().map(|p| p.0), 0.0);
        let mut svg = String::new();
        let powers = range(points().map(|p| p.1.log10()), 0.0);
        let drawn = if self.log_y && powers.end - powers.start >= 1.0 {
            // A little beyond the whole powers, so that rounding does not cost them their labels.
            let y = 0.99 * 10f64.powf(powers.start.floor())..1.01 * 10f64.powf(powers.end.ceil());
            chart.draw(&mut svg, x, y.log_scale(), 0.0)
        } else {
            let y = range(points().map(|p| p.1), 0.05);
            chart.draw(&mut svg, x, y.clone(), rounding(&y))
        };
        drawn.expect("drawing into a string does not fail");
        svg
    }

    /// Labels closer to zero than `zero` are written as 0.
    fn draw<Y>(&self, svg: &mut String, x: Range<f64>, y: Y, zero: f64) -> Result<(), Box<dyn std::error::Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let zero_x = rounding(&x);
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(10)
            .margin_right(24)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        let grey = RGBColor(150, 150, 150);
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|x| label(if x.abs() < zero_x { 0.0 } else { *x }))
            .y_label_formatter(&|y| label(if y.abs() < zero { 0.0 } else { *y }))
            .label_style(TEXT)
            .axis_style(grey)
            .bold_line_style(grey.mix(0.35))
            .light_line_style(grey.mix(0.0))
            .draw()?;
        let mut places = Vec::new();
        for (i, (name, points)) in self.series.iter().enumerate() {
            let color = COLORS[i % COLORS.len()];
            let line = color.stroke_width(2);
            if self.smoothing > 0.0 {
                chart.draw_series(LineSeries::new(thin(points), color.mix(0.3)))?;
            }
            let smooth = thin(&average(points, self.smoothing));
            places.extend(smooth.iter().map(|point| chart.backend_coord(point)));
            // A single point makes no line.
            let dots = if points.len() == 1 { smooth.clone() } else { Vec::new() };
            chart.draw_series(dots.iter().map(|p| Circle::new(*p, 3, color.filled())))?;
            let legend = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line);
            chart.draw_series(LineSeries::new(smooth, line))?.label(name).legend(legend);
        }
        if self.series.len() > 1 {
            let mut legend = chart.configure_series_labels();
            legend.position(emptiest_corner(&places)).label_font(TEXT);
            legend.background_style(WHITE.mix(0.8)).border_style(grey.mix(0.35)).draw()?;
        }
        area.present()?;
        Ok(())
    }
}

/// The quarter of the drawing with the fewest of these places, in pixels; the upper right one, if others have as few.
fn emptiest_corner(places: &[(i32, i32)]) -> SeriesLabelPosition {
    use SeriesLabelPosition::{LowerLeft, LowerRight, UpperLeft, UpperRight};
    let middle = (SIZE.0 as i32 / 2, SIZE.1 as i32 / 2);
    let inside = |right: bool, upper: bool| {
        places.iter().filter(|(x, y)| (*x > middle.0) == right && (*y < middle.1) == upper).count()
    };
    let corners =
        [(UpperRight, true, true), (UpperLeft, false, true), (LowerRight, true, false), (LowerLeft, false, false)];
    let [first, ..] = &corners;
    corners.iter().min_by_key(|(_, right, upper)| inside(*right, *upper)).unwrap_or(first).0.clone()
}

/// From the smallest to the largest value with `part` of the distance added at both ends; never empty.
fn range(values: impl Iterator<Item = f64>, part: f64) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let room = if high > low { part * (high - low) } else { 0.5 * low.abs().max(1.0) };
    low - room..high + room
}

/// The size of the rounding errors in the ticks of a linear axis, generously.
fn rounding(range: &Range<f64>) -> f64 {
    1e-9 * (range.end - range.start)
}

/// The exponential moving average, corrected for its start.
fn average(points: &[(f64, f64)], s: f64) -> Vec<(f64, f64)> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut next = |(x, y): &(f64, f64)| {
        sum = s * sum + (1.0 - s) * y;
        weight = s * weight + (1.0 - s);
        (*x, sum / weight)
    };
    points.iter().map(&mut next).collect()
}

/// At most about [`POINTS`] points: of each run of neighbours the lowest and the highest, in order.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let runs = points.chunks((2 * points.len()).div_ceil(POINTS));
    let ends = runs.flat_map(|run| {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (low, high) = (run.iter().min_by(by_value), run.iter().max_by(by_value));
        let mut ends: Vec<(f64, f64)> = low.into_iter().chain(high).copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_where_the_fewest_points_are() {
        let svg =
            |from: f64, to: f64| Curves::new("").series("a", &[0.0, 1.0], &[from, to]).series("b", &[], &[]).svg();
        // The frame around the names is the last rectangle.
        let left = |svg: String| {
            let frame = svg.rsplit("<rect x=\"").next().unwrap().to_string();
            frame.split('"').next().unwrap().parse::<u32>().unwrap() < SIZE.0 / 2
        };
        assert!(left(svg(0.0, 1.0)), "a curve that rises leaves the upper left free");
        assert!(!left(svg(1.0, 0.0)), "one that falls the upper right");
    }

    #[test]
    fn the_average_of_a_constant_is_the_constant_and_weights_decay() {
        assert!(average(&[(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)], 0.9).iter().all(|p| (p.1 - 3.0).abs() < 1e-12));
        // Weights 0.25 and 0.5, normalised: (1 * 0.25 + 4 * 0.5) / 0.75 = 3.
        assert_eq!(average(&[(0.0, 1.0), (1.0, 4.0)], 0.5)[1], (1.0, 3.0));
        assert_eq!(average(&[(0.0, 1.0), (1.0, 4.0)], 0.0)[1], (1.0, 4.0));
    }

    #[test]
    fn a_histogram_has_shares_and_keeps_what_lies_beyond() {
        let values = [0.0, 0.05, 59.5, 1e9, f32::NAN];
        let chart = Curves::new("h").histogram("v", &values, [0.0, 60.0]);
        let points = &chart.series[0].1;
        let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-12;
        assert!(near(points[0], (0.0, 0.4)) && near(points[1], (1.0, 0.4)) && near(points[2], (1.0, 0.0)));
        assert!(near(points[119], (60.0, 0.4)) && points.len() == 2 * BINS);
    }

    #[test]
    fn thinning_keeps_the_extremes_and_the_order() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (i as f64, (i as f64 * 0.01).sin())).collect();
        points[54_321].1 = 50.0;
        points[12_345].1 = -50.0;
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS);
        assert!(thinned.contains(&(54_321.0, 50.0)) && thinned.contains(&(12_345.0, -50.0)));
        assert!(thinned.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn names_are_escaped_and_values_that_are_not_finite_left_out() {
        let steps = [0.0, 1.0, 2.0, 3.0];
        let chart = Curves::new("a < b").series("<x>", &steps, &[1.0, f64::NAN, f64::INFINITY, 2.0]);
        assert_eq!(chart.series[0].1, [(0.0, 1.0), (3.0, 2.0)]);
        let svg = chart.series("y & z", &steps, &steps).svg();
        assert!(svg.starts_with("<svg") && svg.contains("a &lt; b") && svg.contains("&lt;x&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_logarithmic_axis_labels_its_powers_of_ten() {
        let ticks = |values: &[f64]| {
            let svg = Curves::new("c").series("s", &[0.0, 1.0], values).log_y().svg();
            ["1e-4", "0.001", "0.01", "0.1", "1", "10"].map(|tick| svg.contains(&format!(">\n{tick}\n<")))
        };
        assert_eq!(ticks(&[2e-4, 0.5]), [true, true, true, true, true, false]);
        assert_eq!(ticks(&[2.0, 15.0]), [false, false, false, false, true, true]);
    }

    /// Charts without values, with one, with equal ones, and with none that a logarithm takes.
    #[test]
    fn poor_data_still_gives_a_chart() {
        for values in [&[][..], &[0.0], &[5.0, 5.0, 5.0], &[-1.0, 0.0]] {
            let steps: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
            for chart in [Curves::new("c"), Curves::new("c").log_y().smooth(0.9)] {
                let svg = chart.series("s", &steps, values).svg();
                assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"));
            }
        }
    }
}
