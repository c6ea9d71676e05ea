//! Readings as comma-separated values.
//!
//! A row is a line: neither names nor numbers hold line breaks, so a quote that is not closed on its line is an error
//! there, not a field that swallows the rest of the file.

use super::lines::Lines;
use super::{RawRow, RowError};
use crate::names::{closest, quoted_bytes};
use std::io::Read;

const COLUMNS: [&str; 4] = ["stream", "round", "replica", "value"];
const HEADER: &str = "stream,round,replica,value";

pub(super) struct CsvRows<R> {
    lines: Lines<R>,
    cells: Cells,
    /// Where each of [`COLUMNS`] stands.
    places: [usize; 4],
}

impl<R: Read> CsvRows<R> {
    pub(super) fn new(input: R) -> Result<Self, RowError> {
        let (mut lines, mut cells) = (Lines::new(input), Cells::default());
        let Some(line) = lines.advance()? else {
            return Err(RowError::at(1, format!("found an empty file, expected the header {HEADER}")));
        };
        cells.unquote(lines.text()).map_err(|problem| RowError::at(line, problem))?;
        let places = places(&cells, line)?;
        Ok(Self { lines, cells, places })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    pub(super) fn read(&mut self) -> Result<Option<RawRow<'_>>, RowError> {
        let Some(line) = self.lines.advance()? else { return Ok(None) };
        let text = self.lines.text();
        let mut fields = [&b""[..]; 4];
        let found = if text.contains(&b'"') {
            self.cells.unquote(text).map_err(|problem| RowError::at(line, problem))?;
            fill(&mut fields, self.cells.iter())
        } else {
            fill(&mut fields, text.split(|&byte| byte == b','))
        };
        if found != COLUMNS.len() {
            let noun = if found == 1 { "field" } else { "fields" };
            return Err(RowError::at(line, format!("found {found} {noun}, expected 4")));
        }
        let [stream, round, replica, value] =
            self.places.map(|place| fields.get(place).copied().unwrap_or_default());
        Ok(Some(RawRow {
            line,
            stream,
            round: round_of(round, line)?,
            replica,
            value: value_of(value, line)?,
        }))
    }
}

/// Puts the first four into `fields`; the answer is how many there are.
fn fill<'a>(fields: &mut [&'a [u8]; 4], mut found: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut count = 0;
    for (place, field) in fields.iter_mut().zip(found.by_ref()) {
        *place = field;
        count += 1;
    }
    count + if count == fields.len() { found.count() } else { 0 }
}

fn round_of(field: &[u8], line: u64) -> Result<i64, RowError> {
    let text = std::str::from_utf8(field.trim_ascii()).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        RowError::at(
            line,
            format!("round: found {}, expected a whole number of 64 bits", quoted_bytes(field)),
        )
    })
}

fn value_of(field: &[u8], line: u64) -> Result<Option<f64>, RowError> {
    let trimmed = field.trim_ascii();
    if trimmed.is_empty() {
        return Ok(None);
    }
    let number = std::str::from_utf8(trimmed).ok().and_then(|text| text.parse::<f64>().ok());
    match number {
        Some(value) if value.is_finite() => Ok(Some(value)),
        _ => Err(RowError::at(
            line,
            format!("value: found {}, expected a finite number or nothing", quoted_bytes(field)),
        )),
    }
}

fn places(header: &Cells, line: u64) -> Result<[usize; 4], RowError> {
    let mut places = [None; 4];
    for (place, field) in header.iter().enumerate() {
        let name = field.trim_ascii();
        let column = COLUMNS.iter().zip(&mut places).find(|(column, _)| column.as_bytes() == name);
        let Some((column, known)) = column else {
            let meant = closest(&String::from_utf8_lossy(name), COLUMNS);
            let meant = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
            let found = quoted_bytes(name);
            return Err(RowError::at(line, format!("unknown column {found}, expected {HEADER}{meant}")));
        };
        if known.replace(place).is_some() {
            return Err(RowError::at(line, format!("found the column {column} twice")));
        }
    }
    for (place, column) in places.iter().zip(COLUMNS) {
        if place.is_none() {
            return Err(RowError::at(line, format!("found no column {column}, expected {HEADER}")));
        }
    }
    Ok(places.map(Option::unwrap_or_default))
}

/// The fields of a row, without their quotes.
#[derive(Default)]
struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// Splits a row into fields; a field that begins with a quote ends with one, and holds `""` for each of its own.
    fn unquote(&mut self, row: &[u8]) -> Result<(), String> {
        self.text.clear();
        self.ends.clear();
        let mut rest = row;
        loop {
            rest = match rest.strip_prefix(b"\"") {
                Some(quoted) => self.quoted(quoted)?,
                None => {
                    let end = rest.iter().position(|&byte| byte == b',').unwrap_or(rest.len());
                    let (field, after) = rest.split_at(end);
                    self.text.extend_from_slice(field);
                    after
                }
            };
            self.ends.push(self.text.len());
            match rest.strip_prefix(b",") {
                Some(after) => rest = after,
                None => return Ok(()),
            }
        }
    }

    /// Takes in a field up to its closing quote; the answer is what comes after, which is nothing or a comma first.
    fn quoted<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], String> {
        loop {
            let Some(end) = rest.iter().position(|&byte| byte == b'"') else {
                return Err("found a quote that is not closed on its line".to_owned());
            };
            let (piece, after) = rest.split_at(end);
            self.text.extend_from_slice(piece);
            rest = after.strip_prefix(b"\"").unwrap_or_default();
            match rest.first() {
                None | Some(b',') => return Ok(rest),
                Some(b'"') => {
                    self.text.push(b'"');
                    rest = rest.strip_prefix(b"\"").unwrap_or_default();
                }
                Some(_) => {
                    return Err(format!(
                        "found {} after a closing quote, expected a comma",
                        quoted_bytes(rest)
                    ));
                }
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| self.text.get(start..end).unwrap_or_default())
    }
}
