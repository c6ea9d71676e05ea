//! Writes readings.

use crate::columnar::ReadingSink;
use crate::decisions::text;
use crate::format::Format;
use crate::rows::RowWriter;
use std::io::{self, Write};

/// A row of a readings file, by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadingRecord<'a> {
    /// The name of the stream.
    pub stream: &'a str,
    /// The number of the round.
    pub round: i64,
    /// The name of the replica.
    pub replica: &'a str,
    /// The value, finite; `None` is missing.
    pub value: Option<f64>,
}

/// Writes readings as [`Readings`](super::Readings) reads them; every value reads back as the same float64.
#[derive(Debug)]
pub struct ReadingWriter<W> {
    rows: RowWriter<W, ReadingSink>,
}

impl<W: Write> ReadingWriter<W> {
    /// Writes to `out`, in many small pieces: it should have a buffer. Parquet comes in row groups, held in memory until
    /// they are whole.
    #[must_use]
    pub fn new(format: Format, out: W) -> Self {
        Self { rows: RowWriter::new(format, "stream,round,replica,value", out) }
    }

    /// Writes one row.
    ///
    /// # Errors
    /// What `out` says, and `InvalidInput` for a value that is not finite.
    pub fn write(&mut self, record: &ReadingRecord<'_>) -> io::Result<()> {
        self.rows.write(record, |row| csv_row(row, record), |row| json_row(row, record))
    }

    /// Writes what is left (the header where there was no row, the footer of Parquet) and gives `out` back.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(self) -> io::Result<W> {
        self.rows.finish()
    }
}

fn csv_row(row: &mut Vec<u8>, record: &ReadingRecord<'_>) -> io::Result<()> {
    text::csv_text(row, record.stream);
    write!(row, ",{},", record.round)?;
    text::csv_text(row, record.replica);
    row.push(b',');
    if let Some(value) = record.value {
        text::number(row, value)?;
    }
    row.push(b'\n');
    Ok(())
}

fn json_row(row: &mut Vec<u8>, record: &ReadingRecord<'_>) -> io::Result<()> {
    row.extend_from_slice(b"{\"stream\":");
    text::json_text(row, record.stream)?;
    write!(row, ",\"round\":{},\"replica\":", record.round)?;
    text::json_text(row, record.replica)?;
    row.extend_from_slice(b",\"value\":");
    text::json_number(row, record.value)?;
    row.extend_from_slice(b"}\n");
    Ok(())
}
