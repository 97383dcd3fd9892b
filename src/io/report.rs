//! `report.html`: one file that shows a run. Pictures and styles are inside it; it needs no script and no network.

use super::atomic;
use crate::Result;
use std::path::Path;

/// A page that is put together from top to bottom. All text is escaped.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    body: String,
}

impl Report {
    /// A page with nothing but a title.
    pub fn new(title: &str) -> Report {
        Report { title: escape(title), body: String::new() }
    }

    /// Starts a section.
    pub fn section(&mut self, heading: &str) -> &mut Report {
        self.add(&format!("<h2>{}</h2>", escape(heading)))
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) -> &mut Report {
        self.add(&format!("<p>{}</p>", escape(text)))
    }

    /// A paragraph in which words between backticks are code.
    pub fn prose(&mut self, text: &str) -> &mut Report {
        let words = marked(&marked(&escape(text), "`", "code"), "**", "b");
        self.add(&format!("<p>{words}</p>"))
    }

    /// A piece of a program.
    pub fn code(&mut self, text: &str) -> &mut Report {
        self.add(&format!("<pre>{}</pre>", escape(text)))
    }

    /// A table with a line of headings (none if empty), the first column holding the names of the rows.
    pub fn table<S: AsRef<str>>(&mut self, headings: &[&str], rows: &[Vec<S>]) -> &mut Report {
        let cells = |tag: &str, row: Vec<&str>| -> String {
            let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let head = if headings.is_empty() { String::new() } else { cells("th", headings.to_vec()) };
        let rows: String = rows.iter().map(|row| cells("td", row.iter().map(AsRef::as_ref).collect())).collect();
        self.add(&format!("<div class=\"scroll\"><table>\n{head}{rows}</table></div>"))
    }

    /// Text as it stands in a file (the settings), folded away under a heading.
    pub fn listing(&mut self, heading: &str, text: &str) -> &mut Report {
        self.add(&format!("<details><summary>{}</summary><pre>{}</pre></details>", escape(heading), escape(text)))
    }

    /// A picture: the bytes of a PNG file.
    pub fn png(&mut self, bytes: &[u8], caption: &str) -> &mut Report {
        let caption = escape(caption);
        let image = format!("<img alt=\"{caption}\" src=\"data:image/png;base64,{}\">", base64(bytes));
        self.add(&format!("<figure>{image}<figcaption>{caption}</figcaption></figure>"))
    }

    /// A drawing: an `<svg>` element, trusted and put in as it is.
    pub fn svg(&mut self, svg: &str, caption: &str) -> &mut Report {
        self.add(&format!("<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption)))
    }

    fn add(&mut self, html: &str) -> &mut Report {
        self.body.push_str(html);
        self.body.push('\n');
        self
    }

    /// The page.
    pub fn html(&self) -> String {
        let Report { title, body } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
        )
    }

    /// Writes the page atomically; see [`atomic::write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        atomic::write_bytes(path, self.html().as_bytes())
    }
}

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c2024; --faint: #60676f; --line: #d5d9de; --paper: #ffffff; --box: #f4f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --faint: #9aa2ab; --line: #3a4048; --paper: #15181c; --box: #1f242a; }
}
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0.5rem 0 1rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 0.75rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--line); font-size: 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th, td:nth-child(n + 3) { color: var(--faint); }
figure { display: inline-block; max-width: 100%; margin: 0 1rem 1rem 0; vertical-align: top; }
figure img, figure svg { display: block; max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }
figcaption { contain: inline-size; margin-top: 0.25rem; color: var(--faint); font-size: 0.9rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; }
pre { overflow-x: auto; padding: 0.75rem; border-radius: 4px; background: var(--box); font-size: 0.85rem; }
";

/// The text with the five characters that mean something to HTML replaced.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
        out
    })
}

/// Base 64 (RFC 4648, section 4): three bytes give four digits, the end is padded with `=`.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, byte)| word | (*byte as u32) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63] as char;
            out.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

/// Every second part of a text between such marks becomes an element.
fn marked(text: &str, mark: &str, element: &str) -> String {
    let parts = text.split(mark).enumerate();
    parts.map(|(i, part)| if i % 2 == 0 { part.into() } else { format!("<{element}>{part}</{element}>") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648, section 10, and the two digits that are no letters.
    #[test]
    fn base64_gives_the_known_answers() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        cases.iter().for_each(|(text, code)| assert_eq!(base64(text.as_bytes()), *code));
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn nothing_a_user_wrote_becomes_markup() {
        let evil = "<script>\"'&";
        let mut report = Report::new(evil);
        report
            .section(evil)
            .text(evil)
            .prose(evil)
            .code(evil)
            .table(&[evil], &[vec![evil]])
            .listing(evil, evil)
            .png(b"x", evil)
            .svg("<svg/>", evil);
        let html = report.html();
        assert!(!html.contains("<script>"));
        assert_eq!(html.matches("&lt;script&gt;&quot;&#39;&amp;").count(), 13);
    }

    #[test]
    fn the_page_refers_to_nothing_outside_itself() {
        let html = Report::new("r").png(b"foo", "a").html();
        assert!(html.contains("src=\"data:image/png;base64,Zm9v\""));
        assert!(!html.contains("http") && !html.contains("<link") && !html.contains("@import"));
    }
}
