//! Requests that were cancelled, for as long as one from before may still be under way.

use std::collections::BTreeMap;

use centauri_wire::NodeId;

/// So many cancelled requests of one node are remembered, the newest of them; so nobody fills the memory but their own.
const OF_A_NODE_MAX: usize = 32;
/// So many in all.
const ALL_MAX: usize = 4_096;

/// A request's sender and number.
type Key = (NodeId, u64);

/// One that was cancelled.
#[derive(Debug, Clone, Copy)]
struct Ended {
    timestamp_ns: i64,
    /// Nothing from before `timestamp_ns` is accepted after this.
    until_ns: i64,
}

/// Who cancelled what, and when by their clock. Datagrams overtake each other: a request that was signed before its cancellation
/// and comes after it must not begin again what nobody will end.
#[derive(Debug)]
pub(super) struct Cancelled {
    /// Frames older than this are not accepted.
    past_ns: u64,
    all: BTreeMap<Key, Ended>,
}

impl Cancelled {
    pub(super) fn new(past_ns: u64) -> Self {
        Self { past_ns, all: BTreeMap::new() }
    }

    /// Whether a request of this time was overtaken by its cancellation.
    pub(super) fn has_overtaken(&self, key: Key, timestamp_ns: i64) -> bool {
        self.all.get(&key).is_some_and(|ended| timestamp_ns < ended.timestamp_ns)
    }

    /// Remembers a cancellation that was signed at `timestamp_ns`.
    pub(super) fn note(&mut self, now_ns: i64, key: Key, timestamp_ns: i64) {
        let until_ns = timestamp_ns.saturating_add_unsigned(self.past_ns);
        self.all.insert(key, Ended { timestamp_ns, until_ns });
        if self.all.len() > ALL_MAX {
            self.all.retain(|_, ended| now_ns <= ended.until_ns);
        }
        let of_node = (key.0, u64::MIN)..=(key.0, u64::MAX);
        if self.all.range(of_node.clone()).count() > OF_A_NODE_MAX {
            let oldest = self.all.range(of_node).min_by_key(|(_, ended)| ended.until_ns);
            self.forget(oldest.map(|(key, _)| *key));
        }
        if self.all.len() > ALL_MAX {
            self.forget(self.all.iter().min_by_key(|(_, ended)| ended.until_ns).map(|(key, _)| *key));
        }
    }

    fn forget(&mut self, key: Option<Key>) {
        key.and_then(|key| self.all.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_before_its_cancellation_is_overtaken() {
        let mut cancelled = Cancelled::new(50);
        let key = (NodeId(1), 7);
        cancelled.note(100, key, 90);
        for (timestamp, is_old) in [(0, true), (89, true), (90, false), (91, false)] {
            assert_eq!(cancelled.has_overtaken(key, timestamp), is_old, "{timestamp}");
        }
        assert!(!cancelled.has_overtaken((NodeId(1), 8), 0) && !cancelled.has_overtaken((NodeId(2), 7), 0));
    }

    #[test]
    fn a_node_fills_its_own_share_alone_and_all_together_are_bounded() {
        let mut cancelled = Cancelled::new(1_000);
        cancelled.note(0, (NodeId(2), 5), 1);
        for number in 0..1_000 {
            cancelled.note(0, (NodeId(1), number), 2 + number as i64);
        }
        assert!(cancelled.has_overtaken((NodeId(2), 5), 0), "another's is still known");
        assert!(cancelled.has_overtaken((NodeId(1), 999), 0) && !cancelled.has_overtaken((NodeId(1), 0), 0));
        assert_eq!(cancelled.all.len(), 1 + OF_A_NODE_MAX);
        for node in 0..10_000 {
            cancelled.note(0, (NodeId(10 + node), 0), 10_000);
        }
        assert_eq!(cancelled.all.len(), ALL_MAX);
        cancelled.note(20_000, (NodeId(3), 1), 20_000);
        assert_eq!(cancelled.all.len(), 1, "what cannot matter any more makes room");
        cancelled.note(i64::MAX, (NodeId(3), 2), i64::MAX);
    }
}
