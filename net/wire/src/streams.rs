//! One sender's tracked streams and which of their nonces have been seen.

use crate::StreamId;
use crate::nonce_window::{NonceHead, NonceTail};

/// A stream and what nearly every nonce of it is judged by.
#[derive(Debug, Clone, Copy)]
struct Entry {
    head: NonceHead,
    stream: StreamId,
}

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
