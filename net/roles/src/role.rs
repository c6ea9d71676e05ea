//! What all roles have in common.

use std::net::SocketAddr;

use crate::Effects;

/// A node's state machine: input and time in, effects out.
///
/// Times are nanoseconds since the Unix epoch and should not go backwards; if they do, nothing worse
/// happens than that deadlines are judged by the time given. A driver calls [`Role::handle`] for each
/// datagram with the time it was received, [`Role::tick`] when [`Role::next_deadline`] has come (after
/// the datagrams that were received before it), and carries out the effects after each call.
pub trait Role {
    /// Takes in one datagram.
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects);

    /// Does what is due at `now_ns`.
    fn tick(&mut self, now_ns: i64, effects: &mut Effects);

    /// When [`Role::tick`] is to be called next; `None` if nothing is waited for. It may lie in the past.
    fn next_deadline(&self) -> Option<i64>;

    /// What happened so far, by name, always all names and in the same order.
    fn counters(&self) -> Vec<(&'static str, u64)>;
}
