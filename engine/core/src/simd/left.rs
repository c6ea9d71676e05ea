//! Which parts of a batch nobody has taken yet.

use std::sync::atomic::{AtomicU64, Ordering};

/// A range of parts that shrinks from both ends, whichever thread takes from it; each part is given to one.
#[derive(Debug)]
pub(super) struct Left {
    /// The first part and the end, in one word, so that both ends are seen at the same moment.
    range: AtomicU64,
}

impl Left {
    /// The parts `0..parts`.
    pub(super) fn new(parts: usize) -> Self {
        Self { range: AtomicU64::new(packed(0, parts as u64)) }
    }

    /// The first part that is left.
    pub(super) fn take_first(&self) -> Option<usize> {
        self.take(|first, end| (packed(first + 1, end), first))
    }

    /// The last part that is left.
    pub(super) fn take_last(&self) -> Option<usize> {
        self.take(|first, end| (packed(first, end - 1), end - 1))
    }

    /// Where what is left begins.
    pub(super) fn first(&self) -> usize {
        (self.range.load(Ordering::Relaxed) >> 32) as usize
    }

    fn take(&self, one: impl Fn(u64, u64) -> (u64, u64)) -> Option<usize> {
        let mut seen = self.range.load(Ordering::Relaxed);
        loop {
            let (first, end) = (seen >> 32, seen & u64::from(u32::MAX));
            if first >= end {
                return None;
            }
            let (rest, part) = one(first, end);
            // What is shared besides is read-only until the threads are joined, so no order is needed.
            match self.range.compare_exchange_weak(seen, rest, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(part as usize),
                Err(now) => seen = now,
            }
        }
    }
}

fn packed(first: u64, end: u64) -> u64 {
    first << 32 | end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_given_once_from_both_ends() {
        let left = Left::new(1000);
        let take = |front: bool| {
            let mut taken = Vec::new();
            while let Some(part) = if front { left.take_first() } else { left.take_last() } {
                taken.push(part);
            }
            taken
        };
        let (front, mut back) = std::thread::scope(|scope| {
            let back = scope.spawn(|| take(false));
            (take(true), back.join().unwrap())
        });
        assert_eq!(left.first(), front.len());
        back.reverse();
        assert_eq!([front, back].concat(), (0..1000).collect::<Vec<_>>());
        assert_eq!(left.take_first(), None);
        assert_eq!(left.take_last(), None);
    }
}
