//! A journal from its opening to its end.

use super::error::JournalError;
use super::gap::Gap;
use super::handle::{JournalCounters, JournalHandle, Shared};
use super::limits::WAITING_MESSAGES_MAX;
use super::place::Place;
use super::state::StateSizes;
use super::store::{Batch, Retention, Store, number_streams};
use super::streams::StreamEntry;
use super::tables::{META_CLEAN, META_RESERVED, States};
use super::writer::{Ending, Pending, Writer};
use centauri_roles::{Reservation, ReservationPolicy, Windows};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalSettings {
    /// How much is kept.
    pub retention: Retention,
    /// What has come is written so often.
    pub commit_every: Duration,
    /// How far ahead timestamps are reserved.
    pub reservation: ReservationPolicy,
}

impl Default for JournalSettings {
    /// A week and a gibibyte; ten commits a second.
    fn default() -> Self {
        Self {
            retention: Retention { keep_ns: 7 * 86_400 * 1_000_000_000, keep_bytes: 1 << 30 },
            commit_every: Duration::from_millis(100),
            reservation: ReservationPolicy::default(),
        }
    }
}

/// A journal that has been opened and read, and not yet begun: what an earlier server left can be asked for.
pub struct OpenedJournal {
    place: Place,
    store: Store,
    streams: Vec<StreamEntry>,
    /// Those of `streams` in the journal's list, in their order.
    numbers: Vec<u32>,
    known: BTreeMap<u32, StreamEntry>,
    newest: BTreeMap<u32, i64>,
    states: States,
    found: Found,
}

/// What an earlier server left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    reserved_ns: Option<i64>,
    was_clean: bool,
    newest_ns: Option<i64>,
    last_gap_from_ns: Option<i64>,
}

impl std::fmt::Debug for OpenedJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedJournal")
            .field("place", &self.place)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// From where a server goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// No frame timestamped before this may be accepted.
    pub floor_ns: i64,
    /// For each stream, in the order given, its first round; none before it is to be decided.
    pub first_rounds: Vec<i64>,
    /// For each stream its number in the journal's list, for [`Entry::stream`](super::Entry::stream).
    pub numbers: Vec<u32>,
    /// The rounds that no decision is kept of, if there are decisions from before.
    pub gap: Option<Gap>,
    /// W as the earlier server left it; `None` in a new journal.
    pub found_reserved_ns: Option<i64>,
    /// Whether that server ended in an orderly way.
    pub was_clean: bool,
}

/// A journal that is being written by a thread of its own. Dropped without [`Journal::close`] it ends as a server does that is
/// killed, but for what waits, which is written.
#[derive(Debug)]
pub struct Journal {
    handle: JournalHandle,
    ending: Arc<Mutex<Ending>>,
    thread: Option<JoinHandle<()>>,
}

impl OpenedJournal {
    /// Opens the journal at `place` for a server of these streams, or makes one where there is none.
    ///
    /// # Errors
    /// Another process has it open, it is no journal, is damaged, or a newer release wrote it; what the disk says.
    pub fn open(place: Place, streams: Vec<StreamEntry>) -> Result<Self, JournalError> {
        let mut store = Store::open_or_create(&place)?;
        let file = place.name().to_owned();
        let (known, numbers, newest, states, found) = store.contain(|store| {
            let view = store.view()?;
            let known = view.streams()?;
            let numbers = number_streams(&known, &streams, &file)?;
            let wanted: BTreeSet<u32> =
                numbers.iter().copied().filter(|number| known.contains_key(number)).collect();
            let (_, span) = view.span()?;
            let found = Found {
                reserved_ns: view.meta(META_RESERVED)?,
                was_clean: view.meta(META_CLEAN)? == Some(1),
                newest_ns: span.map(|(_, newest)| newest),
                last_gap_from_ns: view.gaps()?.pop_last().map(|(_, gap)| gap.from_ns),
            };
            Ok((known, numbers, view.newest_rounds(wanted)?, view.states()?, found))
        })?;
        Ok(Self { place, store, streams, numbers, known, newest, states, found })
    }

    /// The state that was kept of this kind, by key.
    #[must_use]
    pub fn state(&self, kind: &str) -> Option<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.states.get(kind)
    }

    /// Begins to write at time `now_ns`. When this returns, the reservation that the server needs to accept frames is on the disk.
    ///
    /// # Errors
    /// What the disk says; no thread to be had.
    pub fn begin(
        mut self,
        settings: JournalSettings,
        now_ns: i64,
    ) -> Result<(Journal, Beginning), JournalError> {
        let mut reservation = Reservation::begin(settings.reservation, self.found.reserved_ns, now_ns);
        let beginning = self.beginning(reservation.floor_ns());
        let reserved_ns = reservation.due(now_ns);
        let new = self
            .numbers
            .iter()
            .copied()
            .zip(&self.streams)
            .filter(|(number, _)| !self.known.contains_key(number));
        let streams: Vec<(u32, &StreamEntry)> = new.collect();
        // Where nothing was decided since the gap before, this one holds that one.
        let gap = beginning.gap.as_ref().map(|gap| (gap, self.found.last_gap_from_ns == Some(gap.from_ns)));
        let batch = Batch { reserved_ns, gap, streams: &streams, ..Batch::default() };
        self.store.commit(&batch, settings.retention, now_ns)?;
        if let Some(reserved_ns) = reserved_ns {
            reservation.stored(reserved_ns);
        }
        Ok((self.spawn(settings, reservation)?, beginning))
    }

    fn beginning(&self, floor_ns: i64) -> Beginning {
        let mut gap =
            Gap { from_ns: self.found.newest_ns.unwrap_or_default(), until_ns: floor_ns, ..Gap::default() };
        let mut by_number: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
        let mut first_rounds = Vec::with_capacity(self.streams.len());
        for (stream, number) in self.streams.iter().zip(&self.numbers) {
            let windows = Windows::new(stream.epoch_ns, stream.period_ns).ok();
            let first = windows.and_then(|windows| windows.first_from(floor_ns)).unwrap_or(i64::MAX);
            let next = self.newest.get(number).map(|newest| newest.saturating_add(1));
            let first = next.map_or(first, |next| first.max(next));
            first_rounds.push(first);
            if let Some(next) = next {
                by_number.insert(*number, (next, first.saturating_sub(1)));
            }
        }
        for (number, (first, last)) in by_number {
            gap.push(number, first, last);
        }
        Beginning {
            floor_ns,
            first_rounds,
            numbers: self.numbers.clone(),
            gap: (gap.streams() > 0).then_some(gap),
            found_reserved_ns: self.found.reserved_ns,
            was_clean: self.found.was_clean,
        }
    }

    fn spawn(self, settings: JournalSettings, reservation: Reservation) -> Result<Journal, JournalError> {
        let (send, receive) = sync_channel(WAITING_MESSAGES_MAX);
        let shared = Arc::new(Shared::new(reservation.reserved_ns()));
        let file = self.place.name().to_owned();
        let writer = Writer {
            identity: self.store.identity,
            sizes: StateSizes::of(&self.states),
            place: self.place,
            store: Some(self.store),
            receive,
            shared: Arc::clone(&shared),
            reservation,
            retention: settings.retention,
            commit_every: settings.commit_every,
            pending: Pending::default(),
            failure: None,
        };
        let ending = Arc::new(Mutex::new(Ending::Abrupt));
        let told = Arc::clone(&ending);
        let run = move || writer.run(move || told.lock().map_or(Ending::Abrupt, |ending| *ending));
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(run);
        let thread = thread.map_err(|error| JournalError::storage(&file, &error))?;
        Ok(Journal { handle: JournalHandle { send, shared }, ending, thread: Some(thread) })
    }
}

impl Journal {
    /// A way in, for any thread.
    #[must_use]
    pub fn handle(&self) -> &JournalHandle {
        &self.handle
    }

    /// Ends in an orderly way, once nothing is accepted any more: all that waits is written, and the reservation is taken back to the
    /// newest timestamp accepted, so that the next server need not wait. Gives what became of everything.
    #[must_use]
    pub fn close(mut self, newest_accepted_ns: Option<i64>) -> JournalCounters {
        if let Ok(mut ending) = self.ending.lock() {
            *ending = Ending::Orderly { newest_accepted_ns };
        }
        self.join();
        self.handle.counters()
    }

    fn join(&mut self) {
        self.handle.shared.ending.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the journal ended unexpectedly");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.join();
    }
}
