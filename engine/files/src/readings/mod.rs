//! Readings: what each replica sent for each round.

mod collect;
mod csv;
mod directory;
mod jsonl;
mod lines;
mod sort;
mod write;

use crate::columnar::ParquetRows;
use crate::error::FileError;
use crate::format::Format;
use crate::names::{expected_one_of, quoted_bytes};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use collect::{Round, RoundCollector, Rounds, collect_rounds};
pub use directory::Directory;
pub use sort::Spill;
pub use write::{ReadingRecord, ReadingWriter};

const BUFFER_BYTES: usize = 1 << 16;

/// One row of a readings file. Positions are those of the [`Directory`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The position of the stream.
    pub stream: usize,
    /// The number of the round.
    pub round: i64,
    /// The position of the replica in the stream.
    pub replica: usize,
    /// The value, finite; `None` is missing and claims nothing.
    pub value: Option<f64>,
    /// The line on which the row begins, counted from 1; of columnar readings the row, counted from 0.
    pub line: u64,
}

/// The rows of a readings file, one after the other; after an error there are no more.
///
/// CSV has a header with the columns `stream`, `round`, `replica` and `value` in any order; other columns are an
/// error, and a row is a line. In JSON Lines each line is an object with these keys, of which `value` may be left out or null. Blank
/// lines are skipped; a byte-order mark and either line ending are accepted. Numbers in CSV may have spaces around
/// them, names are taken as they are. A Parquet file has the same columns in any order: names as strings, `round` as a
/// signed integer, `value` as float64, float32 or a signed integer; it is decoded batch by batch, a page of each column
/// in memory at a time.
pub struct Readings<'d, R> {
    directory: &'d Directory,
    file: String,
    rows: Option<Rows<R>>,
    guess: Guess,
}

enum Rows<R> {
    Csv(csv::CsvRows<R>),
    JsonLines(jsonl::JsonRows<R>),
    Parquet(Box<ParquetRows>),
}

impl<R> std::fmt::Debug for Readings<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readings").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A row as it stands in the file.
pub(crate) struct RawRow<'a> {
    pub(crate) line: u64,
    pub(crate) stream: &'a [u8],
    pub(crate) round: i64,
    pub(crate) replica: &'a [u8],
    pub(crate) value: Option<f64>,
}

/// A row that could not be read.
pub(crate) enum RowError {
    Malformed {
        line: u64,
        problem: String,
    },
    /// Something about all of the rows, or about one that cannot be told.
    Columns(String),
    Io(io::Error),
}

impl RowError {
    pub(crate) fn at(line: u64, problem: impl Into<String>) -> Self {
        Self::Malformed { line, problem: problem.into() }
    }

    fn in_file(self, file: &str) -> FileError {
        match self {
            Self::Malformed { line, problem } => FileError::Row { file: file.to_owned(), line, problem },
            Self::Columns(problem) => FileError::Columns { file: file.to_owned(), problem },
            Self::Io(reason) => FileError::Io { file: file.to_owned(), action: "reading", reason },
        }
    }

    /// As [`RowError::in_file`], where rows have numbers in the place of lines.
    pub(crate) fn in_columns(self, file: &str) -> FileError {
        match self {
            Self::Malformed { line, problem } => {
                FileError::Record { file: file.to_owned(), row: line, problem }
            }
            other => other.in_file(file),
        }
    }
}

impl<'d> Readings<'d, Box<dyn Read>> {
    /// The rows of the file at `path`, whose extension tells its format.
    ///
    /// # Errors
    /// [`FileError::Format`] for an unknown extension, [`FileError::Io`] when the file cannot be opened,
    /// [`FileError::Row`] for a header that is not as expected, [`FileError::Columns`] for a Parquet file that cannot be
    /// read or has other columns.
    pub fn open(path: &Path, directory: &'d Directory) -> Result<Self, FileError> {
        let format = Format::from_path(path)?;
        let file = File::open(path).map_err(FileError::io(path, "opening"))?;
        let name = path.display().to_string();
        if format == Format::Parquet {
            let rows = ParquetRows::new(file).map_err(|error| error.in_columns(&name))?;
            return Ok(Self::of(Rows::Parquet(Box::new(rows)), &name, directory));
        }
        Self::new(format, Box::new(file), &name, directory)
    }
}

impl<'d, R: Read> Readings<'d, R> {
    /// The rows that `input` holds in `format`; `file` is what errors call it. It is read in large pieces: no buffer
    /// is needed. Parquet is copied to a temporary file first, since it is read from its end; [`Readings::open`] does without.
    ///
    /// # Errors
    /// [`FileError::Row`] for a CSV header that is not as expected, [`FileError::Columns`] for Parquet that cannot be read
    /// or has other columns, [`FileError::Io`] when it cannot be read.
    pub fn new(format: Format, input: R, file: &str, directory: &'d Directory) -> Result<Self, FileError> {
        let rows = match format {
            Format::Csv => Rows::Csv(csv::CsvRows::new(input).map_err(|error| error.in_file(file))?),
            Format::JsonLines => Rows::JsonLines(jsonl::JsonRows::new(input)),
            Format::Parquet => {
                let rows = ParquetRows::copied(input).map_err(|error| error.in_columns(file))?;
                Rows::Parquet(Box::new(rows))
            }
        };
        Ok(Self::of(rows, file, directory))
    }

    fn of(rows: Rows<R>, file: &str, directory: &'d Directory) -> Self {
        Self { directory, file: file.to_owned(), rows: Some(rows), guess: Guess::default() }
    }

    /// How many bytes of the input the rows so far make; of Parquet, as if all rows were of the same size. 0 after the
    /// last row.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        match &self.rows {
            Some(Rows::Csv(rows)) => rows.bytes_read(),
            Some(Rows::JsonLines(rows)) => rows.bytes_read(),
            Some(Rows::Parquet(rows)) => rows.bytes_read(),
            None => 0,
        }
    }
}

impl<R: Read> Iterator for Readings<'_, R> {
    type Item = Result<Reading, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (row, columnar) = match self.rows.as_mut()? {
            Rows::Csv(rows) => (rows.read(), false),
            Rows::JsonLines(rows) => (rows.read(), false),
            Rows::Parquet(rows) => (rows.read(), true),
        };
        let reading = match row {
            Ok(None) => None,
            Ok(Some(row)) => Some(self.guess.resolve(self.directory, &row)),
            Err(error) => Some(Err(error)),
        };
        let told =
            |error: RowError| if columnar { error.in_columns(&self.file) } else { error.in_file(&self.file) };
        let reading = reading.map(|reading| reading.map_err(told));
        if !matches!(reading, Some(Ok(_))) {
            self.rows = None;
        }
        reading
    }
}

/// The last row's names: neighbouring rows are mostly of one stream, and of its replicas in turn.
#[derive(Default)]
pub(crate) struct Guess {
    stream: usize,
    replica: usize,
}

impl Guess {
    pub(crate) fn resolve(&mut self, directory: &Directory, row: &RawRow<'_>) -> Result<Reading, RowError> {
        let stream = match directory.name(self.stream) {
            Some(name) if name.as_bytes() == row.stream => self.stream,
            _ => directory
                .stream(row.stream)
                .ok_or_else(|| unknown(row.line, "stream", row.stream, directory.names()))?,
        };
        let names = directory.replicas(stream);
        let next = if self.replica + 1 < names.len() { self.replica + 1 } else { 0 };
        let replica = match names.get(next) {
            Some(name) if name.as_bytes() == row.replica => next,
            _ => directory.replica(stream, row.replica).ok_or_else(|| {
                let known = names.iter().map(String::as_str);
                unknown(row.line, &format!("replica of {}", quoted_bytes(row.stream)), row.replica, known)
            })?,
        };
        (self.stream, self.replica) = (stream, replica);
        Ok(Reading { stream, round: row.round, replica, value: row.value, line: row.line })
    }
}

fn unknown<'a>(line: u64, what: &str, name: &[u8], known: impl Iterator<Item = &'a str> + Clone) -> RowError {
    let expected = expected_one_of(&String::from_utf8_lossy(name), known);
    RowError::at(line, format!("unknown {what}: found {}, expected {expected}", quoted_bytes(name)))
}
