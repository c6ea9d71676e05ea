//! Datagrams that came together: their signatures are verified several at a time.

use centauri_wire::Pending;

use super::Client;
use crate::{AcceptedSet, Effects, Received};

/// How many frames wait for their verdicts together. They lie on the stack; signatures are verified eight at a time, so of
/// 64 at most one group has empty places.
pub(super) const SLICE: usize = 64;

/// For so many records of them it is read ahead where they will go: what that is stays in the cache until they are taken in.
const AHEAD_RECORDS_MAX: usize = 4_096;

impl Client {
    /// Takes in at most [`SLICE`] datagrams with the outcome that each would have alone: what is cheap is checked of all of
    /// them, then their signatures, then each is committed in the order of arrival, against the memory of those before it.
    pub(super) fn handle_slice(
        &mut self,
        now_ns: i64,
        slice: &[Received<'_>],
        effects: &mut Effects,
    ) -> AcceptedSet {
        let mut waiting: [Option<(usize, Pending<'_>)>; SLICE] = [const { None }; SLICE];
        self.verifier.read_ahead(slice.iter().map(|datagram| datagram.bytes));
        // What is rejected here would be, for the same cause, after the frames before it too: they make replays of fresh
        // frames, and nothing else.
        let checked = slice.iter().enumerate().filter_map(|(place, datagram)| {
            Some((place, self.verifier.precheck(now_ns, datagram.bytes).ok()?))
        });
        for (waiting, checked) in waiting.iter_mut().zip(checked) {
            *waiting = Some(checked);
        }
        let pending = || waiting.iter().map_while(Option::as_ref);
        pending().fold(AHEAD_RECORDS_MAX, |left, (_, pending)| self.read_ahead(pending, left));
        // Taken out and put back, for `accept` needs the client as a whole.
        let mut verdicts = std::mem::take(&mut self.verdicts);
        self.signatures.verify_pending(pending().map(|(_, pending)| pending), &mut verdicts);
        let mut all = AcceptedSet::default();
        for ((place, pending), verdict) in pending().zip(&verdicts) {
            if let Ok(accepted) = self.verifier.commit(pending, *verdict) {
                let Some(Received { from, .. }) = slice.get(*place).copied() else { continue };
                self.accept(now_ns, from, &accepted, effects);
                all.insert(*place);
            }
        }
        self.verdicts = verdicts;
        all
    }
}
