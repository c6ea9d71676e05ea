//! Rows of a Parquet file.
//!
//! The file is not trusted. The library that decodes it returns errors for most malformed files, and where it panics
//! instead, the panic ends here as an error like any other.

use super::columns::{ReadingColumns, places};
use crate::names::plain;
use crate::readings::{RawRow, RowError};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Rows that are decoded together.
const BATCH_ROWS: usize = 8_192;
/// Longest piece of the library's own words that a message repeats, in characters.
const WORDS_MAX: usize = 200;

/// The rows of a Parquet file, decoded batch by batch.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    columns: Option<ReadingColumns>,
    /// The next row in `columns`.
    next: usize,
    /// How many rows have been given, which is the number of the next one.
    row: u64,
    /// How many rows the footer promises.
    rows: u64,
    file_bytes: u64,
}

impl ParquetRows {
    /// The rows of `input`, which is copied to a temporary file first: Parquet is read from its end.
    pub(crate) fn copied(mut input: impl Read) -> Result<Self, RowError> {
        let mut file = tempfile::tempfile().map_err(RowError::Io)?;
        io::copy(&mut input, &mut file).and_then(|_| file.rewind()).map_err(RowError::Io)?;
        Self::open(file)
    }

    /// The rows of `file`; a pipe is copied to a temporary file first.
    pub(crate) fn new(file: File) -> Result<Self, RowError> {
        if file.metadata().map_err(RowError::Io)?.is_file() { Self::open(file) } else { Self::copied(file) }
    }

    fn open(file: File) -> Result<Self, RowError> {
        let file_bytes = file.metadata().map_err(RowError::Io)?.len();
        let (reader, rows) = contained(|| build(file)).map_err(RowError::Columns)?;
        Ok(Self { reader, columns: None, next: 0, row: 0, rows, file_bytes })
    }

    /// Bytes of the file that the rows so far make, as if all were of the same size.
    pub(crate) fn bytes_read(&self) -> u64 {
        let share = u128::from(self.file_bytes) * u128::from(self.row) / u128::from(self.rows.max(1));
        u64::try_from(share).unwrap_or(self.file_bytes)
    }

    pub(crate) fn read(&mut self) -> Result<Option<RawRow<'_>>, RowError> {
        while self.columns.as_ref().is_none_or(|columns| self.next >= columns.rows()) {
            let Some(batch) = self.batch()? else { return Ok(None) };
            self.columns = Some(ReadingColumns::new(&batch).map_err(RowError::Columns)?);
            self.next = 0;
        }
        let Some(columns) = &self.columns else { return Ok(None) };
        let row = columns.row(self.next, self.row)?;
        self.next += 1;
        self.row += 1;
        Ok(Some(row))
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, RowError> {
        let reader = &mut self.reader;
        let (from, rows) = (self.row, self.rows);
        let at = |problem: String| RowError::Columns(format!("from row {from} on: {problem}"));
        match contained(|| reader.next().transpose().map_err(words)).map_err(at)? {
            None if from != rows => Err(RowError::Columns(format!(
                "found {from} rows, expected the {rows} that its footer tells"
            ))),
            batch => Ok(batch),
        }
    }
}

fn build(file: File) -> Result<(ParquetRecordBatchReader, u64), String> {
    // The types of Parquet itself tell enough; an embedded Arrow schema is one more thing to be trusted.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options.clone()).map_err(words)?;
    places(metadata.schema())?;
    let rows = metadata.metadata().file_metadata().num_rows();
    let rows =
        u64::try_from(rows).map_err(|_| format!("found {rows} rows in its footer, expected 0 or more"))?;
    let schema = Arc::new(with_views(metadata.schema()));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options.with_schema(schema))
        .map_err(words)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    Ok((builder.with_batch_size(BATCH_ROWS).build().map_err(words)?, rows))
}

/// The same columns with names as views: a dictionary's long name is then not copied for each row that has it.
fn with_views(schema: &Schema) -> Schema {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        DataType::Binary => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        _ => Arc::clone(field),
    };
    Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>())
}

/// The library's words on one line, not too many of them.
fn words(error: impl std::fmt::Display) -> String {
    let text = plain(&error.to_string());
    let short: String = text.chars().take(WORDS_MAX).collect();
    format!("expected a Parquet file that can be read: {short}")
}

thread_local! {
    /// Whether a panic of this thread will be contained.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`; a panic in it is an error.
fn contained<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    CONTAINED.set(true);
    // What `decode` may leave half done is not used again: after an error there are no more rows.
    let result = catch_unwind(AssertUnwindSafe(decode));
    CONTAINED.set(false);
    result.unwrap_or_else(|_| Err(words("it is malformed")))
}

/// Keeps the process's panic hook from speaking of panics that end as errors of a Parquet file; all others reach the hook
/// that is in force now.
///
/// The library that decodes Parquet panics on some malformed files. Such a panic is an ordinary error here, but the hook
/// is told of it first, and by default prints it. A program whose errors are one line calls this once, before it reads;
/// the hook belongs to the process, so nothing else here touches it.
pub fn silence_contained_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !CONTAINED.get() {
            hook(panic);
        }
    }));
}
