//! What is thought of the replicas: told in the log and by HTTP.

use super::Names;
use anyhow::ensure;
use centauri_roles::health::{HealthEvent, HealthPolicy, HealthState, Ledger};
use centauri_wire::Registry;
use serde::{Deserialize, Serialize};

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

/// Counts nodes by what is thought of them on all streams: shards count each node that is in their ledgers.
pub(super) fn count_nodes(counters: &mut [(&'static str, u64)], ledger: &Ledger) {
    for (state, count) in HealthState::ALL.iter().zip(ledger.node_counts()) {
        let is_of = |name: &str| name.strip_prefix("nodes_") == Some(state.name());
        for (_, known) in counters.iter_mut().filter(|(name, _)| is_of(name)) {
            *known = count;
        }
    }
}
