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

/// A node's state machine: input and time in, effects out.
///
/// Times are nanoseconds since the Unix epoch and should not go backwards; if they do, nothing worse
/// happens than that deadlines are judged by the time given. A driver calls [`Role::handle`] for each
/// datagram with the time it was received (or [`Role::handle_batch`] for those that came together), [`Role::tick`] when [`Role::next_deadline`] has come (after
/// the datagrams that were received before it), and carries out the effects after each call.
pub trait Role {
    /// Takes in one datagram.
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects);

    /// Takes in datagrams that were received together, in the order of their arrival.
    ///
    /// Effects and counters are those of [`Role::handle`] for each in turn, however datagrams are put into batches; a role
    /// that does better than one after the other only takes less time over it.
    fn handle_batch(&mut self, now_ns: i64, datagrams: &[Received<'_>], effects: &mut Effects) {
        for datagram in datagrams {
            self.handle(now_ns, datagram.from, datagram.bytes, effects);
        }
    }

    /// Does what is due at `now_ns`.
    fn tick(&mut self, now_ns: i64, effects: &mut Effects);

    /// When [`Role::tick`] is to be called next; `None` if nothing is waited for. It may lie in the past.
    fn next_deadline(&self) -> Option<i64>;

    /// What happened so far, by name, always all names and in the same order.
    fn counters(&self) -> Vec<(&'static str, u64)>;
}
