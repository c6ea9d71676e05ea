//! Why a journal cannot be used.

use super::limits::VERSION;
use std::path::Path;

/// Why a journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has it open.
    #[error("{file}: another process has the journal open; stop the server first")]
    Locked {
        /// The file.
        file: String,
    },
    /// A file of another kind, a damaged one, or one that ends too soon.
    #[error("{file}: found {problem}, expected a journal of centauri")]
    NoJournal {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Written by a later release.
    #[error(
        "{file}: found a journal of version {found}, expected at most {VERSION}: a newer release wrote it"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: i64,
    },
    /// Something does not fit.
    #[error("{file}: {problem}")]
    Limit {
        /// The file.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// What the disk says.
    #[error("{file}: {problem}")]
    Storage {
        /// The file.
        file: String,
        /// What it says.
        problem: String,
    },
}

impl JournalError {
    pub(super) fn no_journal(file: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::NoJournal { file: file.to_owned(), problem: in_one_line(&problem.to_string()) }
    }

    pub(super) fn storage(file: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::Storage { file: file.to_owned(), problem: in_one_line(&problem.to_string()) }
    }

    /// What opening says.
    pub(super) fn opening(file: &str, error: &redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::Locked { file: file.to_owned() },
            redb::DatabaseError::Storage(redb::StorageError::Io(error)) if !is_about_content(error) => {
                Self::storage(file, error)
            }
            other => Self::no_journal(file, &other),
        }
    }

    /// What reading and writing say.
    pub(super) fn using(file: &str, error: &redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. } => {
                Self::no_journal(file, error)
            }
            redb::Error::TableDoesNotExist(_) => Self::no_journal(file, &"another kind of database"),
            other => Self::storage(file, other),
        }
    }
}

fn is_about_content(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

fn in_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The file's name as messages have it.
pub(super) fn name(path: &Path) -> String {
    path.display().to_string()
}
