//! A node under a flood: what is due is done between slices, and nothing that came is lost or reordered.

use centauri::node::Node;
use centauri_roles::{AcceptedSet, Effects, Received, Role};
use centauri_uring::{Datagram, DatagramDriver, DriverCounters, DriverKind};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const FROM: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9));

/// Has all of a flood at once.
#[derive(Debug)]
struct Flood {
    datagrams: Vec<[u8; 4]>,
}

impl DatagramDriver for Flood {
    fn kind(&self) -> DriverKind {
        DriverKind::Epoll
    }

    fn local_addr(&self) -> SocketAddr {
        FROM
    }

    fn socket_receive_bytes(&self) -> usize {
        0
    }

    fn receive(&mut self, timeout: Duration, sink: &mut dyn FnMut(Datagram<'_>)) -> std::io::Result<usize> {
        self.receive_batch(timeout, &mut |all| all.iter().for_each(|datagram| sink(*datagram)))
    }

    fn receive_batch(
        &mut self,
        _timeout: Duration,
        sink: &mut dyn FnMut(&[Datagram<'_>]),
    ) -> std::io::Result<usize> {
        let datagram = |bytes| Datagram { bytes, from: FROM, truncated: false };
        let all: Vec<Datagram<'_>> = self.datagrams.iter().map(|bytes| datagram(&bytes[..])).collect();
        sink(&all);
        Ok(all.len())
    }

    fn send_to(&mut self, _bytes: &[u8], _to: SocketAddr) -> std::io::Result<()> {
        Ok(())
    }

    fn wake_on(&mut self, _source: BorrowedFd<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn counters(&self) -> DriverCounters {
        DriverCounters::default()
    }
}

/// Notes what is asked of it; something is due every hundred nanoseconds.
#[derive(Debug, Default)]
struct Noting {
    seen: Vec<u32>,
    largest: usize,
    ticks: Vec<(i64, usize)>,
    deadline: i64,
}

impl Role for Noting {
    fn handle(&mut self, _now_ns: i64, _from: SocketAddr, bytes: &[u8], _effects: &mut Effects) -> bool {
        self.seen.push(u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        true
    }

    fn handle_batch(
        &mut self,
        now_ns: i64,
        datagrams: &[Received<'_>],
        effects: &mut Effects,
    ) -> AcceptedSet {
        self.largest = self.largest.max(datagrams.len());
        for datagram in datagrams {
            self.handle(now_ns, datagram.from, datagram.bytes, effects);
        }
        AcceptedSet::default()
    }

    fn tick(&mut self, now_ns: i64, _effects: &mut Effects) {
        self.ticks.push((now_ns, self.seen.len()));
        self.deadline = now_ns + 100;
    }

    fn next_deadline(&self) -> Option<i64> {
        Some(self.deadline)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

#[test]
fn a_flood_keeps_no_deadline_waiting_for_longer_than_a_slice() {
    let datagrams = (0..1_000_u32).map(u32::to_le_bytes).collect();
    // Every look at the clock takes sixty nanoseconds.
    let time = Arc::new(AtomicI64::new(0));
    let clock = Box::new(move || time.fetch_add(60, Ordering::Relaxed));
    let role = Noting { deadline: 100, ..Noting::default() };
    let mut node = Node::new(role, Box::new(Flood { datagrams })).timed(clock);
    node.step(|_| {}).expect("a flood is no error");
    let role = node.role();
    assert_eq!(role.seen, (0..1_000).collect::<Vec<u32>>());
    assert_eq!(role.largest, 64);
    // Sixteen slices: something is due at every other one.
    assert!(role.ticks.len() >= 8, "{:?}", role.ticks);
    assert!(role.ticks.windows(2).all(|pair| pair[1].1 - pair[0].1 <= 128), "{:?}", role.ticks);
}
