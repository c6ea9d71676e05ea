//! The bounds on state: how many kinds there are, and entries and bytes of each.

use super::limits::{STATE_BYTES_MAX, STATE_ENTRIES_MAX, STATE_KINDS_MAX};
use super::tables::States;
use std::collections::BTreeMap;

/// The sizes of all that is kept.
#[derive(Debug, Default)]
pub(super) struct StateSizes(BTreeMap<String, Kind>);

#[derive(Debug, Default)]
struct Kind {
    entries: BTreeMap<Vec<u8>, usize>,
    bytes: usize,
}

impl StateSizes {
    pub(super) fn of(states: &States) -> Self {
        let mut sizes = Self::default();
        for (kind, entries) in states {
            for (key, value) in entries {
                // What is there stays, whatever the bounds.
                sizes.0.entry(kind.clone()).or_default().insert(key, key.len() + value.len());
            }
        }
        sizes
    }

    /// Takes note of a change, if it keeps to the bounds; says whether it does.
    pub(super) fn change(&mut self, kind: &str, key: &[u8], value: Option<&[u8]>) -> bool {
        let is_known = self.0.contains_key(kind);
        let Some(value) = value else {
            if let Some(sizes) = self.0.get_mut(kind) {
                sizes.bytes -= sizes.entries.remove(key).unwrap_or(0);
            }
            return true;
        };
        if !is_known && self.0.len() >= STATE_KINDS_MAX {
            return false;
        }
        let sizes = self.0.entry(kind.to_owned()).or_default();
        let (before, size) = (sizes.entries.get(key).copied(), key.len() + value.len());
        let has_place = before.is_some() || sizes.entries.len() < STATE_ENTRIES_MAX;
        let has_room = has_place && sizes.bytes - before.unwrap_or(0) + size <= STATE_BYTES_MAX;
        if has_room {
            sizes.insert(key, size);
        }
        has_room
    }
}

impl Kind {
    fn insert(&mut self, key: &[u8], size: usize) {
        let before = self.entries.insert(key.to_vec(), size);
        self.bytes = self.bytes + size - before.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_or_removed_makes_room() {
        let mut sizes = StateSizes::default();
        let big = vec![0; STATE_BYTES_MAX - 2];
        assert!(sizes.change("a", b"k", Some(&big)));
        assert!(!sizes.change("a", b"kk", Some(b"")), "one byte is left");
        assert!(sizes.change("a", b"l", Some(b"")));
        assert!(sizes.change("b", b"k", Some(&big)), "another kind has its own room");
        assert!(sizes.change("a", b"k", Some(b"small")) && sizes.change("a", b"l", Some(&big[..1_000])));
        assert!(
            sizes.change("a", b"k", None) && sizes.change("a", b"l", None) && sizes.change("c", b"k", None)
        );
        assert_eq!((sizes.0["a"].bytes, sizes.0.len()), (0, 2));
    }

    #[test]
    fn there_are_only_so_many_kinds_and_entries_of_each() {
        let mut sizes = StateSizes::default();
        for key in 0..STATE_ENTRIES_MAX as u32 {
            assert!(sizes.change("a", &key.to_le_bytes(), Some(b"v")));
        }
        assert!(!sizes.change("a", b"another", Some(b"v")) && sizes.change("b", b"another", Some(b"v")));
        assert!(sizes.change("a", &7_u32.to_le_bytes(), Some(b"new")), "an old key is none too many");
        for kind in 2..STATE_KINDS_MAX {
            assert!(sizes.change(&kind.to_string(), b"k", Some(b"v")));
        }
        assert!(!sizes.change("one too many", b"k", Some(b"v")) && sizes.change("b", b"k", Some(b"v")));
    }
}
