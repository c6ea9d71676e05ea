//! TCP connections over real sockets, on each driver.

use crate::common::{PATIENCE, V4, Variant, pattern, peer, small, with_each_driver};
use centauri_uring::{
    Chunk, ConnectionId, DatagramDriver, DriverChoice, End, TcpConfig, TcpDriver, TcpSink, open_tcp,
    probe_io_uring,
};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What came, by connection.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub opened: BTreeMap<ConnectionId, SocketAddr>,
    pub bytes: BTreeMap<ConnectionId, Vec<u8>>,
    pub ended: BTreeMap<ConnectionId, End>,
    pub chunks: usize,
}

impl TcpSink for Seen {
    fn opened(&mut self, connection: ConnectionId, peer: SocketAddr) {
        assert!(self.opened.insert(connection, peer).is_none(), "{connection} was opened twice");
    }

    fn received(&mut self, chunks: &[Chunk<'_>]) {
        assert!((1..=64).contains(&chunks.len()));
        for chunk in chunks {
            assert!(!chunk.bytes.is_empty());
            assert!(
                self.opened.contains_key(&chunk.connection) && !self.ended.contains_key(&chunk.connection)
            );
            self.bytes.entry(chunk.connection).or_default().extend_from_slice(chunk.bytes);
            self.chunks += 1;
        }
    }

    fn ended(&mut self, connection: ConnectionId, end: End) {
        assert!(self.opened.contains_key(&connection));
        assert!(self.ended.insert(connection, end).is_none(), "{connection} ended twice");
    }
}

impl Seen {
    pub(crate) fn of(&self, peer: SocketAddr) -> ConnectionId {
        *self
            .opened
            .iter()
            .find(|(_, found)| **found == peer)
            .unwrap_or_else(|| panic!("{peer} is not open"))
            .0
    }
}

/// Runs `test` with each TCP driver that works here, each on a thread of its own.
pub(crate) fn with_each(test: impl Fn(DriverChoice) + Sync) {
    let run = |choice| std::thread::scope(|scope| scope.spawn(|| test(choice)).join()).unwrap();
    match probe_io_uring() {
        Ok(_) => run(DriverChoice::IoUring),
        Err(cause) => println!("skipped: io_uring for TCP: {cause}"),
    }
    run(DriverChoice::Epoll);
}

pub(crate) fn opened(choice: DriverChoice, config: TcpConfig) -> Box<dyn TcpDriver> {
    open_tcp(V4.parse().unwrap(), &TcpConfig { choice, ..config }).unwrap()
}

pub(crate) fn few() -> TcpConfig {
    TcpConfig { buffers: 4, buffer_bytes: 4_096, ..TcpConfig::default() }
}

/// Receives until `done`; fails when that does not come about.
pub(crate) fn until(driver: &mut dyn TcpDriver, seen: &mut Seen, mut done: impl FnMut(&Seen) -> bool) {
    let start = Instant::now();
    while !done(seen) {
        assert!(start.elapsed() < PATIENCE, "{}: {:?}", driver.kind(), driver.counters());
        let before = seen.chunks;
        let count = driver.receive(seen).unwrap();
        assert_eq!(count, seen.chunks - before);
        if count == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn every_byte_of_every_connection_arrives_in_order() {
    with_each(|choice| {
        let mut driver = opened(choice, few());
        let addr = driver.local_addr().unwrap();
        // More connections than buffers, more bytes than all buffers hold, in pieces of any size.
        let writers: Vec<_> = (0..24u64)
            .map(|seed| {
                std::thread::spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let bytes = pattern(seed, 150_000 + 997 * seed as usize);
                    let mut rest = &bytes[..];
                    let mut step = 1 + seed as usize;
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at(step.min(rest.len()));
                        stream.write_all(now).unwrap();
                        rest = later;
                        step = (step * 7 + 13) % 9_001 + 1;
                    }
                    (stream.local_addr().unwrap(), bytes)
                })
            })
            .collect();
        let mut seen = Seen::default();
        until(&mut *driver, &mut seen, |seen| seen.ended.len() == 24);
        let mut total = 0;
        for writer in writers {
            let (from, sent) = writer.join().unwrap();
            let id = seen.of(from);
            assert!(seen.bytes[&id] == sent, "{choice}: {from}");
            assert_eq!(seen.ended[&id], End::Finished);
            total += sent.len() as u64;
        }
        let counters = driver.counters();
        assert_eq!((counters.accepted, counters.finished, counters.bytes), (24, 24, total));
        assert_eq!((counters.failed, counters.refused, counters.closed), (0, 0, 0));
        assert_eq!(driver.connections(), 0);
        assert!(counters.buffers_exhausted > 0, "{choice}: {counters:?}");
    });
}

#[test]
fn a_flood_on_some_connections_does_not_keep_another_waiting() {
    with_each(|choice| {
        let mut driver = opened(choice, few());
        let addr = driver.local_addr().unwrap();
        // Eight that never stop, each faster than it is read: they would take every buffer there is.
        let floods: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let bytes = [7; 65_536];
                    while stream.write_all(&bytes).is_ok() {}
                })
            })
            .collect();
        let mut seen = Seen::default();
        until(&mut *driver, &mut seen, |seen| seen.opened.len() == 8 && seen.chunks > 100);
        let mut honest = TcpStream::connect(addr).unwrap();
        let from = honest.local_addr().unwrap();
        until(&mut *driver, &mut seen, |seen| seen.opened.values().any(|peer| *peer == from));
        let id = seen.of(from);
        for turn in 0..50u64 {
            honest.write_all(&turn.to_le_bytes()).unwrap();
            let mut calls = 0;
            let wanted = 8 * (turn as usize + 1);
            until(&mut *driver, &mut seen, |seen| {
                calls += 1;
                seen.bytes.get(&id).is_some_and(|bytes| bytes.len() == wanted)
            });
            assert!(calls <= 8, "{choice}: turn {turn} took {calls} calls");
            // What floods has been seen enough of.
            seen.bytes.retain(|of, _| *of == id);
        }
        drop(driver);
        drop(honest);
        floods.into_iter().for_each(|flood| flood.join().unwrap());
    });
}

#[test]
fn more_connections_than_may_be_are_closed_at_once_and_leave_the_others_alone() {
    with_each(|choice| {
        let mut driver = opened(choice, TcpConfig { connections_max: 2, ..few() });
        let addr = driver.local_addr().unwrap();
        let mut seen = Seen::default();
        let mut first = TcpStream::connect(addr).unwrap();
        let second = TcpStream::connect(addr).unwrap();
        until(&mut *driver, &mut seen, |seen| seen.opened.len() == 2);
        let mut third = TcpStream::connect(addr).unwrap();
        third.set_read_timeout(Some(PATIENCE)).unwrap();
        let start = Instant::now();
        while driver.counters().refused == 0 {
            assert!(start.elapsed() < PATIENCE);
            driver.receive(&mut seen).unwrap();
        }
        assert_eq!(third.read(&mut [0; 8]).unwrap_or(0), 0, "closed");
        first.write_all(b"still here").unwrap();
        let id = seen.of(first.local_addr().unwrap());
        until(&mut *driver, &mut seen, |seen| seen.bytes.get(&id).is_some_and(|b| b == b"still here"));
        drop(second);
        until(&mut *driver, &mut seen, |seen| seen.ended.len() == 1);
        let _fourth = TcpStream::connect(addr).unwrap();
        until(&mut *driver, &mut seen, |seen| seen.opened.len() == 3);
        let counters = driver.counters();
        assert_eq!((counters.accepted, counters.refused, counters.finished), (4, 1, 1));
        assert_eq!(driver.connections(), 2);
    });
}

#[test]
fn half_closing_and_breaking_end_a_connection_after_its_bytes() {
    with_each(|choice| {
        let mut driver = opened(choice, few());
        let addr = driver.local_addr().unwrap();
        let mut seen = Seen::default();
        let mut half = TcpStream::connect(addr).unwrap();
        half.write_all(b"the last").unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        until(&mut *driver, &mut seen, |seen| seen.ended.len() == 1);
        let id = seen.of(half.local_addr().unwrap());
        assert_eq!((seen.bytes[&id].as_slice(), seen.ended[&id]), (&b"the last"[..], End::Finished));
        half.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(half.read(&mut [0; 8]).unwrap(), 0, "this side ends too");

        let broken = TcpStream::connect(addr).unwrap();
        let from = broken.local_addr().unwrap();
        until(&mut *driver, &mut seen, |seen| seen.opened.values().any(|peer| *peer == from));
        reset(&broken);
        drop(broken);
        until(&mut *driver, &mut seen, |seen| seen.ended.len() == 2);
        assert_eq!(seen.ended[&seen.of(from)], End::Failed(ErrorKind::ConnectionReset));
        let counters = driver.counters();
        assert_eq!((counters.finished, counters.failed), (1, 1));
    });
}

/// Closes a connection with a reset, which a linger of zero brings about.
fn reset(stream: &TcpStream) {
    use std::os::fd::AsRawFd as _;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of_val(&linger) as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes of `linger`, which outlives the call.
    let done = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    assert_eq!(done, 0);
}

#[test]
fn a_connection_closed_from_here_is_over_for_its_peer_and_tells_nothing_more() {
    with_each(|choice| {
        let mut driver = opened(choice, few());
        let mut seen = Seen::default();
        let mut stream = TcpStream::connect(driver.local_addr().unwrap()).unwrap();
        stream.write_all(b"some").unwrap();
        until(&mut *driver, &mut seen, |seen| seen.chunks == 1);
        let id = seen.of(stream.local_addr().unwrap());
        driver.close(id);
        driver.close(id);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
        for _ in 0..20 {
            let _ = stream.write(b"more");
            driver.receive(&mut seen).unwrap();
        }
        assert!(seen.ended.is_empty() && seen.bytes[&id] == b"some");
        assert_eq!((driver.counters().closed, driver.connections()), (1, 0));
        // Its place is free, and its buffers are back: many more come and go.
        for turn in 0..50u64 {
            let mut next = TcpStream::connect(driver.local_addr().unwrap()).unwrap();
            next.write_all(&pattern(turn, 9_000)).unwrap();
            let from = next.local_addr().unwrap();
            until(&mut *driver, &mut seen, |seen| seen.opened.values().any(|peer| *peer == from));
            driver.close(seen.of(from));
            seen.opened.clear();
            seen.bytes.clear();
        }
        assert_eq!((driver.counters().closed, driver.connections()), (51, 0));
    });
}

/// A driver of datagrams whose waits end for a TCP driver of the same kind, too.
fn pair(variant: Variant) -> (Box<dyn DatagramDriver>, Box<dyn TcpDriver>) {
    let choice = if matches!(variant, Variant::Epoll) { DriverChoice::Epoll } else { DriverChoice::IoUring };
    let mut datagrams = variant.open(V4, small());
    let tcp = opened(choice, few());
    datagrams.wake_on(tcp.wake_fd()).unwrap();
    (datagrams, tcp)
}

#[test]
fn a_datagram_drivers_wait_ends_for_a_connection_too() {
    with_each_driver(|variant| {
        let (mut datagrams, mut tcp) = pair(variant);
        let mut seen = Seen::default();
        let long = Duration::from_secs(20);
        let mut wait = |tcp: &mut dyn TcpDriver, seen: &mut Seen, done: &dyn Fn(&Seen) -> bool| {
            let start = Instant::now();
            while !done(seen) {
                assert_eq!(datagrams.receive(long, &mut |_| panic!("no datagram was sent")).unwrap(), 0);
                tcp.receive(seen).unwrap();
                assert!(start.elapsed() < long / 2, "{variant:?}: the wait went on");
            }
        };
        let addr = tcp.local_addr().unwrap();
        tcp.receive(&mut seen).unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            let mut stream = TcpStream::connect(addr).unwrap();
            for turn in 0..20u64 {
                std::thread::sleep(Duration::from_millis(2));
                // Now and then more than one call takes.
                stream.write_all(&pattern(turn, if turn % 5 == 0 { 60_000 } else { 10 })).unwrap();
            }
        });
        let total = 4 * 60_000 + 16 * 10;
        wait(&mut *tcp, &mut seen, &|seen| {
            seen.ended.len() == 1 && seen.bytes.values().map(Vec::len).sum::<usize>() == total
        });
        writer.join().unwrap();
        // Datagrams still end it.
        peer(V4).send_to(b"x", datagrams.local_addr()).unwrap();
        let start = Instant::now();
        while datagrams.receive(long, &mut |_| ()).unwrap() == 0 {
            tcp.receive(&mut seen).unwrap();
            assert!(start.elapsed() < long / 2);
        }
    });
}

#[test]
fn an_idle_pair_waits_as_long_as_it_is_told() {
    with_each_driver(|variant| {
        let (mut datagrams, mut tcp) = pair(variant);
        let mut seen = Seen::default();
        let _idle = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        for _ in 0..3 {
            tcp.receive(&mut seen).unwrap();
            datagrams.receive(Duration::from_millis(20), &mut |_| ()).unwrap();
        }
        assert_eq!(seen.opened.len(), 1);
        let start = Instant::now();
        datagrams.receive(Duration::from_millis(60), &mut |_| ()).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(50), "{variant:?}: nothing had come");
    });
}

#[test]
fn an_address_in_use_and_a_bad_configuration_are_told() {
    let first = opened(DriverChoice::Epoll, few());
    let addr = first.local_addr().unwrap();
    let error = open_tcp(addr, &few()).unwrap_err().to_string();
    assert_eq!(error, format!("{addr}: address already in use"));
    let error = open_tcp(addr, &TcpConfig { buffers: 3, ..few() }).unwrap_err().to_string();
    assert_eq!(error, format!("{addr}: buffers is 3: expected a power of two from 2 to 4096"));
}
