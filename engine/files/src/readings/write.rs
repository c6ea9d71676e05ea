//! Writes readings.

use crate::columnar::ReadingSink;
use crate::decisions::text;
use crate::format::Format;
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
    format: Format,
    out: W,
    row: Vec<u8>,
    /// Where rows of Parquet go, once there is one.
    columns: Option<Box<ReadingSink>>,
    begun: bool,
}

impl<W: Write> ReadingWriter<W> {
    /// Writes to `out`, in many small pieces: it should have a buffer. Parquet comes in row groups, held in memory until
    /// they are whole.
    #[must_use]
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out, row: Vec::new(), columns: None, begun: false }
    }

    /// Writes one row.
    ///
    /// # Errors
    /// What `out` says, and `InvalidInput` for a value that is not finite.
    pub fn write(&mut self, record: &ReadingRecord<'_>) -> io::Result<()> {
        self.begin()?;
        self.row.clear();
        match self.format {
            Format::Csv => csv_row(&mut self.row, record)?,
            Format::JsonLines => json_row(&mut self.row, record)?,
            Format::Parquet => {
                return self.columns.as_mut().map_or(Ok(()), |columns| columns.push(record, &mut self.out));
            }
        }
        self.out.write_all(&self.row)
    }

    /// Writes what is left (the header where there was no row, the footer of Parquet) and gives `out` back.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.begin()?;
        if let Some(columns) = self.columns {
            columns.finish(&mut self.out)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.format {
            _ if self.begun => {}
            Format::Csv => self.out.write_all(b"stream,round,replica,value\n")?,
            Format::JsonLines => {}
            Format::Parquet => self.columns = Some(Box::new(ReadingSink::new()?)),
        }
        self.begun = true;
        Ok(())
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
