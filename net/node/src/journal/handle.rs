//! The way into a running journal: a bounded queue at which nobody waits.

use super::block::Block;
use super::limits::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

/// What waits for the writer.
#[derive(Debug)]
pub(super) enum Message {
    Block(Block),
    State { kind: String, key: Vec<u8>, value: Option<Vec<u8>> },
}

impl Message {
    /// The memory that it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Block(block) => block.len(),
            Self::State { kind, key, value } => {
                kind.len() + key.len() + value.as_ref().map_or(0, Vec::len) + 64
            }
        }
    }
}

/// What the writer and everybody else know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) reserved_ns: AtomicI64,
    /// The journal is to end: what waits is written, and that is all.
    pub(super) ending: AtomicBool,
    pub(super) waiting_bytes: AtomicUsize,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) decisions: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) blocks_lost: AtomicU64,
    pub(super) decisions_lost: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) failed_commits: AtomicU64,
    pub(super) state_dropped: AtomicU64,
    pub(super) lapsed: AtomicU64,
}

impl Shared {
    pub(super) fn new(reserved_ns: i64) -> Self {
        Self {
            reserved_ns: AtomicI64::new(reserved_ns),
            ending: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            counts: Counts::default(),
        }
    }
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// What became of what was handed to a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalCounters {
    /// Decisions that are on the disk.
    pub decisions: u64,
    /// Decisions that found no room in the queue.
    pub dropped: u64,
    /// Blocks that were given up because the disk had failed for too long.
    pub blocks_lost: u64,
    /// The decisions in them.
    pub decisions_lost: u64,
    /// Transactions that are on the disk.
    pub commits: u64,
    /// Transactions that failed, and attempts to open the file again.
    pub failed_commits: u64,
    /// Changes of state that found no room, in the queue or among the bounds on state.
    pub state_dropped: u64,
    /// How often the reservation of timestamps ran out before it could be renewed.
    pub reservation_lapsed: u64,
}

impl JournalCounters {
    /// By name, as the server writes them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("journal_decisions", self.decisions),
            ("journal_dropped", self.dropped),
            ("journal_blocks_lost", self.blocks_lost),
            ("journal_decisions_lost", self.decisions_lost),
            ("journal_commits", self.commits),
            ("journal_failed_commits", self.failed_commits),
            ("journal_state_dropped", self.state_dropped),
            ("reservation_lapsed", self.reservation_lapsed),
        ]
        .into_iter()
    }
}

/// A way into a running journal, for as many threads as want one. It never waits: what finds no room is dropped and counted.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    pub(super) send: SyncSender<Message>,
    pub(super) shared: Arc<Shared>,
}

#[cfg(test)]
impl JournalHandle {
    /// A way into a queue of so many messages which nobody takes but the test: it sees of each change of state the key, and whether it
    /// puts something there.
    pub(crate) fn unwritten(messages: usize) -> (Self, impl FnMut() -> Vec<(Vec<u8>, bool)>) {
        let (send, receive) = std::sync::mpsc::sync_channel(messages);
        let shared = Arc::new(Shared::new(0));
        let taking = Arc::clone(&shared);
        let take = move || {
            let see = |message: Message| {
                taking.waiting_bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
                match message {
                    Message::State { key, value, .. } => Some((key, value.is_some())),
                    Message::Block(_) => None,
                }
            };
            receive.try_iter().filter_map(see).collect()
        };
        (Self { send, shared }, take)
    }
}

impl JournalHandle {
    /// Hands over a block of decisions that have been published; says whether there was room.
    pub fn store(&self, block: Block) -> bool {
        let decisions = u64::from(block.count());
        let has_room = self.offer(Message::Block(block));
        if !has_room {
            count(&self.shared.counts.dropped, decisions);
        }
        has_room
    }

    /// Keeps `value` under `kind` and `key` beyond the end of the process, in place of what was there; says whether there was
    /// room in the queue. It is on the disk some `commit_ms` later.
    ///
    /// At most 32 bytes of kind, 256 of key and 256 KiB of value (two of the longest frames are half of it); at most 16 kinds, and of
    /// each 65,536 entries and 32 MiB. What is beyond that is dropped and counted, as is what finds no room.
    pub fn put_state(&self, kind: &str, key: &[u8], value: &[u8]) -> bool {
        self.change_state(kind, key, Some(value))
    }

    /// Forgets what is kept under `kind` and `key`; says whether there was room in the queue.
    pub fn remove_state(&self, kind: &str, key: &[u8]) -> bool {
        self.change_state(kind, key, None)
    }

    fn change_state(&self, kind: &str, key: &[u8], value: Option<&[u8]>) -> bool {
        let fits = kind.len() <= STATE_KIND_BYTES_MAX
            && key.len() <= STATE_KEY_BYTES_MAX
            && value.is_none_or(|value| value.len() <= STATE_VALUE_BYTES_MAX);
        let value = value.map(<[u8]>::to_vec);
        let has_room = fits && self.offer(Message::State { kind: kind.to_owned(), key: key.to_vec(), value });
        if !has_room {
            count(&self.shared.counts.state_dropped, 1);
        }
        has_room
    }

    fn offer(&self, message: Message) -> bool {
        let (bytes, waiting) = (message.bytes(), &self.shared.waiting_bytes);
        if self.shared.ending.load(Ordering::Relaxed)
            || waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING_BYTES_MAX
        {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        match self.send.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                waiting.fetch_sub(bytes, Ordering::Relaxed);
                false
            }
        }
    }

    /// W: the newest timestamp that may be accepted ahead of the clock, as it is on the disk.
    #[must_use]
    pub fn reserved_ns(&self) -> i64 {
        self.shared.reserved_ns.load(Ordering::Acquire)
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counters(&self) -> JournalCounters {
        let counts = &self.shared.counts;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JournalCounters {
            decisions: of(&counts.decisions),
            dropped: of(&counts.dropped),
            blocks_lost: of(&counts.blocks_lost),
            decisions_lost: of(&counts.decisions_lost),
            commits: of(&counts.commits),
            failed_commits: of(&counts.failed_commits),
            state_dropped: of(&counts.state_dropped),
            reservation_lapsed: of(&counts.lapsed),
        }
    }
}
