//! The journal of a server that does not run.

use super::block::Entry;
use super::contain::contained;
use super::error::JournalError;
use super::gap::Gap;
use super::place::{Base, Place};
use super::streams::StreamEntry;
use super::tables::*;
use std::collections::BTreeMap;
use std::path::Path;

/// A journal opened to be read.
pub struct JournalFile {
    name: String,
    base: Base,
}

impl std::fmt::Debug for JournalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalInfo {
    /// The version of the file.
    pub version: i64,
    /// Blocks of decisions.
    pub blocks: u64,
    /// Decisions in them.
    pub decisions: u64,
    /// Bytes that the blocks take in the file.
    pub bytes: u64,
    /// When the oldest and the newest block end, in nanoseconds since the Unix epoch.
    pub span_ns: Option<(i64, i64)>,
    /// Streams in the list.
    pub streams: usize,
    /// Rounds without a decision, the oldest gap first.
    pub gaps: Vec<Gap>,
    /// W: frames with timestamps up to this may have been accepted.
    pub reserved_ns: Option<i64>,
    /// Whether the last server ended in an orderly way.
    pub was_clean: bool,
    /// State by kind.
    pub states: BTreeMap<String, StateSummary>,
}

/// State of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSummary {
    /// Entries.
    pub entries: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}

impl JournalFile {
    /// Opens a journal that no server has open. What a crash has left is put in order.
    ///
    /// # Errors
    /// A server has it open, it is no journal, is damaged, or a newer release wrote it; what the disk says.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let place = Place::file(path);
        let file = Self { base: place.open_existing()?, name: place.name().to_owned() };
        file.read(|view| view.check_version())?;
        Ok(file)
    }

    fn read<T>(&self, act: impl FnOnce(View<'_>) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let read = || {
            let transaction =
                self.base.begin_read().map_err(|e| JournalError::using(&self.name, &e.into()))?;
            act(View { file: &self.name, transaction })
        };
        contained(read).unwrap_or_else(|panic| Err(JournalError::no_journal(&self.name, &panic)))
    }

    /// What is in it.
    ///
    /// # Errors
    /// A damaged file; what the disk says.
    pub fn info(&self) -> Result<JournalInfo, JournalError> {
        self.read(|view| {
            let number = |name| Ok::<_, JournalError>(view.meta(name)?.unwrap_or(0).max(0).unsigned_abs());
            let (blocks, span_ns) = view.span()?;
            let summary = |entries: BTreeMap<Vec<u8>, Vec<u8>>| StateSummary {
                entries: entries.len(),
                bytes: entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
            };
            Ok(JournalInfo {
                version: view.meta(META_VERSION)?.unwrap_or_default(),
                blocks,
                decisions: number(META_DECISIONS)?,
                bytes: number(META_BYTES)?,
                span_ns,
                streams: view.streams()?.len(),
                gaps: view.gaps()?.into_values().collect(),
                reserved_ns: view.meta(META_RESERVED)?,
                was_clean: view.meta(META_CLEAN)? == Some(1),
                states: view.states()?.into_iter().map(|(kind, entries)| (kind, summary(entries))).collect(),
            })
        })
    }

    /// The list of streams, by their numbers.
    ///
    /// # Errors
    /// As [`JournalFile::info`].
    pub fn streams(&self) -> Result<BTreeMap<u32, StreamEntry>, JournalError> {
        self.read(|view| view.streams())
    }

    /// The state kept of this kind, by key.
    ///
    /// # Errors
    /// As [`JournalFile::info`].
    pub fn state(&self, kind: &str) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, JournalError> {
        self.read(|view| Ok(view.states()?.remove(kind).unwrap_or_default()))
    }

    /// Shows every decision of blocks that end at `from_ns` or later, in the order in which they were stored.
    ///
    /// # Errors
    /// As [`JournalFile::info`]; what `visit` says.
    pub fn for_each(
        &self,
        from_ns: i64,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.read(|view| view.for_each(from_ns, visit))
    }
}
