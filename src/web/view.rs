//! What the page draws: the map of the energy with points over it, and curves.

use super::dom;
use crate::plot::{Bounds, quantiles};
use crate::run::watch::{self, CELLS};
use wasm_bindgen::Clamped;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// Colours the map; without energies it is left white.
pub fn map(canvas: &HtmlCanvasElement, energies: Option<&[f32]>) {
    let picture = watch::map(energies);
    let pixels: Vec<u8> = picture.rgb.as_chunks().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
    let image = ImageData::new_with_u8_clamped_array(Clamped(&pixels), CELLS as u32);
    if let Ok(image) = image {
        let _ = dom::context(canvas).put_image_data(&image, 0.0, 0.0);
    }
}

/// The colours of data and of chains, as in index.html.
const DATA: &str = "#e08a00";
const CHAINS: &str = "#111";

/// Draws the points of the data and the chains over the map.
pub fn points(canvas: &HtmlCanvasElement, bounds: Bounds, data: &[f32], chains: &[f32]) {
    let (pen, [width, height]) = dom::pen(canvas);
    pen.clear_rect(0.0, 0.0, width, height);
    let size = (width / 180.0).max(2.0);
    for (color, points) in [(DATA, data), (CHAINS, chains)] {
        pen.set_fill_style_str(color);
        for &[x, y] in points.as_chunks::<2>().0 {
            let part = |v: f32, [low, high]: [f32; 2]| f64::from((v - low) / (high - low));
            let [left, up] = [part(x, bounds.x) * width, (1.0 - part(y, bounds.y)) * height];
            pen.fill_rect(left - size / 2.0, up - size / 2.0, size, size);
        }
    }
}

/// One curve: numbers over iterations.
#[derive(Default)]
pub struct Curve {
    points: Vec<[f64; 2]>,
    /// Every so many numbers are kept, the mean of which.
    every: usize,
    sum: f64,
    summed: usize,
}

/// A curve keeps at most this many points; then every second one goes.
const MOST: usize = 600;

impl Curve {
    /// Adds a number.
    pub fn push(&mut self, step: u64, value: f64) {
        self.sum += value;
        self.summed += 1;
        if self.summed >= self.every.max(1) {
            self.points.push([step as f64, self.sum / self.summed as f64]);
            (self.sum, self.summed) = (0.0, 0);
        }
        if self.points.len() > MOST {
            self.points = self.points.as_chunks::<2>().0.iter().map(|[a, b]| [b[0], (a[1] + b[1]) / 2.0]).collect();
            self.every = 2 * self.every.max(1);
        }
    }

    /// The newest number.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|point| point[1])
    }

    /// Draws the curve between its least and its largest number, a few of the first ones aside, and `line` as a thin line.
    pub fn draw(&self, canvas: &HtmlCanvasElement, line: f64) {
        let (pen, [width, height]) = dom::pen(canvas);
        pen.clear_rect(0.0, 0.0, width, height);
        let settled = self.points.get(self.points.len() / 20..).unwrap_or_default();
        let values: Vec<f32> = settled.iter().map(|point| point[1] as f32).chain([line as f32]).collect();
        let [low, high] = quantiles(&values, 0.0, 1.0).map(f64::from);
        let last = self.points.last().map_or(1.0, |point| point[0]).max(1.0);
        let text = (height / 9.0).clamp(10.0, 26.0);
        let room = 0.8 * text;
        let x = |step: f64| step / last * width;
        let y = |value: f64| room + (high - value) / (high - low).max(1e-9) * (height - 2.0 * room);

        stroke(&pen, "#bbb", 1.0, &[[0.0, y(line)], [width, y(line)]]);
        let curve: Vec<[f64; 2]> = self.points.iter().map(|&[step, value]| [x(step), y(value)]).collect();
        stroke(&pen, "#1a5fb4", 1.5 * dom::window().device_pixel_ratio(), &curve);
        pen.set_fill_style_str("#555");
        pen.set_font(&format!("{text}px system-ui, sans-serif"));
        for (value, at) in [(high, text), (low, height - 3.0)] {
            let _ = pen.fill_text(&format!("{value:.3}"), 3.0, at);
        }
    }
}

fn stroke(pen: &CanvasRenderingContext2d, color: &str, width: f64, points: &[[f64; 2]]) {
    pen.set_stroke_style_str(color);
    pen.set_line_width(width);
    pen.begin_path();
    for &[x, y] in points {
        pen.line_to(x, y);
    }
    pen.stroke();
}
