//! What a server knows of its replicas and of those who asked it, kept beyond the end of the process.

use crate::journal::JournalHandle;
use centauri_roles::Client;
use centauri_roles::health::{Ledger, SnapshotError};
use centauri_wire::NodeId;
use std::collections::BTreeMap;

/// Kinds of state in the journal.
const LEDGER: &str = "ledger";
const REQUESTS: &str = "request";
/// The ledger goes into the journal in parts of this size.
const PART_BYTES: usize = 128 << 10;
/// A request's key: its node and number.
const KEY_BYTES: usize = 12;
/// So often the ledger is kept, in nanoseconds.
const LEDGER_EVERY_NS: i64 = 60_000_000_000;
/// So often requests are kept that were renewed, in nanoseconds; others at once. Much less than they are usually asked for.
const REQUESTS_EVERY_NS: i64 = 5_000_000_000;

/// State of one kind as the journal has it.
type Kept = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an earlier process left.
#[derive(Debug, Default)]
pub(crate) struct Left {
    ledger: Kept,
    requests: Kept,
}

impl Left {
    pub(crate) fn read(state: impl Fn(&str) -> Option<Kept>) -> Self {
        Self { ledger: state(LEDGER).unwrap_or_default(), requests: state(REQUESTS).unwrap_or_default() }
    }

    /// Hands over the ledger, if there is one.
    pub(crate) fn restore_ledger(&self, mut restore: impl FnMut(&[u8]) -> Result<(), SnapshotError>) {
        if !self.ledger.is_empty() {
            let snapshot: Vec<u8> = self.ledger.values().flatten().copied().collect();
            match restore(&snapshot) {
                Ok(()) => tracing::info!("the ledger of replicas goes on"),
                Err(error) => tracing::info!(%error, "the ledger of replicas begins anew"),
            }
        }
    }

    /// Hands over each request that was served; `restore` says whether it could be taken up.
    pub(crate) fn restore_requests(&self, mut restore: impl FnMut(&[u8]) -> bool) {
        let found = self.requests.len();
        let restored = self.requests.values().filter(|kept| restore(kept)).count();
        if found > 0 {
            tracing::info!(found, restored, "requests that were served before");
        }
    }
}

/// When what changes all the time is kept again.
#[derive(Debug)]
pub(crate) struct Again {
    every_ns: i64,
    due_ns: i64,
}

impl Again {
    fn new(every_ns: i64, now_ns: i64) -> Self {
        Self { every_ns, due_ns: now_ns.saturating_add(every_ns) }
    }

    /// For ledgers.
    pub(crate) fn for_ledgers(now_ns: i64) -> Self {
        Self::new(LEDGER_EVERY_NS, now_ns)
    }

    /// For requests.
    pub(crate) fn for_requests(now_ns: i64) -> Self {
        Self::new(REQUESTS_EVERY_NS, now_ns)
    }

    /// Whether it is time; then it is not until as much has passed again.
    pub(crate) fn is_due(&mut self, now_ns: i64) -> bool {
        let is_due = now_ns >= self.due_ns;
        if is_due {
            *self = Self::new(self.every_ns, now_ns);
        }
        is_due
    }
}

/// Keeps a ledger.
#[derive(Debug)]
pub(crate) struct LedgerKeeper {
    journal: JournalHandle,
    /// In how many parts it is kept, with those of a longer one before that could not be removed yet.
    parts: usize,
}

impl LedgerKeeper {
    /// In the place of an earlier process, which left this.
    pub(crate) fn new(journal: JournalHandle, left: &Left) -> Self {
        Self { journal, parts: left.ledger.len() }
    }

    pub(crate) fn keep(&mut self, ledger: &Ledger) {
        self.keep_snapshot(&ledger.snapshot());
    }

    fn keep_snapshot(&mut self, snapshot: &[u8]) {
        let parts = snapshot.chunks(PART_BYTES);
        let before = std::mem::replace(&mut self.parts, parts.len());
        for (part, bytes) in (0_u32..).zip(parts) {
            self.journal.put_state(LEDGER, &part.to_be_bytes(), bytes);
        }
        // Of a longer one before: with its end, what is kept would be no ledger.
        for part in (self.parts..before).rev() {
            let key = u32::try_from(part).unwrap_or(u32::MAX).to_be_bytes();
            if !self.journal.remove_state(LEDGER, &key) {
                // There was no room: it is tried again, with those before it.
                self.parts = part + 1;
                return;
            }
        }
    }
}

/// Keeps the requests that are served.
#[derive(Debug)]
pub(crate) struct RequestKeeper {
    journal: JournalHandle,
    again: Again,
    /// What is kept, of an earlier process, too.
    kept: Kept,
}

impl RequestKeeper {
    /// In the place of an earlier process, which left this; of the nodes that are `own` to this thread.
    pub(crate) fn new(
        journal: JournalHandle,
        now_ns: i64,
        left: &Left,
        own: impl Fn(NodeId) -> bool,
    ) -> Self {
        // A key that is none of a request could be too long to be removed.
        let node = |key: &[u8]| {
            let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
            Some(NodeId(u32::from_be_bytes(*key.first_chunk()?)))
        };
        let kept = left.requests.iter().filter(|(key, _)| node(key).is_some_and(&own));
        let kept = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { journal, again: Again::for_requests(now_ns), kept }
    }

    /// Keeps these and no others, if it is time again, or where there `is_news`.
    pub(crate) fn keep<I: Iterator<Item = Request>>(
        &mut self,
        now_ns: i64,
        is_news: bool,
        requests: impl FnOnce() -> I,
    ) {
        if self.again.is_due(now_ns) || is_news {
            self.keep_now(requests());
        }
    }

    /// Keeps these and no others, of which those are written that have changed. What finds no room is tried again the next time.
    pub(crate) fn keep_now(&mut self, requests: impl Iterator<Item = Request>) {
        let key =
            |node: NodeId, request: u64| [&node.0.to_be_bytes()[..], &request.to_be_bytes()[..]].concat();
        let wanted: Kept = requests.map(|((node, request), bytes)| (key(node, request), bytes)).collect();
        let journal = &self.journal;
        self.kept.retain(|key, _| wanted.contains_key(key) || !journal.remove_state(REQUESTS, key));
        if self.kept.keys().any(|key| !wanted.contains_key(key)) {
            // Nothing new is kept before all that is gone has been removed: so what waits for that does not add up.
            return;
        }
        for (key, bytes) in wanted {
            if self.kept.get(&key) != Some(&bytes) && journal.put_state(REQUESTS, &key, &bytes) {
                self.kept.insert(key, bytes);
            }
        }
    }
}

/// A request as it is kept, with its node and number.
type Request = ((NodeId, u64), Vec<u8>);

/// Keeps what the client of a server of one thread knows.
pub(super) struct ClientKeeper {
    again: Again,
    ledger: LedgerKeeper,
    requests: RequestKeeper,
}

impl ClientKeeper {
    /// In the place of an earlier server, which left this.
    pub(super) fn new(journal: &JournalHandle, now_ns: i64, left: &Left) -> Self {
        Self {
            again: Again::for_ledgers(now_ns),
            ledger: LedgerKeeper::new(journal.clone(), left),
            requests: RequestKeeper::new(journal.clone(), now_ns, left, |_| true),
        }
    }

    /// Keeps it if it is time again; requests also when there are others than before.
    pub(super) fn keep(&mut self, client: &Client, now_ns: i64, has_news: bool) {
        if self.again.is_due(now_ns) {
            client.health().into_iter().for_each(|ledger| self.ledger.keep(ledger));
        }
        self.requests.keep(now_ns, has_news, || client.kept_requests());
    }

    /// Keeps it now.
    pub(super) fn keep_all(&mut self, client: &Client) {
        client.health().into_iter().for_each(|ledger| self.ledger.keep(ledger));
        self.requests.keep_now(client.kept_requests());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(numbers: std::ops::Range<u64>) -> impl Iterator<Item = Request> {
        numbers.map(|number| ((NodeId(1), number), vec![7]))
    }

    fn key(number: u64) -> Vec<u8> {
        [&1_u32.to_be_bytes()[..], &number.to_be_bytes()].concat()
    }

    #[test]
    fn a_removal_that_finds_no_room_is_tried_again() {
        let (journal, mut take) = JournalHandle::unwritten(4);
        let mut keeper = RequestKeeper::new(journal, 0, &Left::default(), |_| true);
        keeper.keep_now(requests(0..4));
        // Two are gone and another is new; the queue is full of what was put.
        keeper.keep_now(requests(2..5));
        assert_eq!(take(), (0..4).map(|number| (key(number), true)).collect::<Vec<_>>());
        keeper.keep_now(requests(2..5));
        assert_eq!(take(), [(key(0), false), (key(1), false), (key(4), true)]);
        keeper.keep_now(requests(2..5));
        assert_eq!(take(), [], "once is enough");
    }

    #[test]
    fn a_key_that_is_no_requests_keeps_nobody_waiting() {
        let (journal, mut take) = JournalHandle::unwritten(4);
        let foreign = [1_u32.to_be_bytes().to_vec(), vec![0; 300]].concat();
        let requests_left = [(foreign, vec![7]), (key(0), vec![7])].into();
        let left = Left { requests: requests_left, ..Left::default() };
        let mut keeper = RequestKeeper::new(journal, 0, &left, |node| node == NodeId(1));
        keeper.keep_now(requests(1..2));
        assert_eq!(take(), [(key(0), false), (key(1), true)]);
    }

    #[test]
    fn parts_of_a_longer_ledger_go_even_if_there_was_no_room_at_first() {
        let (journal, mut take) = JournalHandle::unwritten(4);
        let mut keeper = LedgerKeeper::new(journal, &Left::default());
        let part = |part: u32, is_put: bool| (part.to_be_bytes().to_vec(), is_put);
        keeper.keep_snapshot(&vec![0; 3 * PART_BYTES + 1]);
        assert_eq!(take(), [0, 1, 2, 3].map(|number| part(number, true)));
        for _ in 0..3 {
            keeper.keep_snapshot(&[0]);
        }
        assert_eq!(take(), [part(0, true), part(3, false), part(2, false), part(1, false)]);
        // One of two that are too many finds room.
        keeper.keep_snapshot(&vec![0; 2 * PART_BYTES + 1]);
        keeper.keep_snapshot(&[]);
        assert_eq!(take(), [part(0, true), part(1, true), part(2, true), part(2, false)]);
        keeper.keep_snapshot(&[]);
        assert_eq!(take(), [part(1, false), part(0, false)]);
        keeper.keep_snapshot(&[]);
        assert_eq!(take(), []);
    }
}
