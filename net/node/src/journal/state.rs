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

/// What a change of state comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is to be stored.
    ToStore,
    /// There is nothing under this key, neither stored nor to be stored.
    Nothing,
    /// It is beyond the bounds.
    NoRoom,
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

    /// Takes note of a change that keeps to the bounds, and says what it comes to.
    ///
    /// What is removed keeps its key's place until [`StateSizes::removed`]: so what a failing disk keeps waiting has the bounds of what
    /// is kept, and yet no removal is lost.
    pub(super) fn change(&mut self, kind: &str, key: &[u8], value: Option<&[u8]>) -> Change {
        let is_known = self.0.contains_key(kind);
        let Some(value) = value else {
            let sizes = self.0.get_mut(kind).filter(|sizes| sizes.entries.contains_key(key));
            return sizes.map_or(Change::Nothing, |sizes| {
                sizes.insert(key, key.len());
                Change::ToStore
            });
        };
        if !is_known && self.0.len() >= STATE_KINDS_MAX {
            return Change::NoRoom;
        }
        let sizes = self.0.entry(kind.to_owned()).or_default();
        let (before, size) = (sizes.entries.get(key).copied(), key.len() + value.len());
        let has_place = before.is_some() || sizes.entries.len() < STATE_ENTRIES_MAX;
        let has_room = has_place && sizes.bytes - before.unwrap_or(0) + size <= STATE_BYTES_MAX;
        if has_room {
            sizes.insert(key, size);
            return Change::ToStore;
        }
        Change::NoRoom
    }

    /// Its removal is on the disk.
    pub(super) fn removed(&mut self, kind: &str, key: &[u8]) {
        if let Some(sizes) = self.0.get_mut(kind) {
            sizes.bytes -= sizes.entries.remove(key).unwrap_or(0);
        }
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

    impl StateSizes {
        fn puts(&mut self, kind: &str, key: &[u8], value: &[u8]) -> bool {
            match self.change(kind, key, Some(value)) {
                Change::ToStore => true,
                Change::NoRoom => false,
                Change::Nothing => panic!("a value is something"),
            }
        }
    }

    #[test]
    fn what_is_replaced_or_removed_makes_room() {
        let mut sizes = StateSizes::default();
        let big = vec![0; STATE_BYTES_MAX - 2];
        assert!(sizes.puts("a", b"k", &big));
        assert!(!sizes.puts("a", b"kk", b""), "one byte is left");
        assert!(sizes.puts("a", b"l", b""));
        assert!(sizes.puts("b", b"k", &big), "another kind has its own room");
        assert!(sizes.puts("a", b"k", b"small") && sizes.puts("a", b"l", &big[..1_000]));
        for key in [b"k", b"l"] {
            assert_eq!(sizes.change("a", key, None), Change::ToStore);
        }
        assert_eq!(sizes.0["a"].bytes, 2, "the keys");
        for key in [b"k", b"l"] {
            sizes.removed("a", key);
            assert_eq!(sizes.change("a", key, None), Change::Nothing);
        }
        assert_eq!(sizes.change("c", b"k", None), Change::Nothing);
        assert_eq!((sizes.0["a"].bytes, sizes.0.len()), (0, 2));
    }

    #[test]
    fn there_are_only_so_many_kinds_and_entries_of_each() {
        let mut sizes = StateSizes::default();
        for key in 0..STATE_ENTRIES_MAX as u32 {
            assert!(sizes.puts("a", &key.to_le_bytes(), b"v"));
        }
        assert!(!sizes.puts("a", b"another", b"v") && sizes.puts("b", b"another", b"v"));
        assert!(sizes.puts("a", &7_u32.to_le_bytes(), b"new"), "an old key is none too many");
        for kind in 2..STATE_KINDS_MAX {
            assert!(sizes.puts(&kind.to_string(), b"k", b"v"));
        }
        assert!(!sizes.puts("one too many", b"k", b"v") && sizes.puts("b", b"k", b"v"));
    }

    #[test]
    fn what_is_removed_keeps_its_place_until_the_disk_knows() {
        let mut sizes = StateSizes::default();
        let key = |number: usize| number.to_le_bytes();
        for number in 0..STATE_ENTRIES_MAX {
            assert!(sizes.puts("a", &key(number), b"v"));
            assert_eq!(sizes.change("a", &key(number), None), Change::ToStore);
        }
        assert!(!sizes.puts("a", b"another", b"v"));
        assert!(sizes.puts("a", &key(7), b"v"), "it has its place");
        sizes.removed("a", &key(8));
        assert!(sizes.puts("a", b"another", b"v"));
    }
}
