//! The file, open to write: what goes into it goes in transactions that are on the disk when they end.

use super::contain::contained;
use super::error::JournalError;
use super::gap::Gap;
use super::limits::{GAPS_MAX, REMOVED_AT_ONCE_MAX, STREAMS_MAX, VERSION};
use super::place::Place;
use super::streams::StreamEntry;
use super::tables::*;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction};
use std::collections::BTreeMap;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Blocks whose newest decision is older than this go, in nanoseconds.
    pub keep_ns: i64,
    /// The oldest blocks go until all take at most so many bytes of the file.
    pub keep_bytes: u64,
}

/// A block as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) newest_ns: i64,
    pub(super) count: u32,
    pub(super) bytes: Vec<u8>,
}

/// Changed state: `None` for what is to go.
pub(super) type StateChanges = BTreeMap<(String, Vec<u8>), Option<Vec<u8>>>;

/// What one transaction stores.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    pub(super) blocks: &'a [Sealed],
    pub(super) states: Option<&'a StateChanges>,
    pub(super) reserved_ns: Option<i64>,
    pub(super) is_clean: bool,
    /// A gap, and whether it takes the place of the newest one.
    pub(super) gap: Option<(&'a Gap, bool)>,
    pub(super) streams: &'a [(u32, &'a StreamEntry)],
}

pub(super) struct Store {
    file: String,
    /// `None` only once it has been closed.
    database: Option<Database>,
    pub(super) identity: i64,
}

impl Store {
    /// Opens a journal; makes one where there is no file, or an empty one.
    pub(super) fn open_or_create(place: &Place) -> Result<Self, JournalError> {
        let mut store =
            Self { file: place.name().to_owned(), database: Some(place.open_writable(true)?), identity: 0 };
        store.contain(|store| {
            let is_new =
                store.view()?.transaction.list_tables().map_err(|e| store.using(e))?.next().is_none();
            if is_new { store.initialise() } else { Ok(()) }
        })?;
        store.check()
    }

    /// Opens the journal of this identity again.
    pub(super) fn reopen(place: &Place, identity: i64) -> Result<Self, JournalError> {
        let store =
            Self { file: place.name().to_owned(), database: Some(place.open_writable(false)?), identity };
        let store = store.check()?;
        if store.identity == identity {
            Ok(store)
        } else {
            Err(JournalError::no_journal(&store.file, &"another journal in place of this one"))
        }
    }

    fn check(mut self) -> Result<Self, JournalError> {
        self.identity = self.contain(|store| {
            let view = store.view()?;
            view.check_version()?;
            Ok(view.meta(META_IDENTITY)?.unwrap_or_default())
        })?;
        Ok(self)
    }

    fn using(&self, error: impl Into<redb::Error>) -> JournalError {
        JournalError::using(&self.file, &error.into())
    }

    fn database(&self) -> Result<&Database, JournalError> {
        self.database.as_ref().ok_or_else(|| JournalError::storage(&self.file, &"closed"))
    }

    /// Does `act`, whose panic is the end of this store and not of the process.
    pub(super) fn contain<T>(
        &mut self,
        act: impl FnOnce(&Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        match contained(|| act(self)) {
            Ok(result) => result,
            Err(panic) => {
                self.close();
                Err(JournalError::no_journal(&self.file, &panic))
            }
        }
    }

    pub(super) fn view(&self) -> Result<View<'_>, JournalError> {
        let transaction = self.database()?.begin_read().map_err(|e| self.using(e))?;
        Ok(View { file: &self.file, transaction })
    }

    /// Lets go of the file. Dropping a database writes, which may fail in whatever way.
    pub(super) fn close(&mut self) {
        if let Some(database) = self.database.take()
            && let Err(panic) = contained(|| drop(database))
        {
            tracing::debug!(panic, "closing the journal");
        }
    }

    fn begin_write(&self) -> Result<WriteTransaction, JournalError> {
        let mut transaction = self.database()?.begin_write().map_err(|e| self.using(e))?;
        transaction.set_durability(Durability::Immediate).map_err(|e| self.using(e))?;
        Ok(transaction)
    }

    fn initialise(&self) -> Result<(), JournalError> {
        let mut identity = [0; 8];
        getrandom::fill(&mut identity).map_err(|error| JournalError::storage(&self.file, &error))?;
        let transaction = self.begin_write()?;
        self.make_tables(&transaction, i64::from_le_bytes(identity)).map_err(|e| self.using(e))?;
        transaction.commit().map_err(|e| self.using(e))
    }

    fn make_tables(&self, transaction: &WriteTransaction, identity: i64) -> Result<(), redb::Error> {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_VERSION, VERSION)?;
        meta.insert(META_IDENTITY, identity)?;
        transaction.open_table(STREAMS)?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(INDEX)?;
        transaction.open_table(GAPS)?;
        transaction.open_table(STATE)?;
        Ok(())
    }

    /// Stores all of it or nothing, and removes what is not kept any longer. When it returns, the disk has it.
    pub(super) fn commit(
        &mut self,
        batch: &Batch<'_>,
        retention: Retention,
        now_ns: i64,
    ) -> Result<(), JournalError> {
        self.contain(|store| {
            let transaction = store.begin_write()?;
            store.write(&transaction, batch, retention, now_ns).map_err(|e| store.using(e))?;
            transaction.commit().map_err(|e| store.using(e))
        })
    }

    fn write(
        &self,
        transaction: &WriteTransaction,
        batch: &Batch<'_>,
        retention: Retention,
        now_ns: i64,
    ) -> Result<(), redb::Error> {
        if !batch.streams.is_empty() {
            let mut streams = transaction.open_table(STREAMS)?;
            for (number, entry) in batch.streams {
                streams.insert(number, entry.encode().unwrap_or_default().as_slice())?;
            }
        }
        for ((kind, key), value) in batch.states.into_iter().flatten() {
            let mut table = transaction.open_table(STATE)?;
            match value {
                Some(value) => table.insert((kind.as_str(), key.as_slice()), value.as_slice())?,
                None => table.remove((kind.as_str(), key.as_slice()))?,
            };
        }
        if let Some((gap, replaces)) = batch.gap {
            write_gap(transaction, gap, replaces)?;
        }
        let mut meta = transaction.open_table(META)?;
        if let Some(reserved) = batch.reserved_ns {
            meta.insert(META_RESERVED, reserved)?;
        }
        meta.insert(META_CLEAN, i64::from(batch.is_clean))?;
        let mut totals = Totals::read(&meta)?;
        totals.add(transaction, batch.blocks)?;
        totals.retain(transaction, retention, now_ns)?;
        totals.write(&mut meta)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_gap(transaction: &WriteTransaction, gap: &Gap, replaces: bool) -> Result<(), redb::Error> {
    let mut gaps = transaction.open_table(GAPS)?;
    let newest = gaps.last()?.map(|(number, _)| number.value());
    let number = newest.map_or(0, |newest| newest.saturating_add(u64::from(!replaces)));
    gaps.insert(number, gap.encode().as_slice())?;
    while gaps.len()? > GAPS_MAX as u64 {
        gaps.pop_first()?;
    }
    Ok(())
}

/// The numbers of all blocks together.
struct Totals {
    next: u64,
    bytes: u64,
    decisions: u64,
}

impl Totals {
    fn read(meta: &impl ReadableTable<&'static str, i64>) -> Result<Self, redb::Error> {
        let number = |name| {
            Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |value| value.value()).max(0).unsigned_abs())
        };
        Ok(Self { next: number(META_NEXT)?, bytes: number(META_BYTES)?, decisions: number(META_DECISIONS)? })
    }

    fn write(&self, meta: &mut redb::Table<'_, &'static str, i64>) -> Result<(), redb::Error> {
        for (name, value) in
            [(META_NEXT, self.next), (META_BYTES, self.bytes), (META_DECISIONS, self.decisions)]
        {
            meta.insert(name, i64::try_from(value).unwrap_or(i64::MAX))?;
        }
        Ok(())
    }

    fn add(&mut self, transaction: &WriteTransaction, blocks: &[Sealed]) -> Result<(), redb::Error> {
        if blocks.is_empty() {
            return Ok(());
        }
        let (mut table, mut index) = (transaction.open_table(BLOCKS)?, transaction.open_table(INDEX)?);
        for block in blocks {
            let key = (block.newest_ns, self.next);
            table.insert(key, block.bytes.as_slice())?;
            index.insert(key, (block.count, block.bytes.len() as u32))?;
            self.next = self.next.saturating_add(1);
            self.bytes = self.bytes.saturating_add(room(block.bytes.len() as u64));
            self.decisions = self.decisions.saturating_add(u64::from(block.count));
        }
        Ok(())
    }

    /// Removes the oldest blocks that are too old or too much.
    fn retain(
        &mut self,
        transaction: &WriteTransaction,
        retention: Retention,
        now_ns: i64,
    ) -> Result<(), redb::Error> {
        let oldest_ns = now_ns.saturating_sub(retention.keep_ns);
        let mut index = transaction.open_table(INDEX)?;
        for _ in 0..REMOVED_AT_ONCE_MAX {
            let Some(((newest_ns, number), (count, bytes))) =
                index.first()?.map(|(k, v)| (k.value(), v.value()))
            else {
                // Whatever the numbers said.
                (self.bytes, self.decisions) = (0, 0);
                return Ok(());
            };
            if newest_ns >= oldest_ns && self.bytes <= retention.keep_bytes {
                return Ok(());
            }
            index.remove((newest_ns, number))?;
            transaction.open_table(BLOCKS)?.remove((newest_ns, number))?;
            self.bytes = self.bytes.saturating_sub(room(u64::from(bytes)));
            self.decisions = self.decisions.saturating_sub(u64::from(count));
        }
        Ok(())
    }
}

/// The room that a block takes in the file: pages have powers of two, and short values share one.
fn room(bytes: u64) -> u64 {
    let with_key = bytes.saturating_add(64);
    if with_key > 2_048 { with_key.next_power_of_two().max(4_096) } else { with_key }
}

/// Gives each stream its number in the list: the one that it has, or the next.
pub(super) fn number_streams(
    known: &BTreeMap<u32, StreamEntry>,
    wanted: &[StreamEntry],
    file: &str,
) -> Result<Vec<u32>, JournalError> {
    let limit = |problem: String| JournalError::Limit { file: file.to_owned(), problem };
    let mut numbers: BTreeMap<Vec<u8>, u32> =
        known.iter().filter_map(|(number, entry)| Some((entry.encode()?, *number))).collect();
    let mut next = known.keys().next_back().map_or(0, |last| last.saturating_add(1));
    let number = |entry: &StreamEntry| {
        let bytes =
            entry.encode().ok_or_else(|| limit(format!("stream {:?}: a name is too long", entry.name)))?;
        if let Some(number) = numbers.get(&bytes) {
            return Ok(*number);
        }
        if next >= STREAMS_MAX {
            return Err(limit(format!(
                "found {next} streams in the journal's list, expected at most {STREAMS_MAX}"
            )));
        }
        let number = next;
        next += 1;
        numbers.insert(bytes, number);
        Ok(number)
    };
    let mut number = number;
    wanted.iter().map(&mut number).collect()
}
