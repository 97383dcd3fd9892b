//! How time grows with size: lines on two logarithmic axes, beside what the work alone would ask for.

use super::curves::COLORS;
use super::log_log;
use plotters::prelude::*;

/// Named lines of (size, time), both as multiples of the line's first.
pub struct Growth {
    /// Name and points of each line.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Growth {
    /// The drawing as an `<svg>` element, with the line on which time is in proportion to size.
    pub fn svg(&self, title: &str) -> String {
        let mut svg = String::new();
        self.draw(&mut svg, title).expect("drawing into a string does not fail");
        svg
    }

    fn draw<'a>(&self, svg: &'a mut String, title: &str) -> Result<(), Box<dyn std::error::Error + 'a>> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max);
        let least = points().map(|p| p.1).fold(1.0, f64::min);
        let (x, y) = (1.0..most(|p| p.0) * 1.1, least * 0.8..most(|p| p.1) * 1.3);
        let end = x.end.min(y.end);
        let what = ["size, as multiple of the first", "time, as multiple of the first"];
        let mut chart = log_log::axes(svg, title, [x, y], what)?;
        let grey = RGBColor(150, 150, 150);
        chart.draw_series(LineSeries::new([(1.0, 1.0), (end, end)], grey.stroke_width(1)))?;
        for ((name, points), color) in self.lines.iter().zip(COLORS.into_iter().cycle()) {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 13))
            .draw()?;
        chart.plotting_area().present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_named() {
        let line = |name: &str| (name.to_string(), vec![(1.0, 1.0), (4.0, 3.0), (16.0, 11.0)]);
        let svg = Growth { lines: vec![line("batch"), line("a < b")] }.svg("here");
        assert!(svg.starts_with("<svg") && svg.contains("batch") && svg.contains("a &lt; b"), "{svg}");
    }
}
