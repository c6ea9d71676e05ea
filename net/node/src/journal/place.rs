//! Where a journal is.

use super::contain::contained;
use super::error::{self, JournalError};
use super::limits::CACHE_BYTES;
use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, StorageBackend};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the database by what the builder says; makes one where it may.
type Open = dyn Fn(&Builder, bool) -> Result<Database, DatabaseError> + Send + Sync;

/// Where a journal is: a file, or what a test puts in place of one.
#[derive(Clone)]
pub struct Place {
    name: String,
    open: Arc<Open>,
    path: Option<PathBuf>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An open database.
pub(super) enum Base {
    Writable(Database),
    /// A file that cannot be written to, for want of the permission or of room.
    ReadOnly(ReadOnlyDatabase),
}

impl Place {
    /// A file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        let at = path.to_owned();
        let open =
            move |builder: &Builder, creates| if creates { builder.create(&at) } else { builder.open(&at) };
        Self { name: error::name(path), open: Arc::new(open), path: Some(path.to_owned()) }
    }

    /// What `open` gives each time that the journal is opened, under a name for messages.
    #[must_use]
    pub fn backend<B: StorageBackend>(name: &str, open: impl Fn() -> B + Send + Sync + 'static) -> Self {
        let open = move |builder: &Builder, _| builder.create_with_backend(open());
        Self { name: name.to_owned(), open: Arc::new(open), path: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Opens it to write, with a check of every page: a file that something else has changed is an error and no surprise later.
    pub(super) fn open_writable(&self, creates: bool) -> Result<Database, JournalError> {
        let open = || {
            (self.open)(Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true), creates)
        };
        match contained(open) {
            Ok(opened) => opened.map_err(|error| JournalError::opening(&self.name, &error)),
            Err(panic) => Err(JournalError::no_journal(&self.name, &panic)),
        }
    }

    /// Opens what is there, to write if that can be: what a crash has left can only be put in order by writing.
    pub(super) fn open_existing(&self) -> Result<Base, JournalError> {
        let error = match self.open_writable(false) {
            Ok(database) => return Ok(Base::Writable(database)),
            Err(error) => error,
        };
        match (&self.path, &error) {
            (Some(path), JournalError::Storage { .. }) => {
                let open = || Builder::new().set_cache_size(CACHE_BYTES).open_read_only(path);
                contained(open).ok().and_then(Result::ok).map(Base::ReadOnly).ok_or(error)
            }
            _ => Err(error),
        }
    }
}

impl Base {
    pub(super) fn begin_read(&self) -> Result<redb::ReadTransaction, redb::TransactionError> {
        match self {
            Self::Writable(database) => database.begin_read(),
            Self::ReadOnly(database) => database.begin_read(),
        }
    }
}
