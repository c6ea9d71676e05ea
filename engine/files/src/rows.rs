//! Rows of a file in any format: a header first, whole rows, and what is left at the end.

use crate::format::Format;
use std::io::{self, Write};

/// Where rows of Parquet go: columns that are held in memory until a row group is whole.
pub(crate) trait RowSink: Sized {
    /// What a row is made of.
    type Record<'a>;

    fn new() -> io::Result<Self>;
    fn push(&mut self, record: &Self::Record<'_>, out: &mut impl Write) -> io::Result<()>;
    fn finish(self, out: &mut impl Write) -> io::Result<()>;
}

/// Writes rows to `out`, as text or by way of a sink of columns.
#[derive(Debug)]
pub(crate) struct RowWriter<W, S> {
    format: Format,
    header: &'static str,
    pub(crate) out: W,
    row: Vec<u8>,
    /// Once something was written as Parquet.
    columns: Option<Box<S>>,
    begun: bool,
}

impl<W: Write, S: RowSink> RowWriter<W, S> {
    /// `header` is the line that CSV begins with.
    pub(crate) fn new(format: Format, header: &'static str, out: W) -> Self {
        Self { format, header, out, row: Vec::new(), columns: None, begun: false }
    }

    /// Writes one row, or nothing of it. The text of a row comes from `csv` or `json`.
    pub(crate) fn write(
        &mut self,
        record: &S::Record<'_>,
        csv: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
        json: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.begin()?;
        self.row.clear();
        match self.format {
            Format::Csv => csv(&mut self.row)?,
            Format::JsonLines => json(&mut self.row)?,
            Format::Parquet => {
                return self.columns.as_mut().map_or(Ok(()), |columns| columns.push(record, &mut self.out));
            }
        }
        self.out.write_all(&self.row)
    }

    /// Writes what is left (the header where there was no row, the footer of Parquet), flushes `out` and gives it back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
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
            Format::Csv => writeln!(self.out, "{}", self.header)?,
            Format::JsonLines => {}
            Format::Parquet => self.columns = Some(Box::new(S::new()?)),
        }
        self.begun = true;
        Ok(())
    }
}
