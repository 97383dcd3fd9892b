//! `metrics.csv`: one row a logged step, `step,wall_s,NAME...`, that survives a kill and a resume.

use super::{atomic, source};
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Appends rows to `metrics.csv`. The first row decides the columns; every row is on its way to the disk at once.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    /// The header line without its newline; empty until there is a first row.
    header: String,
    wall_s: f64,
}

impl MetricsLog {
    /// Starts an empty file.
    pub fn create(path: impl AsRef<Path>) -> Result<MetricsLog> {
        MetricsLog::start(path.as_ref(), "", &[])
    }

    /// Continues a file: rows of the steps from `next_step` on, which will run again, are dropped, and so is a last
    /// line that a kill has cut. A missing file is started.
    pub fn resume(path: impl AsRef<Path>, next_step: u64) -> Result<MetricsLog> {
        let path = path.as_ref();
        if !path.exists() {
            return MetricsLog::create(path);
        }
        let text = source::read_text(path)?;
        let (header, rows) = split(&text);
        let (mut kept, mut wall_s) = (Vec::new(), 0.0);
        for (i, row) in rows.iter().enumerate() {
            let (step, wall) = check_row(header, row).map_err(|why| bad_row(path, i, why))?;
            if step < next_step {
                kept.push(*row);
                wall_s = wall;
            }
        }
        Ok(MetricsLog { wall_s, ..MetricsLog::start(path, header, &kept)? })
    }

    fn start(path: &Path, header: &str, rows: &[&str]) -> Result<MetricsLog> {
        let lines = [header].into_iter().filter(|h| !h.is_empty()).chain(rows.iter().copied());
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        atomic::write_bytes(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(|why| Error::file(path, why))?;
        Ok(MetricsLog { path: path.to_path_buf(), file, header: header.to_string(), wall_s: 0.0 })
    }

    /// Seconds of training at the last row, those of earlier processes included; 0 without a row.
    pub fn wall_s(&self) -> f64 {
        self.wall_s
    }

    /// Appends a row: the step, the seconds of training so far, and the named values (NaN where there is none).
    ///
    /// # Errors
    /// [`Error::Setting`] if the names differ from those of the first row; [`Error::File`] if the row cannot be written.
    ///
    /// # Panics
    /// If a name holds a comma, a quote or a newline.
    #[track_caller]
    pub fn append(&mut self, step: u64, wall_s: f64, values: &[(&str, f64)]) -> Result<()> {
        let bad = values.iter().find(|(name, _)| name.contains([',', '"', '\n', '\r']));
        assert!(bad.is_none(), "MetricsLog: {bad:?} cannot be the name of a column");
        let names: String = values.iter().flat_map(|(name, _)| [",", name]).collect();
        let header = format!("step,wall_s{names}");
        let mut text = String::new();
        if self.header.is_empty() {
            text = format!("{header}\n");
        } else if self.header != header {
            let path = self.path.display();
            return Err(Error::setting(format!("{path}: the columns are `{}`, this row has `{header}`", self.header)));
        }
        let fields: String = values.iter().map(|(_, value)| format!(",{}", number(*value))).collect();
        text += &format!("{step},{wall_s:.3}{fields}\n");
        self.file.write_all(text.as_bytes()).map_err(|why| Error::file(&self.path, format!("cannot append: {why}")))?;
        self.header = header;
        self.wall_s = wall_s;
        Ok(())
    }
}

/// The shortest text that reads back as the same number; a value that came from the device is an f32 and written as one.
fn number(value: f64) -> String {
    if value as f32 as f64 == value { format!("{:?}", value as f32) } else { format!("{value:?}") }
}

/// The columns of a `metrics.csv`, for curves and reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Name and values of every column, `step` and `wall_s` first; all of one length.
    pub columns: Vec<(String, Vec<f64>)>,
}

impl Metrics {
    /// Reads the file; a last line that a kill has cut is left out.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Format`] if a row has too few, too many or unreadable fields.
    pub fn read(path: impl AsRef<Path>) -> Result<Metrics> {
        let path = path.as_ref();
        let text = source::read_text(path)?;
        let (header, rows) = split(&text);
        let names = header.split(',').filter(|name| !name.is_empty());
        let mut columns: Vec<(String, Vec<f64>)> = names.map(|name| (name.to_string(), Vec::new())).collect();
        for (i, row) in rows.iter().enumerate() {
            let fields: Vec<&str> = row.split(',').collect();
            if fields.len() != columns.len() {
                return Err(bad_row(path, i, format!("{} fields, the header has {}", fields.len(), columns.len())));
            }
            for (field, (_, values)) in fields.iter().zip(&mut columns) {
                values.push(field.parse().map_err(|_| bad_row(path, i, format!("`{field}` is not a number")))?);
            }
        }
        Ok(Metrics { columns })
    }

    /// The values of the column `name`.
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, values)| &values[..])
    }
}

/// The header line and the rows of `text`; what follows the last newline was cut by a kill and is left out.
fn split(text: &str) -> (&str, Vec<&str>) {
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut lines = whole.lines();
    (lines.next().unwrap_or_default(), lines.collect())
}

/// The step and the seconds of a row that has as many fields as the header.
fn check_row(header: &str, row: &str) -> Result<(u64, f64), String> {
    let (wanted, found) = (header.split(',').count(), row.split(',').count());
    if found != wanted {
        return Err(format!("{found} fields, the header has {wanted}"));
    }
    let mut fields = row.split(',');
    let (step, wall) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let step_number = step.parse().map_err(|_| format!("step `{step}` is no whole number"))?;
    let seconds = wall.parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0);
    Ok((step_number, seconds.ok_or_else(|| format!("wall_s `{wall}` is no time"))?))
}

/// An error in row `i` after the header, with its line number in the file.
fn bad_row(path: &Path, i: usize, why: String) -> Error {
    Error::format(path, "metrics CSV", format!("line {}: {why}", i + 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::test_folder;
    use std::fs;

    #[test]
    fn rows_are_written_as_they_come_and_read_back() {
        let folder = test_folder("csv");
        let path = folder.join("metrics.csv");
        let mut log = MetricsLog::create(&path).unwrap();
        log.append(0, 0.25, &[("loss", 0.1f32 as f64), ("gap", f64::NAN)]).unwrap();
        log.append(10, 1.0 / 3.0, &[("loss", -1e-9), ("gap", f64::INFINITY)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "step,wall_s,loss,gap\n0,0.250,0.1,NaN\n10,0.333,-1e-9,inf\n");
        let metrics = Metrics::read(&path).unwrap();
        assert_eq!(metrics.column("loss"), Some(&[0.1, -1e-9][..]));
        assert!(metrics.column("gap").unwrap()[0].is_nan());
        assert_eq!(metrics.column("nothing"), None);
    }

    #[test]
    fn other_columns_are_refused_and_leave_the_file_alone() {
        let folder = test_folder("csv-columns");
        let path = folder.join("metrics.csv");
        let mut log = MetricsLog::create(&path).unwrap();
        log.append(0, 0.0, &[("loss", 1.0)]).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let text = log.append(1, 0.0, &[("gap", 1.0)]).unwrap_err().to_string();
        assert!(text.ends_with("the columns are `step,wall_s,loss`, this row has `step,wall_s,gap`"), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn a_resumed_log_holds_every_step_once_even_after_a_cut_line() {
        let folder = test_folder("csv-resume");
        let path = folder.join("metrics.csv");
        let mut log = MetricsLog::create(&path).unwrap();
        (0..5).for_each(|step| log.append(step, 0.0, &[("loss", step as f64)]).unwrap());
        let whole = fs::read_to_string(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let rows_before = whole[..cut].matches('\n').count().saturating_sub(1).min(3);
            let mut log = MetricsLog::resume(&path, 3).unwrap();
            (rows_before as u64..6).for_each(|step| log.append(step, 0.0, &[("loss", step as f64)]).unwrap());
            let steps = Metrics::read(&path).unwrap().column("step").unwrap().to_vec();
            assert_eq!(steps, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_row_is_named_by_its_line() {
        let folder = test_folder("csv-bad");
        let path = folder.join("metrics.csv");
        fs::write(&path, "step,wall_s,loss\n0,0.0,1.0\n1,0.0\n").unwrap();
        let text = Metrics::read(&path).unwrap_err().to_string();
        assert!(text.ends_with("line 3: 2 fields, the header has 3"), "{text}");
        let refused = |rows: &str, expect: &str| {
            fs::write(&path, format!("step,wall_s,loss\n{rows}\n")).unwrap();
            let text = MetricsLog::resume(&path, 1).unwrap_err().to_string();
            assert!(text.ends_with(expect), "{text}");
        };
        refused("zero,0.0,1.0", "line 2: step `zero` is no whole number");
        refused("0,NaN,1.0", "line 2: wall_s `NaN` is no time");
        refused("0,0.0,1.0\n1,0.5", "line 3: 2 fields, the header has 3");
    }

    #[test]
    fn a_resumed_log_knows_the_time_that_was_spent() {
        let folder = test_folder("csv-time");
        let path = folder.join("metrics.csv");
        let mut log = MetricsLog::create(&path).unwrap();
        assert_eq!(log.wall_s(), 0.0);
        [(0, 0.5), (10, 7.25), (20, 9.0)].iter().for_each(|&(step, s)| log.append(step, s, &[("loss", 1.0)]).unwrap());
        assert_eq!(log.wall_s(), 9.0);
        assert_eq!(MetricsLog::resume(&path, 11).unwrap().wall_s(), 7.25);
        assert_eq!(MetricsLog::resume(&path, 0).unwrap().wall_s(), 0.0);
    }
}
