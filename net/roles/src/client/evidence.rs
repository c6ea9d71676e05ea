//! The frames that came last, kept for the case that one contradicts another.

use std::collections::VecDeque;
use std::ops::Range;

use centauri_wire::{FrameView, StreamId, reports};

/// After a proof of a sender no other of it is looked for until so much time has passed, in nanoseconds: one is enough, and looking
/// takes time.
const PROOF_EVERY_NS: i64 = 60_000_000_000;

#[derive(Debug, Clone, Copy)]
struct Kept {
    sender: u32,
    start: usize,
    length: usize,
}

/// A ring of bytes in which accepted frames lie as they came.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    ring: Vec<u8>,
    /// In the order of arrival.
    kept: VecDeque<Kept>,
    /// Where the next frame goes.
    next: usize,
    /// Senders with a proof, and when it was found.
    proven: Vec<(u32, i64)>,
    pub(super) proofs: u64,
}

impl Evidence {
    /// Room for so many bytes of frames; 0 to keep none.
    pub(super) fn new(bytes: usize) -> Self {
        Self { ring: vec![0; bytes], ..Self::default() }
    }

    /// Keeps a frame, in the place of the oldest ones.
    pub(super) fn keep(&mut self, sender: usize, frame: &[u8]) {
        let Ok(sender) = u32::try_from(sender) else { return };
        let length = frame.len();
        if length > self.ring.len() || length == 0 {
            return;
        }
        if self.next + length > self.ring.len() {
            // What lies between here and the end is given up first: the ring is used in the order of arrival.
            self.give_up(self.next..self.ring.len());
            self.next = 0;
        }
        let place = self.next..self.next + length;
        self.give_up(place.clone());
        if let Some(bytes) = self.ring.get_mut(place.clone()) {
            bytes.copy_from_slice(frame);
            self.kept.push_back(Kept { sender, start: place.start, length });
            self.next = place.end;
        }
    }

    /// Forgets the frames that lie in `place`. They are the oldest.
    fn give_up(&mut self, place: Range<usize>) {
        let lies_in = |kept: &Kept| kept.start < place.end && place.start < kept.start + kept.length;
        while self.kept.front().is_some_and(lies_in) {
            self.kept.pop_front();
        }
    }

    /// A kept frame of the sender that gives another value than `value` for the round; none if a proof of that sender is not
    /// a minute old.
    pub(super) fn against(
        &mut self,
        now_ns: i64,
        sender: usize,
        (stream, round, value): (StreamId, i64, f64),
    ) -> Option<&[u8]> {
        let sender = u32::try_from(sender).ok()?;
        let known = self.proven.iter_mut().find(|(known, _)| *known == sender);
        let is_recent = |at: i64| now_ns.saturating_sub(at) < PROOF_EVERY_NS;
        if known.as_ref().is_some_and(|(_, at)| is_recent(*at)) {
            return None;
        }
        let contradicts = |kept: &&Kept| {
            let bytes = self.ring.get(kept.start..kept.start + kept.length).unwrap_or_default();
            let frame = FrameView::parse(bytes).ok();
            frame
                .is_some_and(|frame| reports(&frame).any(|(s, r, v)| (s, r) == (stream, round) && v != value))
        };
        let found = self.kept.iter().rev().filter(|kept| kept.sender == sender).find(contradicts).copied()?;
        match known {
            Some((_, at)) => *at = now_ns,
            None => self.proven.push((sender, now_ns)),
        }
        self.proofs += 1;
        self.ring.get(found.start..found.start + found.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is kept is the newest frames, whole, as many as there is room for up to the waste at the ring's end.
        #[test]
        fn the_newest_frames_lie_whole(lengths in proptest::collection::vec(1_usize..60, 1..80)) {
            let mut evidence = Evidence::new(200);
            let mut all: Vec<Vec<u8>> = Vec::new();
            for (number, length) in lengths.into_iter().enumerate() {
                let frame = vec![u8::try_from(number).unwrap(); length];
                evidence.keep(number, &frame);
                all.push(frame);
                let kept: Vec<&[u8]> =
                    evidence.kept.iter().map(|k| &evidence.ring[k.start..k.start + k.length]).collect();
                let newest: Vec<&[u8]> = all[all.len() - kept.len()..].iter().map(Vec::as_slice).collect();
                prop_assert_eq!(&kept, &newest);
                let bytes: usize = kept.iter().map(|frame| frame.len()).sum();
                prop_assert!(kept.len() == all.len() || bytes > 200 - 2 * 60, "{} bytes", bytes);
            }
        }
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let mut evidence = Evidence::new(0);
        evidence.keep(1, &[1, 2, 3]);
        let mut small = Evidence::new(2);
        small.keep(1, &[1, 2, 3]);
        small.keep(1, &[]);
        assert!(evidence.kept.is_empty() && small.kept.is_empty());
    }
}
