//! A lesson's text: from the comment at the top of its file to a terminal and to a report.

use crate::io::Report;

/// The lines behind `//!`, without links' targets and without the hidden lines of examples.
pub fn page(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut code = false;
    let shown = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).filter(|line| {
        code ^= line.starts_with("```");
        !(code && (*line == "#" || line.starts_with("# ")))
    });
    shown.map(|line| unlink(line) + "\n").collect()
}

/// [`name`] without brackets: there is nothing to follow on paper.
fn unlink(line: &str) -> String {
    line.replace("[`", "`").replace("`]", "`")
}

/// Puts a page into a report: headings, paragraphs, lists, tables and examples.
pub fn write(page: &str, report: &mut Report) {
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            report.section(heading);
        } else if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            report.code(&code.join("\n"));
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            let head: Vec<&str> = rows[0].iter().map(String::as_str).collect();
            report.table(&head, &rows[2.min(rows.len())..]);
        } else if !line.is_empty() && !line.starts_with("# ") {
            let mut paragraph = line.to_string();
            while let Some(more) = lines.next_if(|line| !line.is_empty() && !starts_block(line)) {
                paragraph += " ";
                paragraph += more.trim();
            }
            report.prose(&paragraph);
        }
    }
}

fn starts_block(line: &str) -> bool {
    ["```", "|", "- ", "## "].iter().any(|mark| line.starts_with(mark))
}

fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_text_without_what_only_the_compiler_needs() {
        let source = "//! # T\n//!\n//! See [`f`].\n//! ```\n//! # use x;\n//! let y = 1;\n//! ```\n\nuse z;\n//! no";
        assert_eq!(page(source), "# T\n\nSee `f`.\n```\nlet y = 1;\n```\n");
    }

    #[test]
    fn every_kind_of_block_reaches_the_report() {
        let mut report = Report::new("r");
        write(
            "# T\n\n## H\n\nA `b`\n**c**.\n- one\n- two\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```\nlet <t>;\n```\n",
            &mut report,
        );
        let html = report.html();
        for part in [
            "<h2>H</h2>",
            "<p>A <code>b</code> <b>c</b>.</p>",
            "<p>- one</p>",
            "<td>2</td>",
            "<pre>let &lt;t&gt;;</pre>",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }
}
