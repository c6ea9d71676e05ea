//! Batches into a Parquet file.

use crate::names::plain;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};

/// Rows that are put into a batch before they are encoded.
pub(super) const BATCH_ROWS: usize = 4_096;
/// A row group ends at so many rows or, where rows are large, so many bytes: what is held in memory.
const GROUP_ROWS_MAX: usize = 1 << 18;
const GROUP_BYTES_MAX: usize = 16 << 20;

/// A Parquet file that is being written, a row group at a time.
pub(super) struct ParquetSink {
    /// Collects encoded bytes, which are moved on to the output after each row group.
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetSink {
    pub(super) fn new(schema: SchemaRef) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .build();
        // The types are those that Parquet itself has, so no Arrow schema needs to go along.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(refused)?;
        Ok(Self { writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch, out: &mut impl Write) -> io::Result<()> {
        self.writer.write(batch).map_err(refused)?;
        if self.writer.in_progress_size() >= GROUP_BYTES_MAX {
            self.writer.flush().map_err(refused)?;
        }
        self.drain(out)
    }

    /// Writes what is left and the footer, with `metadata` in it.
    pub(super) fn finish(mut self, metadata: Option<(&str, String)>, out: &mut impl Write) -> io::Result<()> {
        if let Some((key, value)) = metadata {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.finish().map_err(refused)?;
        self.drain(out)
    }

    fn drain(&mut self, out: &mut impl Write) -> io::Result<()> {
        let encoded = self.writer.inner_mut();
        out.write_all(encoded)?;
        encoded.clear();
        Ok(())
    }
}

impl std::fmt::Debug for ParquetSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSink")
            .field("bytes_written", &self.writer.bytes_written())
            .finish_non_exhaustive()
    }
}

/// What another library says, as an error of output on one line.
pub(super) fn refused(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(plain(&error.to_string()))
}
