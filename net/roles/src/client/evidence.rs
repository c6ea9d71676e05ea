//! The frames that came last, kept for the case that one contradicts another.

use std::collections::VecDeque;
use std::ops::Range;

use centauri_wire::{FrameView, Reported, Role, reports};

/// After a proof of a sender no other of it is looked for until so much time has passed, in nanoseconds: one is enough, and looking
/// takes time.
const PROOF_EVERY_NS: i64 = 60_000_000_000;
/// Looks of a sender within [`LOOKS_PER_NS`] that may find nothing. A sender can have what it said before pushed out of the ring and
/// then contradict itself with every record; each look goes through all that is kept of it.
const LOOKS_MAX: u32 = 16;
const LOOKS_PER_NS: i64 = 1_000_000_000;

#[derive(Debug, Clone, Copy)]
struct Kept {
    sender: u32,
    start: usize,
    length: usize,
}

/// What was looked for of a sender.
#[derive(Debug, Clone, Copy)]
struct Looked {
    sender: u32,
    proven_ns: Option<i64>,
    /// Since when looks are counted.
    since_ns: i64,
    looks: u32,
}

impl Looked {
    /// Whether another look may be taken, which is counted.
    fn may_look(&mut self, now_ns: i64) -> bool {
        if self.proven_ns.is_some_and(|at| now_ns.saturating_sub(at) < PROOF_EVERY_NS) {
            return false;
        }
        if !(0..LOOKS_PER_NS).contains(&now_ns.saturating_sub(self.since_ns)) {
            (self.since_ns, self.looks) = (now_ns, 0);
        }
        self.looks = self.looks.saturating_add(1);
        self.looks <= LOOKS_MAX
    }
}

/// A ring of bytes in which accepted frames lie as they came.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    ring: Vec<u8>,
    /// In the order of arrival.
    kept: VecDeque<Kept>,
    /// Where the next frame goes.
    next: usize,
    /// Senders that were looked for, at most as many as there are.
    looked: Vec<Looked>,
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

    /// A kept frame of the sender, of this role, that contradicts `report`; none if a proof of that sender is not a minute old, or if
    /// too many looks at it have found nothing lately.
    pub(super) fn against(
        &mut self,
        now_ns: i64,
        (sender, role): (usize, Role),
        report: &Reported,
    ) -> Option<&[u8]> {
        if self.ring.is_empty() {
            return None;
        }
        let sender = u32::try_from(sender).ok()?;
        let place = self.looked.iter().position(|known| known.sender == sender).unwrap_or_else(|| {
            self.looked.push(Looked { sender, proven_ns: None, since_ns: now_ns, looks: 0 });
            self.looked.len() - 1
        });
        if !self.looked.get_mut(place)?.may_look(now_ns) {
            return None;
        }
        let contradicts = |kept: &&Kept| {
            let bytes = self.ring.get(kept.start..kept.start + kept.length).unwrap_or_default();
            let frame = FrameView::parse(bytes).ok();
            frame.is_some_and(|frame| reports(&frame).any(|known| known.contradicts(role, report)))
        };
        let found = self.kept.iter().rev().filter(|kept| kept.sender == sender).find(contradicts).copied()?;
        self.looked.get_mut(place)?.proven_ns = Some(now_ns);
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

    #[test]
    fn looks_that_find_nothing_are_few_and_a_proof_is_enough_for_a_minute() {
        let mut looked = Looked { sender: 1, proven_ns: None, since_ns: 0, looks: 0 };
        let looks = |looked: &mut Looked, now_ns| (0..1_000).filter(|_| looked.may_look(now_ns)).count();
        assert_eq!(looks(&mut looked, 5), LOOKS_MAX as usize);
        assert_eq!(looks(&mut looked, LOOKS_PER_NS - 1), 0);
        assert_eq!(looks(&mut looked, LOOKS_PER_NS + 1), LOOKS_MAX as usize);
        // A clock that is set back does not end it.
        assert_eq!(looks(&mut looked, -7), LOOKS_MAX as usize);
        looked.proven_ns = Some(0);
        assert_eq!(looks(&mut looked, PROOF_EVERY_NS - 1), 0);
        assert!(looked.may_look(PROOF_EVERY_NS));
    }
}
