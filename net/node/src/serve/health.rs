//! What is thought of the replicas: told in the log and by HTTP, and kept beyond the end of the process.

use super::Names;
use crate::journal::JournalHandle;
use anyhow::ensure;
use centauri_roles::Client;
use centauri_roles::health::{HealthEvent, HealthPolicy, HealthState, Ledger};
use centauri_wire::Registry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The `[health]` table of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthTable {
    /// Whether the health of replicas is judged.
    pub enabled: bool,
    /// An honest replica is called faulty on one stream at most once in so many rounds, on average.
    pub rounds_between_false_alarms: f64,
}

impl Default for HealthTable {
    fn default() -> Self {
        let policy = HealthPolicy::default();
        Self { enabled: true, rounds_between_false_alarms: policy.rounds_between_false_alarms }
    }
}

impl HealthTable {
    /// The policy, if replicas are judged.
    pub(crate) fn policy(&self) -> Option<HealthPolicy> {
        let rounds_between_false_alarms = self.rounds_between_false_alarms;
        self.enabled.then_some(HealthPolicy { rounds_between_false_alarms, ..HealthPolicy::default() })
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let policy = self.policy().unwrap_or_default();
        let checked = policy.check();
        ensure!(checked.is_ok(), "health: {}", checked.err().map_or_else(String::new, |e| e.to_string()));
        Ok(())
    }
}

/// Says in the log what has changed.
pub(super) fn tell(event: &HealthEvent, names: &[Names]) {
    let names = names.get(event.stream);
    let stream = names.map_or("", |names| &names.stream);
    let replica = names.and_then(|names| names.replicas.get(event.position)).map_or("", String::as_str);
    let (from, to, round) = (event.from.name(), event.to.name(), event.round);
    if matches!(event.to, HealthState::Suspect | HealthState::Faulty) {
        tracing::warn!(stream, replica, round, from, to, proven = event.proven, "health");
    } else {
        tracing::info!(stream, replica, round, from, to, "health");
    }
}

/// What is thought of each node that is a replica of some stream, by name.
pub(super) fn replicas(ledger: &Ledger, registry: &Registry) -> serde_json::Value {
    let nodes = (0_u32..).zip(registry.nodes());
    let replica = |(place, entry): (u32, &centauri_wire::NodeEntry)| {
        let node = ledger.node(place).filter(|node| node.streams != [0; 4])?;
        let [healthy, recovering, suspect, faulty] = node.streams;
        Some(serde_json::json!({
            "name": entry.name,
            "state": node.worst().name(),
            "streams": { "healthy": healthy, "recovering": recovering, "suspect": suspect, "faulty": faulty },
        }))
    };
    nodes.filter_map(replica).collect()
}

/// Kinds of state in the journal.
const LEDGER: &str = "ledger";
const REQUESTS: &str = "request";
/// The ledger goes into the journal in parts of this size.
const PART_BYTES: usize = 128 << 10;
/// So often the ledger and the requests are kept.
const KEEP_EVERY_NS: i64 = 60_000_000_000;

/// Keeps what a client knows of its replicas and of those who asked it.
pub(super) struct ClientKeeper {
    journal: JournalHandle,
    due_ns: i64,
    /// Keys of the requests that are kept, those of an earlier server among them.
    requests: BTreeSet<Vec<u8>>,
    /// In how many parts the ledger is kept.
    parts: usize,
}

/// State of one kind as the journal has it.
type Kept = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an earlier server left.
#[derive(Debug, Default)]
pub(super) struct Left {
    ledger: Kept,
    requests: Kept,
}

impl Left {
    pub(super) fn read(state: impl Fn(&str) -> Option<Kept>) -> Self {
        Self { ledger: state(LEDGER).unwrap_or_default(), requests: state(REQUESTS).unwrap_or_default() }
    }

    /// Has the client go on with it.
    pub(super) fn restore(self, client: &mut Client, now_ns: i64) {
        if !self.ledger.is_empty() {
            let snapshot: Vec<u8> = self.ledger.into_values().flatten().collect();
            match client.restore_health(&snapshot) {
                Ok(()) => tracing::info!("the ledger of replicas goes on"),
                Err(error) => tracing::info!(%error, "the ledger of replicas begins anew"),
            }
        }
        let found = self.requests.len();
        let restored = self.requests.values().filter(|kept| client.restore_request(now_ns, kept)).count();
        if found > 0 {
            tracing::info!(found, restored, "requests that were served before");
        }
    }
}

impl ClientKeeper {
    /// In the place of an earlier server, which left this.
    pub(super) fn new(journal: JournalHandle, now_ns: i64, left: &Left) -> Self {
        let due_ns = now_ns.saturating_add(KEEP_EVERY_NS);
        Self { journal, due_ns, requests: left.requests.keys().cloned().collect(), parts: left.ledger.len() }
    }

    /// Keeps it if it is time again; requests also when there are others than before.
    pub(super) fn keep(&mut self, client: &Client, now_ns: i64, has_news: bool) {
        if now_ns >= self.due_ns {
            self.due_ns = now_ns.saturating_add(KEEP_EVERY_NS);
            self.keep_all(client);
        } else if has_news {
            self.keep_requests(client);
        }
    }

    /// Keeps it now.
    pub(super) fn keep_all(&mut self, client: &Client) {
        if let Some(ledger) = client.health() {
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
        self.keep_requests(client);
    }

    fn keep_requests(&mut self, client: &Client) {
        let mut kept = BTreeSet::new();
        for ((node, request), bytes) in client.kept_requests() {
            let key = [&node.0.to_be_bytes()[..], &request.to_be_bytes()[..]].concat();
            self.journal.put_state(REQUESTS, &key, &bytes);
            kept.insert(key);
        }
        for gone in self.requests.difference(&kept) {
            self.journal.remove_state(REQUESTS, gone);
        }
        self.requests = kept;
    }
}
