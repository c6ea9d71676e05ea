//! Which nonces of a stream have been seen.

use crate::NONCE_WINDOW;

const WORDS: usize = (NONCE_WINDOW / 64) as usize;

/// The bits of a window's nonces but those of the newest's word: the bit of nonce `n` is bit `n mod 64` of word
/// `n / 64 mod 4`. The newest's own word is zero here; see [`NonceHead`].
pub(crate) type NonceTail = [u64; WORDS];

/// A sliding window over a stream's nonces: the newest and, for the 256 up to it, whether each was seen.
///
/// UDP reorders, so a nonce below the newest is no replay in itself. A nonce that fell out of the
/// window is taken for seen, so nothing is ever accepted twice.
///
/// ```
/// use centauri_wire::NonceWindow;
/// let mut window = NonceWindow::new();
/// assert!(window.accept(5) && window.accept(3) && !window.accept(5));
/// assert!(window.accept(2_000) && !window.accept(4));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NonceWindow {
    head: NonceHead,
    tail: NonceTail,
}

impl NonceWindow {
    /// A window that has seen nothing: every nonce is fresh.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest nonce seen.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.head.newest()
    }

    /// Whether the nonce has not been seen and is not too old to tell.
    #[must_use]
    pub fn is_fresh(&self, nonce: u64) -> bool {
        self.head.is_newer(nonce) || self.head.is_fresh(nonce, &self.tail)
    }

    /// Takes the nonce as seen; says whether it was fresh.
    pub fn accept(&mut self, nonce: u64) -> bool {
        self.head.advance(nonce) || self.head.accept(nonce, &mut self.tail)
    }
}

/// The part of a window that nearly every nonce is judged by: the newest nonce, and the word of bits that it lies in.
///
/// Nonces mostly come in order, so the 32 bytes of the other bits are touched once in 64 nonces. Where windows are many,
/// heads lie together apart from the tails, and a frame goes through few cache lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NonceHead {
    newest: u64,
    /// The newest's bit is among them: no bit is set where nothing has been seen, and nowhere else.
    word: u64,
}

impl NonceHead {
    pub(crate) fn newest(&self) -> Option<u64> {
        (self.word != 0).then_some(self.newest)
    }

    /// Whether the nonce is newer than all that were seen, and so is fresh.
    pub(crate) fn is_newer(&self, nonce: u64) -> bool {
        nonce > self.newest || self.word == 0
    }

    /// Whether the nonce has not been seen and is not too old to tell.
    pub(crate) fn is_fresh(&self, nonce: u64, tail: &NonceTail) -> bool {
        if self.is_newer(nonce) {
            return true;
        }
        let word = if place(nonce) == place(self.newest) { self.word } else { word_of(tail, nonce) };
        self.newest - nonce < NONCE_WINDOW && word & bit(nonce) == 0
    }

    /// Takes the nonce as seen if it is newer than all and of the newest's word, which needs no tail; says whether it was.
    #[inline]
    pub(crate) fn advance(&mut self, nonce: u64) -> bool {
        let advances = nonce > self.newest && nonce / 64 == self.newest / 64 && self.word != 0;
        if advances {
            self.word = self.word & !bits_between(self.newest, nonce) | bit(nonce);
            self.newest = nonce;
        }
        advances
    }

    /// Takes the nonce as seen; says whether it was fresh.
    pub(crate) fn accept(&mut self, nonce: u64, tail: &mut NonceTail) -> bool {
        if !self.is_fresh(nonce, tail) {
            return false;
        }
        if self.word == 0 {
            *self = Self { newest: nonce, word: bit(nonce) };
        } else if nonce > self.newest {
            put(tail, self.newest, self.word);
            slide(tail, self.newest, nonce);
            *self = Self { newest: nonce, word: take(tail, nonce) | bit(nonce) };
        } else if place(nonce) == place(self.newest) {
            self.word |= bit(nonce);
        } else {
            put(tail, nonce, word_of(tail, nonce) | bit(nonce));
        }
        true
    }
}

/// Forgets what the places of the nonces after `newest`, up to `nonce`, held.
fn slide(tail: &mut NonceTail, newest: u64, nonce: u64) {
    let mut left = nonce - newest;
    if left >= NONCE_WINDOW {
        *tail = [0; WORDS];
        return;
    }
    let mut at = newest;
    while left > 0 {
        let first = at.wrapping_add(1);
        let run = (64 - first % 64).min(left);
        let ones = u64::MAX >> (64 - run);
        put(tail, first, word_of(tail, first) & !(ones << (first % 64)));
        at = at.wrapping_add(run);
        left -= run;
    }
}

/// The bits after `newest` up to `nonce`, which is newer and of the same word.
fn bits_between(newest: u64, nonce: u64) -> u64 {
    // Those up to each, less those below the other.
    (bit(nonce) | (bit(nonce) - 1)) & !(bit(newest) | (bit(newest) - 1))
}

fn place(nonce: u64) -> usize {
    usize::try_from(nonce / 64 % (NONCE_WINDOW / 64)).unwrap_or(0)
}

fn bit(nonce: u64) -> u64 {
    1 << (nonce % 64)
}

fn word_of(tail: &NonceTail, nonce: u64) -> u64 {
    tail.get(place(nonce)).copied().unwrap_or(0)
}

fn put(tail: &mut NonceTail, nonce: u64, bits: u64) {
    if let Some(word) = tail.get_mut(place(nonce)) {
        *word = bits;
    }
}

/// The word of `nonce`, of which nothing stays.
fn take(tail: &mut NonceTail, nonce: u64) -> u64 {
    tail.get_mut(place(nonce)).map_or(0, std::mem::take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The definition, with a set instead of bits.
    #[derive(Default)]
    struct SlowWindow {
        seen: BTreeSet<u64>,
    }

    impl SlowWindow {
        fn accept(&mut self, nonce: u64) -> bool {
            let end = u128::from(nonce) + u128::from(NONCE_WINDOW);
            let too_old = self.seen.last().is_some_and(|newest| end <= u128::from(*newest));
            !too_old && self.seen.insert(nonce)
        }
    }

    /// Steps that stay close, jump about the window's width, or jump far.
    fn nonces() -> impl Strategy<Value = Vec<u64>> {
        let start = prop_oneof![Just(0_u64), Just(u64::MAX - 5_000), any::<u64>()];
        let step = prop_oneof![
            -3_i64..4,
            -70_i64..70,
            -1_100_i64..1_100,
            Just(256_i64),
            Just(1_023_i64),
            Just(-1_023_i64),
            -9_000_i64..9_000
        ];
        (start, proptest::collection::vec(step, 1..400)).prop_map(|(start, steps)| {
            let mut nonce = start;
            steps
                .into_iter()
                .map(|step| {
                    nonce = nonce.saturating_add_signed(step);
                    nonce
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn the_bits_agree_with_a_set(nonces in nonces()) {
            let mut fast = NonceWindow::new();
            let mut slow = SlowWindow::default();
            for nonce in nonces {
                let fresh = fast.is_fresh(nonce);
                prop_assert_eq!(fast.accept(nonce), fresh);
                prop_assert_eq!(slow.accept(nonce), fresh, "nonce {}", nonce);
                prop_assert!(!fast.is_fresh(nonce));
                prop_assert_eq!(fast.newest(), slow.seen.last().copied());
            }
        }
    }

    #[test]
    fn every_nonce_of_the_window_is_told_apart() {
        let mut window = NonceWindow::new();
        assert!(window.accept(10_000));
        for nonce in (10_000 - NONCE_WINDOW + 1)..10_000 {
            assert!(window.accept(nonce), "{nonce}");
            assert!(!window.accept(nonce), "{nonce}");
        }
        assert!(!window.accept(10_000 - NONCE_WINDOW));
    }

    #[test]
    fn the_last_nonce_there_is_ends_the_stream() {
        let mut window = NonceWindow::new();
        assert!(window.accept(u64::MAX - 1) && window.accept(u64::MAX));
        assert!(!window.accept(u64::MAX) && !window.accept(0));
    }
}
