//! What all roles have in common.

use std::net::SocketAddr;

use crate::Effects;

/// A datagram as a role takes it in, borrowed from whoever received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// Who sent it, as the network claims.
    pub from: SocketAddr,
    /// The payload: one frame, if it is well-formed.
    pub bytes: &'a [u8],
}

/// Which datagrams of a batch were accepted, by their place among its first 64: their frames were signed by whom they name,
/// fresh, and such as that node may send.
///
/// ```
/// use centauri_roles::AcceptedSet;
/// let mut accepted = AcceptedSet::default();
/// accepted.insert(3);
/// accepted.insert(64); // beyond what it tells
/// assert!(accepted.contains(3) && !accepted.contains(2) && !accepted.contains(64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptedSet(u64);

impl AcceptedSet {
    /// Says that the datagram at `place` was accepted.
    pub fn insert(&mut self, place: usize) {
        self.0 |= u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0);
    }

    /// Says of datagrams that begin at place `first` which of them were accepted.
    pub(crate) fn extend(&mut self, first: usize, accepted: Self) {
        self.0 |= u32::try_from(first).ok().and_then(|first| accepted.0.checked_shl(first)).unwrap_or(0);
    }

    /// Whether the datagram at `place` was accepted; `false` for places from 64 on.
    #[must_use]
    pub fn contains(self, place: usize) -> bool {
        place < 64 && self.0 >> place & 1 == 1
    }
}

/// A node's state machine: input and time in, effects out.
///
/// Times are nanoseconds since the Unix epoch and should not go backwards; if they do, nothing worse
/// happens than that deadlines are judged by the time given. A driver calls [`Role::handle`] for each
/// datagram with the time it was received (or [`Role::handle_batch`] for those that came together),
/// [`Role::tick`] when [`Role::next_deadline`] has come (after the datagrams that were received before
/// it), and carries out the effects after each call.
pub trait Role {
    /// Takes in one datagram; says whether its frame was accepted.
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool;

    /// Takes in datagrams that were received together, in the order of their arrival.
    ///
    /// Effects and counters are those of [`Role::handle`] for each in turn, however datagrams are put into batches; a role
    /// that does better than one after the other only takes less time over it.
    fn handle_batch(
        &mut self,
        now_ns: i64,
        datagrams: &[Received<'_>],
        effects: &mut Effects,
    ) -> AcceptedSet {
        let mut accepted = AcceptedSet::default();
        for (place, datagram) in datagrams.iter().enumerate() {
            if self.handle(now_ns, datagram.from, datagram.bytes, effects) {
                accepted.insert(place);
            }
        }
        accepted
    }

    /// Does what is due at `now_ns`.
    fn tick(&mut self, now_ns: i64, effects: &mut Effects);

    /// When [`Role::tick`] is to be called next; `None` if nothing is waited for. It may lie in the past.
    fn next_deadline(&self) -> Option<i64>;

    /// What happened so far, by name, always all names and in the same order.
    fn counters(&self) -> Vec<(&'static str, u64)>;
}
