//! Which timestamps of a sender have been seen, for messages that have no nonce.

use crate::TIMESTAMP_WINDOW;

/// The newest 32 timestamps accepted from one sender for one kind of message.
///
/// A timestamp is fresh if it is not among them and, once there are 32, newer than the oldest. So a
/// message is accepted at most once, and up to 31 newer ones may overtake it. A sender must give two
/// messages of a kind two timestamps.
///
/// ```
/// use centauri_wire::TimestampWindow;
/// let mut window = TimestampWindow::new();
/// assert!(window.accept(2_000) && window.accept(1_000) && !window.accept(2_000));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimestampWindow {
    /// Ascending.
    seen: Vec<i64>,
}

impl TimestampWindow {
    /// A window that has seen nothing: every timestamp is fresh.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the timestamp has not been seen and is not too old to tell.
    #[must_use]
    pub fn is_fresh(&self, timestamp_ns: i64) -> bool {
        self.place(timestamp_ns).is_some()
    }

    /// Takes the timestamp as seen; says whether it was fresh.
    pub fn accept(&mut self, timestamp_ns: i64) -> bool {
        let Some(place) = self.place(timestamp_ns) else { return false };
        // A fresh timestamp is newer than the oldest of a full window, so its place is not the first.
        let place = if self.seen.len() >= TIMESTAMP_WINDOW {
            self.seen.remove(0);
            place.saturating_sub(1)
        } else {
            place
        };
        self.seen.insert(place, timestamp_ns);
        true
    }

    /// Where a fresh timestamp belongs.
    fn place(&self, timestamp_ns: i64) -> Option<usize> {
        let place = self.seen.binary_search(&timestamp_ns).err()?;
        if place == 0 && self.seen.len() >= TIMESTAMP_WINDOW { None } else { Some(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn no_timestamp_is_accepted_twice_and_only_old_ones_are_lost(
            timestamps in proptest::collection::vec(0_i64..200, 1..400),
        ) {
            let mut window = TimestampWindow::new();
            let mut accepted = BTreeSet::new();
            for timestamp in timestamps {
                let newer = accepted.range(timestamp..).count();
                let seen = accepted.contains(&timestamp);
                let expected = !seen && newer < TIMESTAMP_WINDOW;
                prop_assert_eq!(window.is_fresh(timestamp), expected);
                prop_assert_eq!(window.accept(timestamp), expected);
                if expected {
                    accepted.insert(timestamp);
                }
                prop_assert!(window.seen.len() <= TIMESTAMP_WINDOW);
                prop_assert!(window.seen.is_sorted());
            }
        }
    }
}
