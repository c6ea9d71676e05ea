//! What a server knows of its replicas and of those who asked it, kept beyond the end of the process.

use crate::journal::JournalHandle;
use centauri_roles::health::{Ledger, SnapshotError};
use centauri_wire::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of state in the journal.
const LEDGER: &str = "ledger";
const REQUESTS: &str = "request";
/// The ledger goes into the journal in parts of this size.
const PART_BYTES: usize = 128 << 10;
/// So often the ledger and the requests are kept, in nanoseconds.
const KEEP_EVERY_NS: i64 = 60_000_000_000;

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
pub(crate) struct Minute {
    due_ns: i64,
}

impl Minute {
    pub(crate) fn from(now_ns: i64) -> Self {
        Self { due_ns: now_ns.saturating_add(KEEP_EVERY_NS) }
    }

    /// Whether it has passed; then the next begins.
    pub(crate) fn has_passed(&mut self, now_ns: i64) -> bool {
        let has_passed = now_ns >= self.due_ns;
        if has_passed {
            *self = Self::from(now_ns);
        }
        has_passed
    }
}

/// Keeps a ledger.
#[derive(Debug)]
pub(crate) struct LedgerKeeper {
    journal: JournalHandle,
    /// In how many parts it is kept.
    parts: usize,
}

impl LedgerKeeper {
    /// In the place of an earlier process, which left this.
    pub(crate) fn new(journal: JournalHandle, left: &Left) -> Self {
        Self { journal, parts: left.ledger.len() }
    }

    pub(crate) fn keep(&mut self, ledger: &Ledger) {
        let snapshot = ledger.snapshot();
        let parts = snapshot.chunks(PART_BYTES);
        let before = std::mem::replace(&mut self.parts, parts.len());
        for (part, bytes) in (0_u32..).zip(parts) {
            self.journal.put_state(LEDGER, &part.to_be_bytes(), bytes);
        }
        // Of a longer one before: with its end, what is kept would be no ledger.
        for part in (0_u32..).take(before).skip(self.parts) {
            self.journal.remove_state(LEDGER, &part.to_be_bytes());
        }
    }
}

/// Keeps the requests that are served.
#[derive(Debug)]
pub(crate) struct RequestKeeper {
    journal: JournalHandle,
    /// Keys of those that are kept, those of an earlier process among them.
    kept: BTreeSet<Vec<u8>>,
}

impl RequestKeeper {
    /// In the place of an earlier process, which left this; of the nodes that are `own` to this thread.
    pub(crate) fn new(journal: JournalHandle, left: &Left, own: impl Fn(NodeId) -> bool) -> Self {
        let node = |key: &[u8]| Some(NodeId(u32::from_be_bytes(*key.first_chunk()?)));
        let is_own = |key: &&Vec<u8>| node(key).is_some_and(&own);
        Self { journal, kept: left.requests.keys().filter(is_own).cloned().collect() }
    }

    /// Keeps these and no others.
    pub(crate) fn keep(&mut self, requests: impl Iterator<Item = ((NodeId, u64), Vec<u8>)>) {
        let mut kept = BTreeSet::new();
        for ((node, request), bytes) in requests {
            let key = [&node.0.to_be_bytes()[..], &request.to_be_bytes()[..]].concat();
            self.journal.put_state(REQUESTS, &key, &bytes);
            kept.insert(key);
        }
        for gone in self.kept.difference(&kept) {
            self.journal.remove_state(REQUESTS, gone);
        }
        self.kept = kept;
    }
}

/// Keeps what the client of a server of one thread knows.
pub(super) struct ClientKeeper {
    minute: Minute,
    ledger: LedgerKeeper,
    requests: RequestKeeper,
}

impl ClientKeeper {
    /// In the place of an earlier server, which left this.
    pub(super) fn new(journal: &JournalHandle, now_ns: i64, left: &Left) -> Self {
        Self {
            minute: Minute::from(now_ns),
            ledger: LedgerKeeper::new(journal.clone(), left),
            requests: RequestKeeper::new(journal.clone(), left, |_| true),
        }
    }

    /// Keeps it if it is time again; requests also when there are others than before.
    pub(super) fn keep(&mut self, client: &centauri_roles::Client, now_ns: i64, has_news: bool) {
        if self.minute.has_passed(now_ns) {
            self.keep_all(client);
        } else if has_news {
            self.requests.keep(client.kept_requests());
        }
    }

    /// Keeps it now.
    pub(super) fn keep_all(&mut self, client: &centauri_roles::Client) {
        client.health().into_iter().for_each(|ledger| self.ledger.keep(ledger));
        self.requests.keep(client.kept_requests());
    }
}
