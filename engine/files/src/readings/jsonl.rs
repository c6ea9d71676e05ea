//! Readings as JSON Lines.

use super::lines::Lines;
use super::{RawRow, RowError};
use crate::names::plain;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::Read;

pub(super) struct JsonRows<R> {
    lines: Lines<R>,
    names: Names,
}

/// Names with escapes, undone.
#[derive(Default)]
struct Names {
    stream: String,
    replica: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    round: i64,
    #[serde(borrow)]
    replica: Cow<'a, str>,
    value: Option<f64>,
}

impl<R: Read> JsonRows<R> {
    pub(super) fn new(input: R) -> Self {
        Self { lines: Lines::new(input), names: Names::default() }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    pub(super) fn read(&mut self) -> Result<Option<RawRow<'_>>, RowError> {
        match self.lines.advance()? {
            Some(line) => parse(self.lines.text().trim_ascii(), line, &mut self.names).map(Some),
            None => Ok(None),
        }
    }
}

fn parse<'a>(text: &'a [u8], line: u64, names: &'a mut Names) -> Result<RawRow<'a>, RowError> {
    if !text.starts_with(b"{") {
        return Err(RowError::at(line, "expected an object with stream, round, replica and value"));
    }
    let object: Object<'a> = serde_json::from_slice(text).map_err(|error| malformed(&error, line))?;
    let (stream, replica) =
        (keep(object.stream, &mut names.stream), keep(object.replica, &mut names.replica));
    Ok(RawRow { line, stream, round: object.round, replica, value: object.value })
}

fn keep<'a>(name: Cow<'a, str>, buffer: &'a mut String) -> &'a [u8] {
    match name {
        Cow::Borrowed(name) => name.as_bytes(),
        Cow::Owned(name) => {
            *buffer = name;
            buffer.as_bytes()
        }
    }
}

/// The parser counts lines within the row, which is always one.
fn malformed(error: &serde_json::Error, line: u64) -> RowError {
    let text = error.to_string();
    let column = error.column();
    let problem = text.strip_suffix(&format!(" at line 1 column {column}")).unwrap_or(&text);
    RowError::at(line, format!("{} (column {column})", plain(problem)))
}
