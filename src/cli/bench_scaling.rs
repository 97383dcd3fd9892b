//! `ebm bench --scaling`: how iterations grow, as a table and a drawing.

use super::bench::{Args, name, slug, today};
use super::output::{self, say};
use crate::bench::Size;
use crate::error::Result;
use crate::gpu::significant;
use crate::io::atomic;
use crate::plot::Growth;
use std::path::PathBuf;

/// Prints, draws and keeps how iterations grow, as asked for.
pub(super) fn show(args: &Args, sizes: &[Size], adapter: &str) -> Result<()> {
    let table = table(sizes, adapter, &today());
    let drawing = || growth(sizes).svg(adapter);
    if let Some(file) = &args.svg {
        atomic::write_bytes(file, drawing().as_bytes())?;
    }
    if args.save {
        let file = |end: &str| PathBuf::from(format!("benches/results/scaling-{}.{end}", slug(adapter)));
        let page = format!("# How iterations grow: {adapter}\n\n{table}\n![growth]({})\n", name(&file("svg")));
        for (end, text) in [("md", page), ("svg", drawing())] {
            atomic::write_bytes(file(end), text.as_bytes())?;
        }
    }
    match args.json {
        true => say!("{}", serde_json::to_string_pretty(sizes).unwrap_or_else(|_| unreachable!())),
        false => output::text(&table),
    }
}

/// A Markdown table of iterations by size, each beside the first of its kind.
fn table(sizes: &[Size], adapter: &str, date: &str) -> String {
    let mut text = format!(
        "Measured with `ebm bench --scaling` on {adapter}, {date}. Medians of whole iterations; one setting of the preset changes at a \
         time; memory is all buffers of the device at their peak.\n\n"
    );
    text +=
        "| what grows | preset | size | ms | times the first | times its work | MiB |\n|:--|:--|--:|--:|--:|--:|--:|\n";
    for size in sizes {
        let first = first_of(sizes, size);
        text += &format!(
            "| {} | `{}` | {} | {} | {} | {} | {} |\n",
            size.what,
            size.preset,
            size.size,
            significant(size.row.ms),
            significant(size.row.ms / first.row.ms),
            significant(size.work),
            significant(size.memory_bytes as f64 / (1u64 << 20) as f64)
        );
    }
    text
}

fn growth(sizes: &[Size]) -> Growth {
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for size in sizes {
        let first = first_of(sizes, size);
        let point = (size.size as f64 / first.size as f64, size.row.ms / first.row.ms);
        match lines.last_mut().filter(|(what, _)| what == size.what) {
            Some((_, points)) => points.push(point),
            None => lines.push((size.what.into(), vec![point])),
        }
    }
    Growth { lines }
}

/// The first size of the same kind.
fn first_of<'a>(sizes: &'a [Size], size: &'a Size) -> &'a Size {
    sizes.iter().find(|first| first.what == size.what).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Row;

    fn size(what: &'static str, size: usize, work: f64, ms: f64) -> Size {
        let none = 0.0;
        let (kernels, name) = (Vec::new(), what);
        let row = Row {
            name,
            kernels,
            iterations: 1,
            ms,
            ms_q1: ms,
            ms_q3: ms,
            ms_min: ms,
            ms_max: ms,
            gbps: none,
            gflops: none,
            percent_of_roof: none,
        };
        Size { what, preset: "cd/eight-gaussians", size, work, row, memory_bytes: 3 << 20 }
    }

    #[test]
    fn every_size_stands_beside_the_first_of_its_kind() {
        let sizes = [
            size("batch", 64, 1.0, 2.0),
            size("batch", 256, 4.0, 6.0),
            size("width", 32, 1.0, 5.0),
            size("width", 64, 4.0, 15.0),
        ];
        let text = table(&sizes, "here", "today");
        assert!(text.contains("| batch | `cd/eight-gaussians` | 256 | 6.00 | 3.00 | 4.00 | 3.00 |"), "{text}");
        let lines = growth(&sizes).lines;
        let points = |i: usize| lines[i].1.clone();
        assert_eq!([points(0), points(1)], [[(1.0, 1.0), (4.0, 3.0)], [(1.0, 1.0), (2.0, 3.0)]]);
    }
}
