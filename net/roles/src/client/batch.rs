//! Datagrams that came together: their signatures are verified several at a time.

use centauri_wire::Pending;

use super::Client;
use crate::{Effects, Received};

/// How many frames wait for their verdicts together. They lie on the stack; signatures are verified eight at a time, so of
/// 64 at most one group has empty places.
pub(super) const SLICE: usize = 64;

/// For so many records of them it is read ahead where they will go: what that is stays in the cache until they are taken in.
const AHEAD_RECORDS_MAX: usize = 4_096;

impl Client {
    /// Takes in at most [`SLICE`] datagrams with the outcome that each would have alone: what is cheap is checked of all of
    /// them, then their signatures, then each is committed in the order of arrival, against the memory of those before it.
    pub(super) fn handle_slice(&mut self, now_ns: i64, slice: &[Received<'_>], effects: &mut Effects) {
        let mut waiting: [Option<Pending<'_>>; SLICE] = [None; SLICE];
        self.verifier.read_ahead(slice.iter().map(|datagram| datagram.bytes));
        // What is rejected here would be, for the same cause, after the frames before it too: they make replays of fresh
        // frames, and nothing else.
        let checked = slice.iter().filter_map(|datagram| self.verifier.precheck(now_ns, datagram.bytes).ok());
        for (place, pending) in waiting.iter_mut().zip(checked) {
            *place = Some(pending);
        }
        let prechecked = waiting.iter().map_while(Option::as_ref);
        prechecked.fold(AHEAD_RECORDS_MAX, |left, pending| self.read_ahead(pending, left));
        // Taken out and put back, for `accept` needs the client as a whole.
        let mut verdicts = std::mem::take(&mut self.verdicts);
        self.signatures.verify_pending(waiting.iter().map_while(Option::as_ref), &mut verdicts);
        for (pending, verdict) in waiting.iter().map_while(Option::as_ref).zip(&verdicts) {
            if let Ok(accepted) = self.verifier.commit(pending, *verdict) {
                self.accept(now_ns, &accepted, effects);
            }
        }
        self.verdicts = verdicts;
    }
}
