//! The roofline (Williams, Waterman and Patterson 2009): what kernels reach beside what memory and arithmetic allow, as SVG.

use super::log_log;
use plotters::prelude::*;

/// Kernels by operations a byte and GFLOP/s, both logarithmic, under the roof `min(intensity gbps, gflops)`.
pub struct Roofline {
    /// GB/s of memory.
    pub gbps: f64,
    /// GFLOP/s of arithmetic.
    pub gflops: f64,
    /// Name, operations a byte, GFLOP/s.
    pub kernels: Vec<(String, f64, f64)>,
}

impl Roofline {
    /// The drawing as an `<svg>` element; kernels without operations or without traffic are left out.
    pub fn svg(&self, title: &str) -> String {
        let mut svg = String::new();
        self.draw(&mut svg, title).expect("drawing into a string does not fail");
        svg
    }

    /// What an intensity allows.
    fn roof(&self, intensity: f64) -> f64 {
        (intensity * self.gbps).min(self.gflops)
    }

    fn draw<'a>(&self, svg: &'a mut String, title: &str) -> Result<(), Box<dyn std::error::Error + 'a>> {
        let drawable = |(_, x, y): &&(String, f64, f64)| x.is_finite() && *x > 0.0 && *y > 0.0;
        let kernels: Vec<_> = self.kernels.iter().filter(drawable).collect();
        let ridge = self.gflops / self.gbps;
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            let (lo, hi) = values.fold((f64::MAX, 0.0f64), |(lo, hi), v| (lo.min(v), hi.max(v)));
            10f64.powf((lo.log10() - 0.1).floor())..10f64.powf((hi.log10() + 0.1).ceil())
        };
        let x = ends(&mut kernels.iter().map(|k| k.1).chain([ridge]));
        let y = ends(&mut kernels.iter().map(|k| k.2).chain([self.gflops]));
        let (start, end) = (x.start, x.end);
        let mut chart = log_log::axes(svg, title, [x, y], ["operations a byte", "GFLOP/s"])?;
        let corners = [start, ridge, end].map(|x| (x, self.roof(x)));
        chart.draw_series(LineSeries::new(corners, BLACK.stroke_width(2)))?;
        let dot = RGBColor(0, 114, 178);
        for (name, x, y) in kernels {
            let mark = EmptyElement::at((*x, *y))
                + Circle::new((0, 0), 3, dot.filled())
                + Text::new(name.clone(), (6, -6), ("sans-serif", 11));
            chart.draw_series([mark])?;
        }
        chart.plotting_area().present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roof_is_memory_up_to_the_ridge_and_arithmetic_beyond() {
        let line = Roofline { gbps: 4.0, gflops: 40.0, kernels: Vec::new() };
        assert_eq!([1.0, 10.0, 100.0].map(|x| line.roof(x)), [4.0, 40.0, 40.0]);
    }

    #[test]
    fn kernels_are_named_and_those_that_only_move_left_out() {
        let kernels =
            vec![("a < b".into(), 80.0, 30.0), ("moves".into(), 0.0, 0.0), ("no bytes".into(), f64::INFINITY, 9.0)];
        let svg = Roofline { gbps: 4.0, gflops: 40.0, kernels }.svg("here");
        assert!(
            svg.starts_with("<svg") && svg.contains("a &lt; b") && !svg.contains("moves") && !svg.contains("no bytes")
        );
    }
}
