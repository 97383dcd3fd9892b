//! Tables as text.

use crate::error::Result;
use crate::io::atomic::write_bytes;
use std::path::Path;

/// Rows of cells under a head.
pub(super) struct Table {
    head: String,
    columns: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table; `head` names the columns, separated by `|`.
    pub fn new(head: &str) -> Table {
        Table { head: head.into(), columns: head.split('|').count(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If there is not a cell for each column.
    #[track_caller]
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns, "cells of a row under {}", self.head);
        self.rows.push(cells);
    }

    /// Writes it as Markdown.
    pub fn markdown(&self, path: impl AsRef<Path>) -> Result<()> {
        let head: Vec<&str> = self.head.split('|').map(str::trim).collect();
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rows: String = self.rows.iter().map(|cells| line(cells)).collect();
        let text = format!("| {} |\n|{}\n{rows}", head.join(" | "), "---|".repeat(self.columns));
        write_bytes(path, text.as_bytes())
    }

    /// Writes it with commas between the cells.
    pub fn csv(&self, path: impl AsRef<Path>) -> Result<()> {
        let head: Vec<&str> = self.head.split('|').map(str::trim).collect();
        let rows: String = self.rows.iter().map(|cells| format!("{}\n", cells.join(","))).collect();
        write_bytes(path, format!("{}\n{rows}", head.join(",")).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_in_both_forms() {
        let mut table = Table::new("name | n");
        table.row(vec!["a".into(), "1".into()]);
        let path = std::env::temp_dir().join(format!("ebm-table-{}", std::process::id()));
        table.markdown(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "| name | n |\n|---|---|\n| a | 1 |\n");
        table.csv(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "name,n\na,1\n");
        std::fs::remove_file(path).unwrap();
    }
}
