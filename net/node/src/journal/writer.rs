//! The thread that writes: it gathers what has come, and stores it in one transaction after the other.

use super::error::JournalError;
use super::handle::{Message, Shared, count};
use super::limits::WAITING_BYTES_MAX;
use super::place::Place;
use super::state::{Change, StateSizes};
use super::store::{Batch, Retention, Sealed, StateChanges, Store};
use crate::clock::{Stopwatch, now_ns};
use centauri_roles::Reservation;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// So often the writer looks after the reservation, and whether it is to end, at least.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// So long after a failure it tries again, or after four times what the attempt took, if that is longer: opening a large file
/// takes a while.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// So often a failure that lasts is told again.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What the writer needs to begin.
pub(super) struct Writer {
    pub(super) place: Place,
    /// `None` after a failure, until it can be opened again.
    pub(super) store: Option<Store>,
    pub(super) identity: i64,
    pub(super) receive: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
    pub(super) reservation: Reservation,
    pub(super) sizes: StateSizes,
    pub(super) retention: Retention,
    pub(super) commit_every: Duration,
    pub(super) pending: Pending,
    pub(super) failure: Option<Failure>,
}

/// What has been taken from the queue and is not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    blocks: VecDeque<Sealed>,
    block_bytes: usize,
    states: StateChanges,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.states.is_empty()
    }
}

/// A failure that lasts.
pub(super) struct Failure {
    since_told: Stopwatch,
    since_tried: Stopwatch,
    retry_after: Duration,
}

/// How a journal ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// Nothing more is accepted; the reservation is taken back to what was.
    Orderly {
        /// The newest timestamp accepted.
        newest_accepted_ns: Option<i64>,
    },
    /// Nobody knows what may still be accepted.
    Abrupt,
}

impl Writer {
    /// Writes until the journal is to end.
    pub(super) fn run(mut self, ending: impl FnOnce() -> Ending) {
        let mut since_commit = Stopwatch::start();
        loop {
            let left = self.commit_every.saturating_sub(since_commit.elapsed()).min(LOOK_EVERY);
            match self.receive.recv_timeout(left) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.shared.ending.load(Ordering::Acquire) {
                break;
            }
            let reserved_ns = self.due();
            let is_time = since_commit.elapsed() >= self.commit_every && !self.pending.is_empty();
            if is_time || reserved_ns.is_some() {
                self.commit(reserved_ns, false);
                since_commit = Stopwatch::start();
            } else if self.pending.is_empty() && since_commit.elapsed() >= self.commit_every {
                since_commit = Stopwatch::start();
            }
        }
        self.end(ending());
    }

    fn due(&mut self) -> Option<i64> {
        let due = self.reservation.due(now_ns());
        self.shared.counts.lapsed.store(self.reservation.lapses(), Ordering::Relaxed);
        due
    }

    fn take(&mut self, message: Message) {
        let bytes = message.bytes();
        self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        match message {
            Message::Block(block) => {
                let (newest_ns, count) = (block.newest_ns(), block.count());
                self.pending.blocks.push_back(Sealed { newest_ns, count, bytes: block.seal() });
                self.pending.block_bytes += bytes;
                self.give_up_oldest();
            }
            Message::State { kind, key, value } => {
                // What waits is bounded, for every key of it has its place among the sizes.
                match self.sizes.change(&kind, &key, value.as_deref()) {
                    Change::ToStore => drop(self.pending.states.insert((kind, key), value)),
                    Change::Nothing => {}
                    Change::NoRoom => count(&self.shared.counts.state_dropped, 1),
                }
            }
        }
    }

    /// What a failing disk keeps waiting has its limit.
    fn give_up_oldest(&mut self) {
        while self.pending.block_bytes > WAITING_BYTES_MAX {
            let Some(oldest) = self.pending.blocks.pop_front() else { return };
            self.pending.block_bytes -= oldest.bytes.len();
            count(&self.shared.counts.blocks_lost, 1);
            count(&self.shared.counts.decisions_lost, u64::from(oldest.count));
        }
    }

    /// Stores what is pending, and the reservation if it is due. After a failure all of it waits for the next attempt.
    fn commit(&mut self, reserved_ns: Option<i64>, is_clean: bool) {
        let is_too_soon = |failure: &Failure| failure.since_tried.elapsed() < failure.retry_after;
        if self.failure.as_ref().is_some_and(is_too_soon) && !is_clean {
            self.reservation.failed();
            return;
        }
        let watch = Stopwatch::start();
        match self.try_commit(reserved_ns, is_clean) {
            Ok(()) => self.committed(reserved_ns),
            Err(error) => self.failed(&error, RETRY_AFTER.max(4 * watch.elapsed())),
        }
    }

    fn try_commit(&mut self, reserved_ns: Option<i64>, is_clean: bool) -> Result<(), JournalError> {
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(Store::reopen(&self.place, self.identity)?),
        };
        let Pending { blocks, states, .. } = &mut self.pending;
        let (blocks, states) = (&*blocks.make_contiguous(), Some(&*states));
        let batch = Batch { blocks, states, reserved_ns, is_clean, ..Batch::default() };
        store.commit(&batch, self.retention, now_ns())
    }

    fn committed(&mut self, reserved_ns: Option<i64>) {
        let pending = std::mem::take(&mut self.pending);
        for ((kind, key), _) in pending.states.iter().filter(|(_, value)| value.is_none()) {
            self.sizes.removed(kind, key);
        }
        let counts = &self.shared.counts;
        count(&counts.commits, 1);
        count(&counts.decisions, pending.blocks.iter().map(|block| u64::from(block.count)).sum());
        if let Some(reserved_ns) = reserved_ns {
            self.reservation.stored(reserved_ns);
            self.shared.reserved_ns.store(self.reservation.reserved_ns(), Ordering::Release);
        }
        if self.failure.take().is_some() {
            let (failed, lost) =
                (counts.failed_commits.load(Ordering::Relaxed), counts.blocks_lost.load(Ordering::Relaxed));
            tracing::info!(
                journal = self.place.name(),
                failed,
                blocks_lost = lost,
                "the journal is written again"
            );
        }
    }

    fn failed(&mut self, error: &JournalError, retry_after: Duration) {
        self.reservation.failed();
        // After an error nobody knows what the database in memory has to do with the file.
        self.store = None;
        count(&self.shared.counts.failed_commits, 1);
        let told = self.failure.take().map(|failure| failure.since_told);
        let since_told = told.filter(|since| since.elapsed() < TELL_EVERY).unwrap_or_else(|| {
            tracing::error!(%error, "the journal cannot be written; decisions go on without it");
            Stopwatch::start()
        });
        self.failure = Some(Failure { since_told, since_tried: Stopwatch::start(), retry_after });
    }

    /// Stores what is left. Whoever waits for the end does not wait for a disk that fails.
    fn end(mut self, ending: Ending) {
        while let Ok(message) = self.receive.try_recv() {
            self.take(message);
        }
        match ending {
            Ending::Orderly { newest_accepted_ns } => {
                let reserved_ns = self.reservation.release_ns(newest_accepted_ns, now_ns());
                self.commit(Some(reserved_ns), true);
            }
            Ending::Abrupt if !self.pending.is_empty() => self.commit(None, false),
            Ending::Abrupt => {}
        }
        for block in &self.pending.blocks {
            count(&self.shared.counts.blocks_lost, 1);
            count(&self.shared.counts.decisions_lost, u64::from(block.count));
        }
    }
}
