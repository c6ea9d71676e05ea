//! The readings of one stream's open windows.

use centauri_engine::Computation;

use crate::sampler::SampleSlot;
use crate::timing::{is_open, slot_of};
use crate::{Reading, Windows};
use centauri_wire::StreamId;

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Counted,
    Late,
    Early,
    Duplicate,
    Overflow,
    /// In no window: between two of them, or beyond all clocks.
    Outside,
}

/// Where a stream's samples go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SampleSlots {
    pub(super) latency: Option<SampleSlot>,
    pub(super) residuals: Option<SampleSlot>,
    pub(super) steps: Option<SampleSlot>,
}

/// A logical stream at work.
#[derive(Debug)]
pub(super) struct Logical {
    pub(super) stream: StreamId,
    pub(super) windows: Windows,
    pub(super) deadline_ns: i64,
    pub(super) computation: Computation,
    /// `count`: readings above this are counted.
    pub(super) above: f64,
    /// Only readings at most this old when the window is due count; `None` for all of the window.
    pub(super) validity_ns: Option<i64>,
    /// Nobody asks for it any more.
    pub(super) retired: bool,
    /// It is computed from what this node decides itself.
    pub(super) is_of_decisions: bool,
    pub(super) per_source_max: usize,
    pub(super) ahead: u32,
    pub(super) samples: SampleSlots,
    /// The window to be closed next: all before it are closed.
    pub(super) next: i64,
    /// The nonce of the next record; `None` when there is none left.
    pub(super) nonce: Option<u64>,
    /// The latest output and its window.
    pub(super) last: Option<(i64, f64)>,
    /// A ring of windows, each sorted by source and sequence.
    pub(super) slots: Vec<Vec<Reading>>,
}

impl Logical {
    /// When the window to be closed next is due; `None` where no clock will come that far.
    pub(super) fn due_ns(&self) -> Option<i64> {
        self.windows.after_opening_ns(self.next, self.deadline_ns)
    }

    /// Puts a reading that came at `now_ns` into its window. A reading that comes at the deadline counts.
    ///
    /// One that lies in several windows counts in each that is still open; what became of it is told by the newest.
    pub(super) fn take(&mut self, now_ns: i64, reading: Reading) -> Taken {
        let Some(covering) = self.windows.covering(reading.at_ns) else { return Taken::Outside };
        // Those beyond the ring are too early, or closed, all alike.
        let first = (*covering.start()).max(self.next.saturating_sub(1));
        let last = (*covering.end()).min(self.next.saturating_add(self.slots.len() as i64));
        let mut taken = if *covering.end() < self.next { Taken::Late } else { Taken::Early };
        for index in first..=last {
            taken = match (taken, self.take_into(index, now_ns, reading)) {
                (Taken::Counted, _) => Taken::Counted,
                (_, now) => now,
            };
        }
        taken
    }

    fn take_into(&mut self, index: i64, now_ns: i64, reading: Reading) -> Taken {
        let deadline = self.windows.after_opening_ns(index, self.deadline_ns);
        if index < self.next || deadline.is_some_and(|deadline| now_ns > deadline) {
            return Taken::Late;
        }
        let newest = self.windows.index_of(now_ns).unwrap_or(i64::MAX).saturating_add(i64::from(self.ahead));
        if index > newest || !is_open(index, self.next, self.slots.len()) {
            return Taken::Early;
        }
        let slot = slot_of(index, self.slots.len());
        let Some(window) = self.slots.get_mut(slot) else { return Taken::Early };
        let key = (reading.source, reading.sequence);
        let Err(place) = window.binary_search_by_key(&key, |known| (known.source, known.sequence)) else {
            return Taken::Duplicate;
        };
        let first = window.partition_point(|known| known.source < reading.source);
        let after = window.partition_point(|known| known.source <= reading.source);
        if after - first >= self.per_source_max {
            return Taken::Overflow;
        }
        window.insert(place, reading);
        Taken::Counted
    }

    /// The readings of the window to be closed next; the slot keeps its memory.
    pub(super) fn swap_out(&mut self, readings: &mut Vec<Reading>) {
        readings.clear();
        let slot = slot_of(self.next, self.slots.len());
        if let Some(window) = self.slots.get_mut(slot) {
            std::mem::swap(window, readings);
        }
    }

    /// Goes on to the next window to close. Where the clock has run far ahead, windows that hold nothing
    /// and are past due are left out; says how many.
    pub(super) fn advance(&mut self, now_ns: i64) -> u64 {
        self.next = self.next.saturating_add(1);
        let due = now_ns.checked_sub(self.deadline_ns).and_then(|opened| self.windows.index_of(opened));
        let Some(due) = due else { return 0 };
        let behind = i128::from(due) - i128::from(self.next);
        if behind < self.slots.len() as i128 || self.slots.iter().any(|window| !window.is_empty()) {
            return 0;
        }
        let left_out = due.abs_diff(self.next);
        self.next = due;
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(deadline_ns: i64, slots: usize) -> Logical {
        Logical {
            stream: StreamId(1),
            windows: Windows::new(0, 1_000).unwrap(),
            deadline_ns,
            computation: Computation::Mean,
            above: 0.5,
            validity_ns: None,
            retired: false,
            is_of_decisions: false,
            per_source_max: 2,
            ahead: 1,
            samples: SampleSlots::default(),
            next: 0,
            nonce: Some(0),
            last: None,
            slots: vec![Vec::new(); slots],
        }
    }

    fn reading(source: u32, sequence: i64, at_ns: i64) -> Reading {
        let certainty = crate::Certainty::OF_A_READING;
        Reading { source, sequence, at_ns, value: 1.0, certainty }
    }

    #[test]
    fn boundaries_to_the_nanosecond() {
        let mut logical = logical(1_200, 3);
        assert_eq!(logical.take(500, reading(0, 0, 0)), Taken::Counted);
        assert_eq!(logical.take(1_200, reading(0, 1, 999)), Taken::Counted);
        assert_eq!(logical.take(1_201, reading(1, 1, 999)), Taken::Late);
        assert_eq!(logical.take(1_201, reading(1, 2, 1_000)), Taken::Counted);
        assert_eq!(logical.take(1_000, reading(1, 3, -1)), Taken::Late);
        assert_eq!(logical.take(1_000, reading(1, 4, 2_999)), Taken::Counted);
        assert_eq!(logical.take(1_000, reading(1, 5, 3_000)), Taken::Early);
        assert_eq!(logical.take(1_000, reading(1, 6, 90_000)), Taken::Early);
        let mut readings = Vec::new();
        logical.swap_out(&mut readings);
        assert_eq!(readings.iter().map(|r| r.at_ns).collect::<Vec<_>>(), [0, 999]);
    }

    #[test]
    fn a_reading_counts_in_each_open_window_that_covers_it() {
        let mut logical = logical(3_000, 5);
        logical.windows = Windows::sliding(0, 1_000, 3_000).unwrap();
        assert_eq!(logical.take(2_500, reading(0, 0, 2_400)), Taken::Counted);
        assert_eq!(logical.take(2_600, reading(0, 0, 2_400)), Taken::Duplicate);
        assert_eq!(logical.take(3_001, reading(0, 1, 2_900)), Taken::Counted, "too late for window 0 alone");
        assert_eq!(logical.take(3_001, reading(0, 2, 900)), Taken::Late);
        let mut found = Vec::new();
        for index in 0..4 {
            let mut readings = Vec::new();
            logical.swap_out(&mut readings);
            found.push(readings.iter().map(|r| r.sequence).collect::<Vec<_>>());
            assert_eq!(logical.next, index);
            logical.advance(0);
        }
        assert_eq!(found, [vec![0], vec![0, 1], vec![0, 1], vec![]]);
        logical.windows = Windows::sliding(0, 1_000, 10).unwrap();
        assert_eq!(logical.take(5_000, reading(0, 9, 4_500)), Taken::Outside);
    }

    #[test]
    fn duplicates_and_overflow_count_once() {
        let mut logical = logical(1_000, 2);
        assert_eq!(logical.take(10, reading(3, 7, 1)), Taken::Counted);
        assert_eq!(logical.take(10, reading(3, 7, 2)), Taken::Duplicate);
        assert_eq!(logical.take(10, reading(3, 6, 2)), Taken::Counted);
        assert_eq!(logical.take(10, reading(3, 5, 2)), Taken::Overflow);
        assert_eq!(logical.take(10, reading(2, 5, 2)), Taken::Counted);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let mut logical = logical(i64::MAX, 2);
        for at in [i64::MIN, i64::MAX, 0] {
            for now in [i64::MIN, i64::MAX, 0] {
                let _ = logical.take(now, reading(0, i64::MIN, at));
                let _ = logical.advance(now);
            }
        }
        logical.next = i64::MAX;
        assert_eq!(logical.due_ns(), None);
        logical.advance(i64::MAX);
    }
}
