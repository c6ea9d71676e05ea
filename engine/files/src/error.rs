//! What can be wrong with a file.

use std::io;
use std::path::Path;

/// A file that cannot be read, written or understood. Each message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A model file that says something impossible, or nothing where something is needed.
    #[error("{file}{}: {}{problem}", At(*line), Key(key))]
    Model {
        /// The file, as it was named.
        file: String,
        /// The line, counted from 1, where one can be told.
        line: Option<u64>,
        /// The path of the key, for example `streams[0] "coin": support.step`; empty for the file as a whole.
        key: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A row of a readings file that is malformed or names what the model doesn't know.
    #[error("{file}:{line}: {problem}")]
    Row {
        /// The file, as it was named.
        file: String,
        /// The line on which the row begins, counted from 1.
        line: u64,
        /// What was found and what was expected.
        problem: String,
    },
    /// A row of a columnar readings file or batch that is malformed or names what the model doesn't know.
    #[error("{file}: row {row}: {problem}")]
    Record {
        /// The file, as it was named.
        file: String,
        /// The row, counted from 0 through the whole file.
        row: u64,
        /// What was found and what was expected.
        problem: String,
    },
    /// A columnar readings file or batch that cannot be understood, or has other columns than expected.
    #[error("{file}: {problem}")]
    Columns {
        /// The file, as it was named.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// The operating system refused.
    #[error("{file}: {action}: {reason}")]
    Io {
        /// The file, as it was named.
        file: String,
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        reason: io::Error,
    },
    /// A file whose name does not tell a format that can be read or written.
    #[error("{file}: {problem}")]
    Format {
        /// The file, as it was named.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
}

impl FileError {
    /// Puts file and action to an error of the operating system; it fits `map_err`.
    pub fn io(file: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let file = file.display().to_string();
        move |reason| Self::Io { file, action, reason }
    }

    /// The line at fault, counted from 1, where one can be told.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Model { line, .. } => *line,
            Self::Row { line, .. } => Some(*line),
            Self::Record { .. } | Self::Columns { .. } | Self::Io { .. } | Self::Format { .. } => None,
        }
    }
}

struct At(Option<u64>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

struct Key<'a>(&'a str);

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}
