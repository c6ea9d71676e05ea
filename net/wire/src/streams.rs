//! One sender's tracked streams and which of their nonces have been seen.

use crate::StreamId;
use crate::nonce_window::{NonceHead, NonceTail};

/// A stream and what nearly every nonce of it is judged by.
#[derive(Debug, Clone, Copy)]
struct Entry {
    head: NonceHead,
    stream: StreamId,
}

/// The most streams read ahead.
const AHEAD_MAX: usize = 64;

/// The streams in the order of their numbers, each with its window of nonces.
///
/// A frame of many streams reads 24 bytes of each, one after the other; the rest of a window lies apart and is touched once
/// in a while.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamWindows {
    entries: Vec<Entry>,
    /// As many, in the same order.
    tails: Vec<NonceTail>,
}

impl StreamWindows {
    /// Reads what taking in a frame will read that has so many records and begins with this stream: of the streams from
    /// there on a word in each cache line, not more of them than the processor needs to see where that leads.
    pub(crate) fn read_ahead(&self, stream: StreamId, records: usize) {
        const STEP: usize = 64 / size_of::<Entry>();
        let place = self.find(stream, &mut 0).unwrap_or(self.entries.len());
        let entries = self.entries.get(place..).unwrap_or_default().iter().take(records.min(AHEAD_MAX));
        std::hint::black_box(entries.step_by(STEP).fold(0, |all, entry| all | entry.stream.0));
    }

    /// The stream's place, or the place where it belongs.
    pub(crate) fn search(&self, stream: StreamId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&stream, |entry| entry.stream)
    }

    /// Puts a stream that has seen nothing where [`StreamWindows::search`] did not find it.
    pub(crate) fn insert(&mut self, place: usize, stream: StreamId) {
        self.entries.insert(place, Entry { head: NonceHead::default(), stream });
        self.tails.insert(place, NonceTail::default());
    }

    /// Forgets the stream at a place that [`StreamWindows::search`] found.
    pub(crate) fn remove(&mut self, place: usize) {
        self.entries.remove(place);
        self.tails.remove(place);
    }

    /// The stream's place. `next` is where it is looked for first: behind the record's before, for frames go through
    /// streams in order.
    pub(crate) fn find(&self, stream: StreamId, next: &mut usize) -> Option<usize> {
        let is_at = |at: usize| self.entries.get(at).is_some_and(|entry| entry.stream == stream);
        let place = if is_at(*next) { *next } else { self.find_elsewhere(stream, *next)? };
        *next = place + 1;
        Some(place)
    }

    /// Another record of the stream before, or any stream.
    fn find_elsewhere(&self, stream: StreamId, next: usize) -> Option<usize> {
        let is_at = |at: &usize| self.entries.get(*at).is_some_and(|entry| entry.stream == stream);
        next.checked_sub(1).filter(is_at).or_else(|| self.search(stream).ok())
    }

    /// Whether a nonce of the stream at `place` has not been seen and is not too old to tell.
    pub(crate) fn is_fresh(&self, place: usize, nonce: u64) -> bool {
        let Some(Entry { head, .. }) = self.entries.get(place) else { return false };
        head.is_newer(nonce) || self.tails.get(place).is_some_and(|tail| head.is_fresh(nonce, tail))
    }

    /// Takes a nonce of the stream at `place` as seen; says whether it was fresh.
    pub(crate) fn accept(&mut self, place: usize, nonce: u64) -> bool {
        let Some(Entry { head, .. }) = self.entries.get_mut(place) else { return false };
        head.advance(nonce) || self.tails.get_mut(place).is_some_and(|tail| head.accept(nonce, tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NONCE_WINDOW;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// The rule with a set of nonces for each stream.
    fn is_fresh(seen: &BTreeSet<u64>, nonce: u64) -> bool {
        let newest = seen.last().copied().unwrap_or(0);
        !seen.contains(&nonce) && newest.saturating_sub(nonce) < NONCE_WINDOW
    }

    #[derive(Debug, Clone)]
    enum Step {
        Track(u32),
        Untrack(u32),
        /// A record, its nonce so far from the stream's newest, found from any place.
        Record(u32, i64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let far =
            prop_oneof![8 => Just(1_i64), 2 => -70_i64..70, 2 => -1_100_i64..1_100, 1 => Just(1_024_i64)];
        prop_oneof![
            1 => (0_u32..9).prop_map(Step::Track),
            1 => (0_u32..9).prop_map(Step::Untrack),
            30 => (0_u32..9, far, 0_usize..12).prop_map(|(stream, far, from)| Step::Record(stream, far, from)),
        ]
    }

    proptest! {
        #[test]
        fn heads_and_tails_stay_together(
            start in prop_oneof![Just(0_u64), Just(u64::MAX - 900), any::<u64>()],
            steps in proptest::collection::vec(step(), 1..400),
        ) {
            let mut fast = StreamWindows::default();
            let mut slow: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Track(stream) => match fast.search(StreamId(stream)) {
                        Err(place) => {
                            fast.insert(place, StreamId(stream));
                            prop_assert!(slow.insert(stream, BTreeSet::new()).is_none());
                        }
                        Ok(_) => prop_assert!(slow.contains_key(&stream)),
                    },
                    Step::Untrack(stream) => match fast.search(StreamId(stream)) {
                        Ok(place) => {
                            fast.remove(place);
                            prop_assert!(slow.remove(&stream).is_some());
                        }
                        Err(_) => prop_assert!(!slow.contains_key(&stream)),
                    },
                    Step::Record(stream, far, from) => {
                        let mut next = from;
                        let place = fast.find(StreamId(stream), &mut next);
                        let order = slow.keys().position(|known| *known == stream);
                        prop_assert_eq!(place, order);
                        prop_assert_eq!(next, order.map_or(from, |order| order + 1));
                        let (Some(place), Some(seen)) = (place, slow.get_mut(&stream)) else { continue };
                        let nonce = seen.last().map_or(start, |newest| newest.saturating_add_signed(far));
                        let fresh = is_fresh(seen, nonce);
                        prop_assert_eq!(fast.is_fresh(place, nonce), fresh);
                        prop_assert_eq!(fast.accept(place, nonce), fresh);
                        prop_assert!(!fast.is_fresh(place, nonce));
                        if fresh {
                            seen.insert(nonce);
                        }
                    }
                }
                fast.read_ahead(StreamId(2), 3);
            }
        }
    }
}
