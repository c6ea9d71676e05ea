//! The connections that are open, by what each has shown of itself.

use super::{ConnectionCounters, ConnectionLimits};
use centauri_uring::{ConnectionId, Waiting};
use centauri_wire::{FRAME_BYTES_MAX, Reassembler};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) network: IpAddr,
    /// What the role knows it by.
    pub(super) from: SocketAddr,
    pub(super) reassembler: Reassembler,
    pub(super) opened_ns: i64,
    /// When the last whole frame came, or the connection.
    pub(super) heard_ns: i64,
    /// When the frame that is not whole yet began.
    pub(super) begun_ns: Option<i64>,
    pub(super) proven: bool,
    pub(super) refused_in_a_row: u32,
    /// Since when it has taken nothing of what waits for it.
    pub(super) unread_ns: Option<i64>,
    /// Bytes that it had taken when it was looked at last.
    pub(super) taken: u64,
}

impl Peer {
    /// Looks whether it takes what it is sent.
    pub(super) fn look(&mut self, now_ns: i64, waiting: Waiting) {
        if waiting.bytes == 0 {
            self.unread_ns = None;
        } else if waiting.taken != self.taken {
            self.unread_ns = Some(now_ns);
        } else {
            self.unread_ns.get_or_insert(now_ns);
        }
        self.taken = waiting.taken;
    }
}

/// Why this side closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Address,
    Crowded,
    Length,
    Stalled,
    Unproven,
    Idle,
    Useless,
    Unread,
}

/// All that are open.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) limits: ConnectionLimits,
    pub(super) by_id: BTreeMap<ConnectionId, Peer>,
    pub(super) by_network: BTreeMap<IpAddr, usize>,
    /// Those to be closed, which have been forgotten already.
    pub(super) closing: Vec<ConnectionId>,
    /// Those that are over, and whether they had proven themselves.
    pub(super) over: Vec<(ConnectionId, bool)>,
    /// Whose frames were accepted, and whose were not, since they were last looked at.
    pub(super) verdicts: Vec<(ConnectionId, bool)>,
    pub(super) counters: ConnectionCounters,
}

impl Peers {
    /// None yet.
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            by_id: BTreeMap::new(),
            by_network: BTreeMap::new(),
            closing: Vec::new(),
            over: Vec::new(),
            verdicts: Vec::new(),
            counters: ConnectionCounters::default(),
        }
    }

    pub(super) fn open(&mut self, id: ConnectionId, address: IpAddr, from: SocketAddr, now_ns: i64) {
        self.counters.opened += 1;
        let network = network(address);
        *self.by_network.entry(network).or_default() += 1;
        let peer = Peer {
            network,
            from,
            reassembler: Reassembler::new(FRAME_BYTES_MAX),
            opened_ns: now_ns,
            heard_ns: now_ns,
            begun_ns: None,
            proven: false,
            refused_in_a_row: 0,
            unread_ns: None,
            taken: 0,
        };
        self.by_id.insert(id, peer);
        if self.by_network.get(&network).is_some_and(|count| *count > self.limits.per_address_max) {
            self.close(id, Cause::Address);
        } else if self.by_id.len() > self.limits.connections_max {
            // The oldest has had the longest time to prove itself. If all have, the new one has to go.
            let others = self.by_id.iter().filter(|(other, peer)| **other != id && !peer.proven);
            let oldest =
                others.min_by_key(|(other, peer)| (peer.opened_ns, **other)).map(|(other, _)| *other);
            self.close(oldest.unwrap_or(id), Cause::Crowded);
        }
    }

    pub(super) fn forget(&mut self, id: ConnectionId) -> Option<Peer> {
        let peer = self.by_id.remove(&id)?;
        if let Some(count) = self.by_network.get_mut(&peer.network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&peer.network);
            }
        }
        self.over.push((id, peer.proven));
        Some(peer)
    }

    pub(super) fn close(&mut self, id: ConnectionId, cause: Cause) {
        if self.forget(id).is_none() {
            return;
        }
        tracing::debug!(connection = %id, ?cause, "closing");
        self.closing.push(id);
        let counters = &mut self.counters;
        *match cause {
            Cause::Address => &mut counters.closed_address,
            Cause::Crowded => &mut counters.closed_crowded,
            Cause::Length => &mut counters.closed_length,
            Cause::Stalled => &mut counters.closed_stalled,
            Cause::Unproven => &mut counters.closed_unproven,
            Cause::Idle => &mut counters.closed_idle,
            Cause::Useless => &mut counters.closed_useless,
            Cause::Unread => &mut counters.closed_unread,
        } += 1;
    }

    /// Draws the conclusions from what the role said of frames.
    pub(super) fn judge(&mut self) {
        let verdicts = std::mem::take(&mut self.verdicts);
        for &(id, accepted) in &verdicts {
            let Some(peer) = self.by_id.get_mut(&id) else { continue };
            if accepted {
                peer.proven = true;
                peer.refused_in_a_row = 0;
            } else {
                peer.refused_in_a_row += 1;
                if peer.refused_in_a_row >= self.limits.refused_in_a_row_max {
                    self.close(id, Cause::Useless);
                }
            }
        }
        self.verdicts = verdicts;
        self.verdicts.clear();
    }

    pub(super) fn close_overdue(&mut self, now_ns: i64) {
        let past = |since: i64, limit: i64| now_ns.saturating_sub(since) > limit;
        let ConnectionLimits { stall_ns, idle_ns, unread_ns, .. } = self.limits;
        let overdue = |peer: &Peer| {
            if peer.begun_ns.is_some_and(|begun| past(begun, stall_ns)) {
                Some(Cause::Stalled)
            } else if !peer.proven && past(peer.opened_ns, stall_ns) {
                Some(Cause::Unproven)
            } else if peer.unread_ns.is_some_and(|since| past(since, unread_ns)) {
                Some(Cause::Unread)
            } else if past(peer.heard_ns, idle_ns) {
                Some(Cause::Idle)
            } else {
                None
            }
        };
        let all: Vec<_> = self.by_id.iter().filter_map(|(id, peer)| Some((*id, overdue(peer)?))).collect();
        for (id, cause) in all {
            self.close(id, cause);
        }
    }
}

/// What one holder of addresses can be told by: an IPv4 address, or the first half of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}
