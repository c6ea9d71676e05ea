//! What can keep the demonstration from running.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a demonstration cannot begin, or had to end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DemoError {
    /// An option outside its range.
    #[error("--{option}: found {found}, expected {expected}")]
    Option {
        /// The option's name on the command line.
        option: &'static str,
        /// What was found.
        found: String,
        /// The range.
        expected: String,
    },
    /// A file that cannot be read.
    #[error("{}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file whose contents are no readings.
    #[error("{}{}: {problem}", path.display(), place(*line))]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1; `None` for the file as a whole.
        line: Option<u64>,
        /// What was found and what was expected.
        problem: String,
    },
    /// A socket that cannot be opened.
    #[error(transparent)]
    Open(#[from] centauri_uring::OpenError),
    /// A socket that failed, or output that cannot be written.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A backend that is not to be had.
    #[error(transparent)]
    Backend(#[from] crate::backends::OpenError),
    /// A part of the system that refuses what the options come to, or failed at its work.
    #[error("{what}: {problem}")]
    Part {
        /// Which part.
        what: String,
        /// What it says.
        problem: String,
    },
}

impl DemoError {
    #[expect(clippy::needless_pass_by_value, reason = "numbers and errors made on the spot, to be told")]
    pub(super) fn option(option: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Option { option, found: found.to_string(), expected: expected.into() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and errors made on the spot, to be told")]
    pub(super) fn part(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Part { what: what.into(), problem: problem.to_string() }
    }
}

fn place(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}
