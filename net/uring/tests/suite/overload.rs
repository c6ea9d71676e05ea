//! More datagrams than buffers, and more than the socket holds.

use crate::common::{Got, V4, peer, receive_count, receive_into, small, with_each_driver};
use centauri_uring::DriverConfig;
use std::time::Duration;

const BURST: u32 = 5_000;

fn number(got: &Got) -> u32 {
    u32::from_le_bytes(got.bytes[..4].try_into().unwrap())
}

fn numbered(n: u32) -> [u8; 200] {
    let mut bytes = [n as u8; 200];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    bytes
}

/// Receives until nothing comes for a while.
fn receive_rest(driver: &mut dyn centauri_uring::DatagramDriver) -> Vec<Got> {
    let mut got = Vec::new();
    while receive_into(driver, Duration::from_millis(50), &mut got) > 0 {}
    got
}

#[test]
fn a_burst_larger_than_the_pool_loses_nothing() {
    with_each_driver(|variant| {
        let config =
            DriverConfig { buffers: 4, wait_completions: 4, socket_receive_bytes: 32 << 20, ..small() };
        let mut driver = variant.open(V4, config);
        let peer = peer(V4);
        for n in 0..BURST {
            peer.send_to(&numbered(n), driver.local_addr()).unwrap();
        }
        let got = receive_rest(&mut *driver);
        let counters = driver.counters();
        assert_eq!(got.len() as u64 + counters.kernel_drops, u64::from(BURST), "{variant:?}: {counters:?}");
        // A 200-byte datagram is booked with about 1 KiB.
        if driver.socket_receive_bytes() >= 8 << 20 {
            assert_eq!(counters.kernel_drops, 0, "{variant:?}: the socket holds them all");
            for (n, got) in (0..).zip(&got) {
                assert_eq!(got.bytes, numbered(n), "{variant:?}: datagram {n}");
            }
        } else {
            println!("skipped: no-loss part: the kernel granted a smaller socket buffer");
        }
        assert!(counters.buffers_exhausted > 0, "{variant:?}: {counters:?}");
        assert_eq!((counters.undecodable, counters.receive_errors), (0, 0));
    });
}

#[test]
fn what_a_full_socket_drops_is_counted_exactly() {
    with_each_driver(|variant| {
        let config = DriverConfig { socket_receive_bytes: 65_536, ..small() };
        let mut driver = variant.open(V4, config);
        let peer = peer(V4);
        let mut received = Vec::new();
        for burst in 1..=3 {
            for n in 0..BURST {
                peer.send_to(&numbered(n), driver.local_addr()).unwrap();
            }
            // Before any of it is received, and so before any datagram tells of it.
            let unheard = driver.counters().kernel_drops;
            assert!(unheard > u64::from(BURST) / 2 * burst, "{variant:?}: {unheard}");
            received.extend(receive_rest(&mut *driver));
            let counters = driver.counters();
            assert_eq!(counters.datagrams, received.len() as u64);
            assert_eq!(
                counters.datagrams + counters.kernel_drops,
                u64::from(BURST) * burst,
                "{variant:?}: {counters:?}"
            );
        }
    });
}

#[test]
fn a_sender_racing_the_receiver_is_accounted_for() {
    with_each_driver(|variant| {
        let config = DriverConfig { buffers: 8, wait_completions: 8, ..small() };
        let mut driver = variant.open(V4, config);
        let to = driver.local_addr();
        let sender = std::thread::spawn(move || {
            let peer = peer(V4);
            for n in 0..4 * BURST {
                peer.send_to(&numbered(n), to).unwrap();
            }
        });
        let mut got = Vec::new();
        while !sender.is_finished() {
            receive_into(&mut *driver, Duration::from_millis(20), &mut got);
        }
        sender.join().unwrap();
        got.extend(receive_rest(&mut *driver));
        let counters = driver.counters();
        let total = counters.datagrams + counters.kernel_drops;
        assert_eq!(total, u64::from(4 * BURST), "{variant:?}: {counters:?}");
        assert_eq!(counters.datagrams, got.len() as u64);
        assert!(
            got.windows(2).all(|pair| number(&pair[0]) < number(&pair[1])),
            "{variant:?}: out of order or twice"
        );
        assert!(got.iter().all(|got| got.bytes == numbered(number(got))));
    });
}

#[test]
fn one_wait_is_bounded_under_flood() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        for n in 0..500 {
            peer.send_to(&numbered(n), driver.local_addr()).unwrap();
        }
        let mut got = Vec::new();
        receive_into(&mut *driver, Duration::from_millis(100), &mut got);
        // No more than the pool holds and one wait asks for.
        assert!((1..24).contains(&got.len()), "{variant:?}: {}", got.len());
        receive_count(&mut *driver, 500 - got.len());
    });
}

#[test]
fn empty_datagrams_do_not_slow_the_others() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        for n in 0..1_000 {
            peer.send_to(&[], driver.local_addr()).unwrap();
            peer.send_to(&numbered(n), driver.local_addr()).unwrap();
        }
        let got = receive_count(&mut *driver, 2_000);
        for (n, pair) in (0..).zip(got.chunks(2)) {
            assert!(pair[0].bytes.is_empty(), "{variant:?}: before {n}");
            assert_eq!(pair[1].bytes, numbered(n), "{variant:?}");
        }
        // Each empty datagram ends the ring's standing request; one a wait would be 1,000 waits.
        let waits = driver.counters().waits;
        assert!(waits <= 260, "{variant:?}: {waits} waits for 2,000 datagrams");
    });
}
