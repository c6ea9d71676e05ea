//! TCP connections of a node: divided into frames, handed to the role with those of other connections, and held to limits; what
//! the role sends goes back on them.
//!
//! Whoever connects has shown nothing yet. A connection proves itself by a frame that the role accepts, which takes a key of
//! the registry; until then it is the first to go when there are too many, and it goes soon by itself. What one connection does
//! wrong ends that connection and touches no other.

use crate::dial::Dial;
use crate::node::{Clock, NOWHERE, SLICE, Turn};
use centauri_roles::{Effects, Received, Role, connection_address, connection_of};
use centauri_uring::{Chunk, ConnectionId, DriverKind, End, TcpCounters, TcpDriver, TcpSink};
use centauri_wire::{FRAME_BYTES_MAX, Reassembler, StreamFrame};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// What connections are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Most connections at a time. Memory is at most this times 64 KiB, for frames that have come in part.
    pub connections_max: usize,
    /// Most connections of one address at a time; of one /64 network with IPv6.
    pub per_address_max: usize,
    /// So long a frame may take from its first byte to its last, and a new connection to its first accepted frame, in
    /// nanoseconds.
    pub stall_ns: i64,
    /// So long a connection may be silent, in nanoseconds.
    pub idle_ns: i64,
    /// So many frames in a row that are not accepted end a connection.
    pub refused_in_a_row_max: u32,
    /// So long a peer may leave no room for what it is sent, in nanoseconds.
    pub unread_ns: i64,
}

impl Default for ConnectionLimits {
    /// 1,024 connections, 256 of an address; 10 seconds; 5 minutes; 1,024 frames; 10 seconds.
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            per_address_max: 256,
            stall_ns: 10_000_000_000,
            idle_ns: 300_000_000_000,
            refused_in_a_row_max: 1_024,
            unread_ns: 10_000_000_000,
        }
    }
}

/// What became of connections and their frames.
///
/// Every connection opened is in one of `finished`, `failed` and the `closed_…`, or still open; every frame in `frames` has
/// been counted by the role too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionCounters {
    /// Connections that the driver handed over.
    pub opened: u64,
    /// Frames handed to the role.
    pub frames: u64,
    /// Ended by the peer between two frames.
    pub finished: u64,
    /// Ended by the peer within a frame.
    pub cut_short: u64,
    /// Broken.
    pub failed: u64,
    /// Closed because too many of its address were open.
    pub closed_address: u64,
    /// Closed, without having proven itself, to make room for a new one; or new, with no room to be made.
    pub closed_crowded: u64,
    /// Closed for a frame's length of 0 or beyond the limit.
    pub closed_length: u64,
    /// Closed for a frame that took too long.
    pub closed_stalled: u64,
    /// Closed for not proving itself in time.
    pub closed_unproven: u64,
    /// Closed for its silence.
    pub closed_idle: u64,
    /// Closed for sending nothing that is accepted.
    pub closed_useless: u64,
    /// Closed for not reading what it was sent.
    pub closed_unread: u64,
    /// Frames that were put behind what waits to be sent.
    pub frames_sent: u64,
    /// Frames that were not sent: the connection was over, or its peer had left no room.
    pub frames_unsent: u64,
}

#[derive(Debug)]
struct Peer {
    network: IpAddr,
    /// What the role knows it by.
    from: SocketAddr,
    reassembler: Reassembler,
    opened_ns: i64,
    /// When the last whole frame came, or the connection.
    heard_ns: i64,
    /// When the frame that is not whole yet began.
    begun_ns: Option<i64>,
    proven: bool,
    refused_in_a_row: u32,
    /// Since when there has been no room for what it is sent.
    unread_ns: Option<i64>,
}

/// Why this side closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Address,
    Crowded,
    Length,
    Stalled,
    Unproven,
    Idle,
    Useless,
    Unread,
}

/// The connections of a node.
#[derive(Debug)]
pub struct Connections {
    driver: Box<dyn TcpDriver>,
    peers: Peers,
    looked_ns: Option<i64>,
    /// Something waits to be sent.
    has_queued: bool,
    dial: Option<Dial>,
}

#[derive(Debug)]
struct Peers {
    limits: ConnectionLimits,
    by_id: BTreeMap<ConnectionId, Peer>,
    by_network: BTreeMap<IpAddr, usize>,
    /// Those to be closed, which have been forgotten already.
    closing: Vec<ConnectionId>,
    /// Those that are over, and whether they had proven themselves.
    over: Vec<(ConnectionId, bool)>,
    /// Whose frames were accepted, and whose were not, since they were last looked at.
    verdicts: Vec<(ConnectionId, bool)>,
    counters: ConnectionCounters,
}

/// Silence and stalls are looked for this often.
const LOOK_NS: i64 = 100_000_000;

impl Connections {
    /// The connections that `driver` accepts.
    #[must_use]
    pub fn new(driver: Box<dyn TcpDriver>, limits: ConnectionLimits) -> Self {
        let peers = Peers {
            limits,
            by_id: BTreeMap::new(),
            by_network: BTreeMap::new(),
            closing: Vec::new(),
            over: Vec::new(),
            verdicts: Vec::new(),
            counters: ConnectionCounters::default(),
        };
        Self { driver, peers, looked_ns: None, has_queued: false, dial: None }
    }

    /// Has a connection to `address` made, and made again when it ends; what the role sends there goes on it, and what comes on
    /// it comes from there.
    #[must_use]
    pub fn dialling(self, address: SocketAddr) -> Self {
        Self { dial: Some(Dial::new(address)), ..self }
    }

    /// How often the connection of [`Connections::dialling`] has been made.
    #[must_use]
    pub fn dialled(&self) -> u64 {
        self.dial.as_ref().map_or(0, Dial::made)
    }

    /// What is readable when something has come.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.driver.wake_fd()
    }

    /// The address that peers connect to, if they can.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.driver.local_addr()
    }

    /// Which driver runs.
    #[must_use]
    pub fn kind(&self) -> DriverKind {
        self.driver.kind()
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.by_id.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What became of them.
    #[must_use]
    pub fn counters(&self) -> ConnectionCounters {
        self.peers.counters
    }

    /// What the driver counted.
    #[must_use]
    pub fn driver_counters(&self) -> TcpCounters {
        self.driver.counters()
    }

    /// Hands over what has come, and closes what has to be.
    pub(crate) fn take<R: Role>(
        &mut self,
        role: &mut R,
        clock: &Clock,
        effects: &mut Effects,
    ) -> io::Result<()> {
        let Self { driver, peers, looked_ns, dial, .. } = self;
        if let Some(dial) = dial {
            let now = clock();
            if let Some(id) = dial.go_on(now, &mut **driver) {
                peers.open(id, dial.to().ip(), dial.to(), now);
            }
        }
        let received = driver.receive(&mut Intake { peers, turn: Turn { role, clock, effects } });
        let now = clock();
        if looked_ns.is_none_or(|at| now.saturating_sub(at) >= LOOK_NS) {
            *looked_ns = Some(now);
            peers.close_overdue(now);
        }
        for id in peers.closing.drain(..) {
            driver.close(id);
        }
        for (id, was_proven) in peers.over.drain(..) {
            if let Some(dial) = dial {
                dial.ended(now, id, was_proven);
            }
        }
        received.map(|_| ())
    }

    /// Sends a frame on the connection that `to` stands for; `false` if it stands for none. What finds no room there is counted
    /// and lost, as a datagram might be. It goes out with [`Connections::flush`].
    pub(crate) fn send(&mut self, now_ns: i64, to: SocketAddr, frame: &[u8]) -> bool {
        let dialled = self.dial.as_ref().filter(|dial| dial.to() == to);
        let id = match (dialled, connection_of(to)) {
            (Some(dial), _) => dial.connection(),
            (None, Some(number)) => Some(ConnectionId::of_word(number)),
            (None, None) => return false,
        };
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes();
        let is_queued = id.is_some_and(|id| self.driver.queue(id, &[&length, frame]));
        let Peers { by_id, counters, .. } = &mut self.peers;
        if is_queued {
            counters.frames_sent += 1;
            self.has_queued = true;
        } else {
            counters.frames_unsent += 1;
        }
        if let Some(peer) = id.and_then(|id| by_id.get_mut(&id)) {
            peer.unread_ns = if is_queued { None } else { peer.unread_ns.or(Some(now_ns)) };
        }
        true
    }

    /// Hands the kernel what is to be sent.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.has_queued) { self.driver.flush() } else { Ok(()) }
    }
}

struct Intake<'a, R> {
    peers: &'a mut Peers,
    turn: Turn<'a, R>,
}

impl<R: Role> TcpSink for Intake<'_, R> {
    fn opened(&mut self, connection: ConnectionId, peer: SocketAddr) {
        let from = connection_address(connection.to_word());
        self.peers.open(connection, peer.ip(), from, self.turn.now());
    }

    fn received(&mut self, chunks: &[Chunk<'_>]) {
        let Self { peers, turn } = self;
        let mut waiting = Waiting::new();
        for chunk in chunks {
            // One that is about to be closed is forgotten already.
            let Some(peer) = peers.by_id.get_mut(&chunk.connection) else { continue };
            let now = turn.now();
            let (mut bytes, mut frames) = (chunk.bytes, 0);
            let divided = loop {
                match peer.reassembler.next_frame(&mut bytes) {
                    Ok(Some(frame)) => {
                        frames += 1;
                        let verdicts = &mut peers.verdicts;
                        match frame {
                            StreamFrame::Whole(frame) => {
                                waiting.push((chunk.connection, peer.from), frame, turn, verdicts);
                            }
                            StreamFrame::Joined(frame) => {
                                let last = ((chunk.connection, peer.from), frame);
                                waiting.hand_over(Some(last), turn, verdicts);
                            }
                        }
                    }
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            peers.counters.frames += frames;
            if frames > 0 {
                peer.heard_ns = now;
                peer.begun_ns = None;
            }
            match peer.reassembler.is_partial() {
                true => _ = peer.begun_ns.get_or_insert(now),
                false => peer.begun_ns = None,
            }
            if !divided {
                peers.close(chunk.connection, Cause::Length);
            }
        }
        waiting.hand_over(None, turn, &mut peers.verdicts);
        peers.judge();
    }

    fn ended(&mut self, connection: ConnectionId, end: End) {
        if let Some(peer) = self.peers.forget(connection) {
            let counters = &mut self.peers.counters;
            *match end {
                End::Failed(_) => &mut counters.failed,
                End::Finished if peer.reassembler.is_partial() => &mut counters.cut_short,
                End::Finished => &mut counters.finished,
            } += 1;
        }
    }
}

/// Frames that wait to be handed over together, so that their signatures are verified together whatever connections they
/// are of.
struct Waiting<'a> {
    frames: [((ConnectionId, SocketAddr), &'a [u8]); WAITING_MAX],
    count: usize,
}

/// One place is left for a frame that lies elsewhere.
const WAITING_MAX: usize = SLICE - 1;

impl<'a> Waiting<'a> {
    fn new() -> Self {
        Self { frames: [((ConnectionId::default(), NOWHERE), &[]); WAITING_MAX], count: 0 }
    }

    fn push<R: Role>(
        &mut self,
        peer: (ConnectionId, SocketAddr),
        frame: &'a [u8],
        turn: &mut Turn<'_, R>,
        verdicts: &mut Vec<(ConnectionId, bool)>,
    ) {
        if self.count == WAITING_MAX {
            self.hand_over(None, turn, verdicts);
        }
        if let Some(place) = self.frames.get_mut(self.count) {
            *place = (peer, frame);
            self.count += 1;
        }
    }

    /// Hands over those that wait, and after them `last`.
    fn hand_over<R: Role>(
        &mut self,
        last: Option<((ConnectionId, SocketAddr), &[u8])>,
        turn: &mut Turn<'_, R>,
        verdicts: &mut Vec<(ConnectionId, bool)>,
    ) {
        let frames = self.frames.iter().take(self.count).copied().chain(last);
        let mut all = [Received { from: NOWHERE, bytes: &[] }; SLICE];
        let mut count = 0;
        for (place, ((_, from), bytes)) in all.iter_mut().zip(frames.clone()) {
            *place = Received { from, bytes };
            count += 1;
        }
        let accepted = turn.hand_over(all.get(..count).unwrap_or(&all));
        verdicts.extend(frames.enumerate().map(|(place, ((id, _), _))| (id, accepted.contains(place))));
        self.count = 0;
    }
}

impl Peers {
    fn open(&mut self, id: ConnectionId, address: IpAddr, from: SocketAddr, now_ns: i64) {
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

    fn forget(&mut self, id: ConnectionId) -> Option<Peer> {
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

    fn close(&mut self, id: ConnectionId, cause: Cause) {
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
    fn judge(&mut self) {
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

    fn close_overdue(&mut self, now_ns: i64) {
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
