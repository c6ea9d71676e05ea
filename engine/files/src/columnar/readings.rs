//! Readings into columns.

use super::schema::readings_schema;
use super::sink::{BATCH_ROWS, ParquetSink, refused};
use crate::readings::ReadingRecord;
use crate::rows::RowSink;
use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use std::io::{self, Write};
use std::sync::Arc;

/// Readings on their way into a Parquet file.
#[derive(Debug)]
pub(crate) struct ReadingSink {
    sink: ParquetSink,
    rows: usize,
    stream: StringBuilder,
    round: Int64Builder,
    replica: StringBuilder,
    value: Float64Builder,
}

impl ReadingSink {
    fn encode(&mut self, out: &mut impl Write) -> io::Result<()> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.stream.finish()),
            Arc::new(self.round.finish()),
            Arc::new(self.replica.finish()),
            Arc::new(self.value.finish()),
        ];
        self.rows = 0;
        self.sink.write(&RecordBatch::try_new(readings_schema(), columns).map_err(refused)?, out)
    }
}

impl RowSink for ReadingSink {
    type Record<'a> = ReadingRecord<'a>;

    fn new() -> io::Result<Self> {
        Ok(Self {
            sink: ParquetSink::new(readings_schema())?,
            rows: 0,
            stream: StringBuilder::new(),
            round: Int64Builder::new(),
            replica: StringBuilder::new(),
            value: Float64Builder::new(),
        })
    }

    fn push(&mut self, record: &ReadingRecord<'_>, out: &mut impl Write) -> io::Result<()> {
        if let Some(value) = record.value.filter(|value| !value.is_finite()) {
            let problem = format!("found {value}, expected a finite number");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        self.stream.append_value(record.stream);
        self.round.append_value(record.round);
        self.replica.append_value(record.replica);
        self.value.append_option(record.value);
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.encode(out) } else { Ok(()) }
    }

    fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.encode(out)?;
        self.sink.finish(None, out)
    }
}
