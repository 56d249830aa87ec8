//! What commands answer: tables or JSON on standard output, complaints on standard error.
//!
//! Whoever answers is not trusted with the terminal: what is printed holds no control character
//! but the ends of lines that we made.

use std::error::Error;
use std::io::{self, Write};
use std::iter;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// A line of an answer, or several.
pub(crate) fn line(text: &str) {
    match try_line(&lines_only(text)) {
        // Whoever read it has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => tracing::error!(%error, "the answer cannot be written"),
        Ok(()) => {}
    }
}

/// A line that must not be lost, as it is.
pub(crate) fn try_line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// A line for people beside the answer: it must not end up in a pipe.
pub(crate) fn hint(text: &str) {
    // Nobody is left to tell when it cannot be written.
    drop(writeln!(io::stderr(), "{}", lines_only(text)));
}

/// An answer as the service sent it.
pub(crate) fn json(value: &Value) {
    line(&json_text(value));
}

/// In JSON, with the control characters escaped that JSON would allow.
pub(crate) fn json_text(value: &Value) -> String {
    let is_raw = |c: &char| c.is_control() && *c != '\n';
    format!("{value:#}").chars().fold(String::new(), |mut text, c| {
        match Some(c).filter(is_raw) {
            Some(control) => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => text.push(c),
        }
        text
    })
}

/// Text of the service on one line: without escape sequences, which could make a terminal show
/// or do something else.
pub(crate) fn clean(text: &str) -> String {
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c });
    spaced.filter(|c| !c.is_control()).collect()
}

fn lines_only(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// That a change is made: the service's answer for programs, a sentence for people.
pub(crate) fn tell(as_json: bool, answer: &Value, text: &str) {
    if as_json { json(answer) } else { hint(text) }
}

/// Rows under a header; `none` when there are none.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, none: &str) {
    if rows.is_empty() {
        return hint(none);
    }
    let mut table = plain_table();
    table.set_header(header).add_rows(rows);
    print(&table);
}

/// Names and what they are, one a line.
pub(crate) fn facts(rows: Vec<[String; 2]>) {
    let mut table = plain_table();
    table.add_rows(rows);
    print(&table);
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn print(table: &Table) {
    let lines =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    line(&lines.collect::<Vec<_>>().join("\n"));
}

/// An error and what caused it, on one line.
pub(crate) fn complain(error: &dyn Error) {
    hint(&format!("opencpm: {}", chain(error)));
}

/// An error and what caused it: each cause once, also where a library repeats it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    let mut text = String::new();
    for cause in causes.map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A field of an answer as text, cleaned; empty when it is not there.
pub(crate) fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clean(text),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Step(&'static str, #[source] Option<Box<Step>>);

    #[test]
    fn a_complaint_names_each_cause_once() {
        let error = Step("a", Some(Box::new(Step("b c", Some(Box::new(Step("c", None)))))));
        assert_eq!(chain(&error), "a: b c");
    }

    #[test]
    fn json_says_the_same_with_its_control_characters_escaped() {
        let value = serde_json::json!({ "a": "\u{1b}[31m\u{9b}31m\u{7f}\nb" });
        let text = json_text(&value);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn text_of_the_service_is_one_line_without_control_characters() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\td\u{9b}e"), "a[2Jb c de");
    }
}
