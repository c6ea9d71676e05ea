//! The tables of the file, and what is read from them.

use super::block::{BlockError, BlockReader, Entry};
use super::error::JournalError;
use super::gap::Gap;
use super::limits::{LOOK_BACK_BYTES_MAX, STATE_BYTES_MAX, STATE_KINDS_MAX, STREAMS_MAX, VERSION};
use super::streams::StreamEntry;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::collections::{BTreeMap, BTreeSet};

/// Single numbers; the names are below.
pub(super) const META: TableDefinition<'_, &str, i64> = TableDefinition::new("meta");
pub(super) const STREAMS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("streams");
/// When the block's newest decision was closed, and the block's number.
pub(super) const BLOCKS: TableDefinition<'_, BlockKey, &[u8]> = TableDefinition::new("blocks");
/// How many decisions and bytes a block has, so that nobody need read it to know.
pub(super) const INDEX: TableDefinition<'_, BlockKey, (u32, u32)> = TableDefinition::new("index");
pub(super) const GAPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("gaps");
pub(super) const STATE: TableDefinition<'_, (&str, &[u8]), &[u8]> = TableDefinition::new("state");

pub(super) type BlockKey = (i64, u64);

/// The version of the file.
pub(super) const META_VERSION: &str = "version";
/// A random number that tells this journal from others.
pub(super) const META_IDENTITY: &str = "identity";
/// W: frames with timestamps up to this may have been accepted.
pub(super) const META_RESERVED: &str = "reserved";
/// 1 where the last server ended in an orderly way.
pub(super) const META_CLEAN: &str = "clean";
/// The number of the next block.
pub(super) const META_NEXT: &str = "next_block";
/// Bytes of all blocks, as they take room.
pub(super) const META_BYTES: &str = "bytes";
/// Decisions of all blocks.
pub(super) const META_DECISIONS: &str = "decisions";

/// State by kind and key.
pub(super) type States = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A look at the file as it is at one moment.
pub(super) struct View<'a> {
    pub(super) file: &'a str,
    pub(super) transaction: ReadTransaction,
}

impl View<'_> {
    fn using(&self, error: impl Into<redb::Error>) -> JournalError {
        JournalError::using(self.file, &error.into())
    }

    fn damaged(&self, what: &str) -> JournalError {
        JournalError::no_journal(self.file, &what)
    }

    /// That it is a journal, and one that this release knows.
    pub(super) fn check_version(&self) -> Result<(), JournalError> {
        match self.meta(META_VERSION)? {
            Some(found) if found > VERSION => Err(JournalError::Newer { file: self.file.to_owned(), found }),
            Some(VERSION) => Ok(()),
            _ => Err(self.damaged("no version that a journal has")),
        }
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<i64>, JournalError> {
        let table = self.transaction.open_table(META).map_err(|e| self.using(e))?;
        Ok(table.get(name).map_err(|e| self.using(e))?.map(|value| value.value()))
    }

    /// The list of streams.
    pub(super) fn streams(&self) -> Result<BTreeMap<u32, StreamEntry>, JournalError> {
        let table = self.transaction.open_table(STREAMS).map_err(|e| self.using(e))?;
        let mut streams = BTreeMap::new();
        for row in table.iter().map_err(|e| self.using(e))?.take(STREAMS_MAX as usize) {
            let (number, bytes) = row.map_err(|e| self.using(e))?;
            let entry = StreamEntry::decode(bytes.value())
                .ok_or_else(|| self.damaged("a stream that cannot be read"))?;
            streams.insert(number.value(), entry);
        }
        Ok(streams)
    }

    pub(super) fn gaps(&self) -> Result<BTreeMap<u64, Gap>, JournalError> {
        let table = self.transaction.open_table(GAPS).map_err(|e| self.using(e))?;
        let mut gaps = BTreeMap::new();
        for row in table.iter().map_err(|e| self.using(e))? {
            let (number, bytes) = row.map_err(|e| self.using(e))?;
            let gap = Gap::decode(bytes.value()).ok_or_else(|| self.damaged("a gap that cannot be read"))?;
            gaps.insert(number.value(), gap);
        }
        Ok(gaps)
    }

    /// All state, as far as there may be any.
    pub(super) fn states(&self) -> Result<States, JournalError> {
        let table = self.transaction.open_table(STATE).map_err(|e| self.using(e))?;
        let (mut states, mut bytes) = (States::new(), 0);
        for row in table.iter().map_err(|e| self.using(e))? {
            let (place, value) = row.map_err(|e| self.using(e))?;
            let ((kind, key), value) = (place.value(), value.value());
            bytes += key.len() + value.len();
            if bytes > STATE_BYTES_MAX * STATE_KINDS_MAX {
                return Err(self.damaged("more state than a journal keeps"));
            }
            states.entry(kind.to_owned()).or_default().insert(key.to_vec(), value.to_vec());
        }
        Ok(states)
    }

    /// How many blocks there are, when the oldest of them ends, and the newest.
    pub(super) fn span(&self) -> Result<(u64, Option<(i64, i64)>), JournalError> {
        let table = self.transaction.open_table(INDEX).map_err(|e| self.using(e))?;
        let key = |row: Option<(redb::AccessGuard<'_, BlockKey>, _)>| row.map(|(key, _)| key.value().0);
        let oldest = key(table.first().map_err(|e| self.using(e))?);
        let newest = key(table.last().map_err(|e| self.using(e))?);
        Ok((table.len().map_err(|e| self.using(e))?, oldest.zip(newest)))
    }

    /// Shows every decision of blocks that end at `from_ns` or later, in the order of the blocks.
    pub(super) fn for_each(
        &self,
        from_ns: i64,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let table = self.transaction.open_table(BLOCKS).map_err(|e| self.using(e))?;
        for row in table.range((from_ns, 0)..).map_err(|e| self.using(e))? {
            let (_, bytes) = row.map_err(|e| self.using(e))?;
            self.read_block(bytes.value(), visit)?;
        }
        Ok(())
    }

    fn read_block(
        &self,
        bytes: &[u8],
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let damaged = |error: BlockError| self.damaged(&format!("a damaged block: {error}"));
        let mut reader = BlockReader::new(bytes).map_err(damaged)?;
        while let Some(entry) = reader.next().map_err(damaged)? {
            visit(&entry)?;
        }
        Ok(())
    }

    /// The newest round of each of these streams, looking back from the end until all are found or enough has been read.
    pub(super) fn newest_rounds(
        &self,
        mut wanted: BTreeSet<u32>,
    ) -> Result<BTreeMap<u32, i64>, JournalError> {
        let index = self.transaction.open_table(INDEX).map_err(|e| self.using(e))?;
        let blocks = self.transaction.open_table(BLOCKS).map_err(|e| self.using(e))?;
        let (mut newest, mut read) = (BTreeMap::new(), 0_u64);
        for row in index.iter().map_err(|e| self.using(e))?.rev() {
            if wanted.is_empty() || read > LOOK_BACK_BYTES_MAX {
                break;
            }
            let (key, size) = row.map_err(|e| self.using(e))?;
            read += u64::from(size.value().1);
            let Some(bytes) = blocks.get(key.value()).map_err(|e| self.using(e))? else { continue };
            self.read_block(bytes.value(), &mut |entry| {
                let round = newest.entry(entry.stream).or_insert(entry.round);
                *round = entry.round.max(*round);
                Ok(())
            })?;
            wanted.retain(|stream| !newest.contains_key(stream));
        }
        Ok(newest)
    }
}
