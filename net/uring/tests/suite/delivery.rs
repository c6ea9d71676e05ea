//! What is sent arrives: bytes, sender, marks.

use crate::common::{PATIENCE, V4, Variant, pattern, peer, receive_count, small, with_each_driver};
use centauri_uring::DriverConfig;
use std::time::Duration;

const SIZES: [usize; 6] = [0, 1, 200, 1_472, 9_000, 65_507];

fn every_size_from_two_senders(variant: Variant, addr: &str) {
    let mut driver = variant.open(addr, small());
    let to = driver.local_addr();
    let peers = [peer(addr), peer(addr)];
    for (round, len) in SIZES.iter().chain(SIZES.iter().rev()).enumerate() {
        for (index, peer) in peers.iter().enumerate() {
            let sent = pattern((round * 2 + index) as u64, *len);
            peer.send_to(&sent, to).unwrap();
            let got = receive_count(&mut *driver, 1);
            assert_eq!(got.len(), 1);
            assert_eq!(got[0].bytes, sent, "{variant:?}: {len} bytes");
            assert_eq!(got[0].from, peer.local_addr().unwrap());
            assert!(!got[0].truncated);
        }
    }
    let counters = driver.counters();
    assert_eq!(counters.datagrams, 24);
    assert_eq!(counters.bytes, 4 * SIZES.iter().sum::<usize>() as u64);
    assert_eq!((counters.truncated, counters.undecodable), (0, 0));
    assert_eq!((counters.kernel_drops, counters.receive_errors), (0, 0));
}

#[test]
fn every_size_arrives_whole_over_v4() {
    with_each_driver(|variant| every_size_from_two_senders(variant, V4));
}

#[test]
fn every_size_arrives_whole_over_v6() {
    if let Err(cause) = std::net::UdpSocket::bind("[::1]:0") {
        println!("skipped: no IPv6 loopback: {cause}");
        return;
    }
    with_each_driver(|variant| every_size_from_two_senders(variant, "[::1]:0"));
}

#[test]
fn an_ipv4_sender_keeps_its_name_on_a_dual_stack_socket() {
    if let Err(cause) = std::net::UdpSocket::bind("[::]:0") {
        println!("skipped: no IPv6: {cause}");
        return;
    }
    with_each_driver(|variant| {
        let mut driver = variant.open("[::]:0", small());
        let peer = peer(V4);
        let here = peer.local_addr().unwrap();
        peer.send_to(b"ping", ("127.0.0.1", driver.local_addr().port())).unwrap();
        let got = receive_count(&mut *driver, 1);
        assert_eq!(got[0].from, here);
        driver.send_to(b"pong", got[0].from).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 16];
        let (len, from) = peer.recv_from(&mut answer).unwrap();
        assert_eq!(&answer[..len], b"pong");
        assert_eq!(from.port(), driver.local_addr().port());
    });
}

#[test]
fn a_mix_queued_before_the_first_wait_arrives_in_order() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        // Empty datagrams end a multishot receive; here each is followed by more.
        let lens: Vec<usize> = (0..60).map(|n| if n % 3 == 0 { 0 } else { n * 20 }).collect();
        for (seed, len) in lens.iter().enumerate() {
            peer.send_to(&pattern(seed as u64, *len), driver.local_addr()).unwrap();
        }
        let got = receive_count(&mut *driver, lens.len());
        for (seed, (got, len)) in got.iter().zip(&lens).enumerate() {
            assert_eq!(got.bytes, pattern(seed as u64, *len), "{variant:?}: {seed}");
        }
    });
}

#[test]
fn a_datagram_longer_than_the_buffer_is_cut_and_marked() {
    with_each_driver(|variant| {
        let config = DriverConfig { buffer_bytes: 2_048, ..small() };
        let mut driver = variant.open(V4, config);
        let peer = peer(V4);
        for len in [2_047, 2_048, 2_049, 9_000, 65_507, 10] {
            let sent = pattern(len as u64, len);
            peer.send_to(&sent, driver.local_addr()).unwrap();
            let got = receive_count(&mut *driver, 1);
            let whole = len <= 2_048;
            assert_eq!(got[0].truncated, !whole, "{variant:?}: {len} bytes");
            assert_eq!(got[0].bytes, sent[..len.min(2_048)], "{variant:?}: {len}");
            assert_eq!(got[0].from, peer.local_addr().unwrap());
        }
        assert_eq!(driver.counters().truncated, 3);
    });
}

#[test]
fn the_driver_sends_and_counts() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let to = peer.local_addr().unwrap();
        for len in SIZES {
            let sent = pattern(len as u64, len);
            driver.send_to(&sent, to).unwrap();
            let mut bytes = vec![0; 70_000];
            let (got, from) = peer.recv_from(&mut bytes).unwrap();
            assert_eq!(bytes[..got], sent);
            assert_eq!(from, driver.local_addr());
        }
        assert!(driver.send_to(&[0; 65_508], to).is_err(), "over the limit");
        assert!(driver.send_to(b"x", "[::1]:9".parse().unwrap()).is_err());
        let counters = driver.counters();
        assert_eq!((counters.sent, counters.send_errors), (6, 2));
        assert_eq!(counters.sent_bytes, SIZES.iter().sum::<usize>() as u64);
    });
}

#[test]
fn sending_and_receiving_alternate() {
    with_each_driver(|variant| {
        let mut left = variant.open(V4, small());
        let mut right = variant.open(V4, small());
        let (left_addr, right_addr) = (left.local_addr(), right.local_addr());
        for round in 0..50u64 {
            left.send_to(&pattern(round, 100), right_addr).unwrap();
            let got = receive_count(&mut *right, 1);
            assert_eq!((&got[0].bytes, got[0].from), (&pattern(round, 100), left_addr));
            right.send_to(&got[0].bytes, left_addr).unwrap();
            let back = receive_count(&mut *left, 1);
            assert_eq!((&back[0].bytes, back[0].from), (&got[0].bytes, right_addr));
        }
        let mut none = 0;
        left.receive(Duration::ZERO, &mut |_| none += 1).unwrap();
        assert_eq!(none, 0);
    });
}
