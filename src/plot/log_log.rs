//! Axes of drawings whose two sides are logarithmic.

use super::label;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;
use std::ops::Range;

/// Width and height of a drawing.
const SIZE: (u32, u32) = (760, 460);

/// What is drawn on: an area of SVG text, and the axes in it.
pub(super) type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

/// Empty axes over these ranges, with what they say, in `svg`.
pub(super) fn axes<'a>(
    svg: &'a mut String,
    title: &str,
    [x, y]: [Range<f64>; 2],
    [x_desc, y_desc]: [&str; 2],
) -> Result<Chart<'a>, Box<dyn std::error::Error + 'a>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    let grey = RGBColor(150, 150, 150);
    chart
        .configure_mesh()
        .x_desc(x_desc)
        .y_desc(y_desc)
        .x_label_formatter(&|x| label(*x))
        .y_label_formatter(&|y| label(*y))
        .label_style(("sans-serif", 14))
        .axis_style(grey)
        .bold_line_style(grey.mix(0.35))
        .light_line_style(grey.mix(0.0))
        .draw()?;
    Ok(chart)
}
