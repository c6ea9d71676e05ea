//! TCP connections of a node: divided into frames, handed to the role with those of other connections, and held to limits; what
//! the role sends goes back on them.
//!
//! Whoever connects has shown nothing yet. A connection proves itself by a frame that the role accepts, which takes a key of
//! the registry; until then it is the first to go when there are too many, and it goes soon by itself. What one connection does
//! wrong ends that connection and touches no other.

mod dial;
mod limits;
mod peers;
mod waiting;

pub use limits::{ConnectionCounters, ConnectionLimits};

use crate::node::{Clock, Turn};
use centauri_roles::{Effects, Role, connection_address, connection_of};
use centauri_uring::{Chunk, ConnectionId, DriverKind, End, TcpCounters, TcpDriver, TcpSink};
use centauri_wire::StreamFrame;
use dial::Dial;
use peers::{Cause, Peers};
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use waiting::Waiting;

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

/// Silence and stalls are looked for this often.
const LOOK_NS: i64 = 100_000_000;

impl Connections {
    /// The connections that `driver` accepts.
    #[must_use]
    pub fn new(driver: Box<dyn TcpDriver>, limits: ConnectionLimits) -> Self {
        Self { driver, peers: Peers::new(limits), looked_ns: None, has_queued: false, dial: None }
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
            for (id, peer) in &mut peers.by_id {
                peer.look(now, driver.waiting(*id).unwrap_or_default());
            }
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
    pub(crate) fn send(&mut self, to: SocketAddr, frame: &[u8]) -> bool {
        let dialled = self.dial.as_ref().filter(|dial| dial.to() == to);
        let id = match (dialled, connection_of(to)) {
            (Some(dial), _) => dial.connection(),
            (None, Some(number)) => Some(ConnectionId::of_word(number)),
            (None, None) => return false,
        };
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes();
        let counters = &mut self.peers.counters;
        if id.is_some_and(|id| self.driver.queue(id, &[&length, frame])) {
            counters.frames_sent += 1;
            self.has_queued = true;
        } else {
            counters.frames_unsent += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;
    use centauri_uring::{DriverChoice, TcpConfig, open_tcp};
    use std::io::Read as _;
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    const SECOND: i64 = 1_000_000_000;
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Accepts whatever comes.
    struct Open;

    impl Role for Open {
        fn handle(&mut self, _now_ns: i64, _from: SocketAddr, _bytes: &[u8], _: &mut Effects) -> bool {
            true
        }
        fn tick(&mut self, _now_ns: i64, _effects: &mut Effects) {}
        fn next_deadline(&self) -> Option<i64> {
            None
        }
        fn counters(&self) -> Vec<(&'static str, u64)> {
            Vec::new()
        }
    }

    fn take(connections: &mut Connections, now_ns: i64) {
        let clock: Clock = Box::new(move || now_ns);
        connections.take(&mut Open, &clock, &mut Effects::new()).unwrap();
    }

    #[test]
    fn whoever_does_not_read_gets_no_more_and_goes_while_others_get_all() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            let config = TcpConfig { choice, send_bytes_max: 1 << 17, ..TcpConfig::default() };
            let driver = open_tcp(([127, 0, 0, 1], 0).into(), &config).unwrap();
            let limits = ConnectionLimits { unread_ns: 10 * SECOND, ..ConnectionLimits::default() };
            let mut connections = Connections::new(driver, limits);
            let open = |connections: &mut Connections| {
                let stream = TcpStream::connect(connections.address().unwrap()).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let before: Vec<_> = connections.peers.by_id.keys().copied().collect();
                let start = Instant::now();
                while connections.len() == before.len() {
                    assert!(start.elapsed() < PATIENCE);
                    take(connections, 0);
                }
                let id = *connections.peers.by_id.keys().find(|id| !before.contains(id)).unwrap();
                connections.peers.by_id.get_mut(&id).unwrap().proven = true;
                (stream, connection_address(id.to_word()))
            };
            let (mut slow, to_slow) = open(&mut connections);
            let (mut quick, to_quick) = open(&mut connections);
            let frame = vec![5; 60_000];
            let mut came = vec![0; 60_004];
            // Far more than waits for a peer at most, in one step: whoever reads gets it all.
            let mut step = |connections: &mut Connections, now_ns: i64| {
                for to in [to_slow, to_quick] {
                    for _ in 0..3 {
                        assert!(connections.send(to, &frame));
                    }
                }
                connections.flush().unwrap();
                for _ in 0..3 {
                    quick.read_exact(&mut came).unwrap();
                    assert_eq!(came.split_at(4), (&60_000_u32.to_le_bytes()[..], &frame[..]));
                    take(connections, now_ns);
                }
            };
            let mut steps = 0;
            let mut fill = |connections: &mut Connections, now_ns: i64| {
                let before = connections.counters().frames_unsent;
                while connections.counters().frames_unsent == before {
                    steps += 1;
                    step(connections, now_ns);
                }
            };
            fill(&mut connections, SECOND);
            // What waited has gone once it has read; that nothing is sent to it for a while is not its fault.
            let mut some = vec![0; 1 << 20];
            slow.read_exact(&mut some).unwrap();
            let start = Instant::now();
            let to_slow_id = ConnectionId::of_word(connection_of(to_slow).unwrap());
            while connections.driver.waiting(to_slow_id).unwrap().bytes > 0 {
                assert!(start.elapsed() < PATIENCE);
                take(&mut connections, 2 * SECOND);
            }
            for now_ns in [3 * SECOND, 20 * SECOND, 40 * SECOND] {
                take(&mut connections, now_ns);
            }
            assert_eq!((connections.counters().closed_unread, connections.len()), (0, 2));
            fill(&mut connections, 40 * SECOND);
            for now_ns in [41 * SECOND, 50 * SECOND] {
                take(&mut connections, now_ns);
            }
            assert_eq!((connections.counters().closed_unread, connections.len()), (0, 2));
            take(&mut connections, 52 * SECOND);
            assert_eq!((connections.counters().closed_unread, connections.len()), (1, 1));
            step(&mut connections, 52 * SECOND);
            steps += 1;
            // What is sent to a connection that is over is no frame for another.
            let counters = connections.counters();
            assert_eq!(counters.frames_sent + counters.frames_unsent, 6 * steps, "{counters:?}");
            assert!(!connections.send(([127, 0, 0, 1], 9).into(), &frame));
        }
    }

    #[test]
    fn a_dialled_connection_is_made_again_when_it_ends() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let driver = centauri_uring::adopt_tcp(&TcpConfig::default()).unwrap();
        let mut connections = Connections::new(driver, ConnectionLimits::default()).dialling(to);
        assert!(connections.send(to, b"too early") && connections.counters().frames_unsent == 1);
        for turn in 1..=3 {
            let start = Instant::now();
            while connections.dialled() < turn {
                assert!(start.elapsed() < PATIENCE, "{connections:?}");
                take(&mut connections, now_ns());
            }
            let (mut peer, _) = listener.accept().unwrap();
            assert!(connections.send(to, b"hello"));
            connections.flush().unwrap();
            let mut came = [0; 9];
            peer.read_exact(&mut came).unwrap();
            assert_eq!(&came, b"\x05\0\0\0hello");
            drop(peer);
            while !connections.is_empty() {
                assert!(start.elapsed() < PATIENCE, "{connections:?}");
                take(&mut connections, now_ns());
            }
        }
        assert_eq!((connections.counters().opened, connections.address()), (3, None));
    }
}
