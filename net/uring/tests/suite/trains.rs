//! Trains that come are divided into the datagrams they were made of.

use crate::common::{Got, PATIENCE, V4, Variant, pattern, peer, receive_count, small, with_each_driver};
use crate::sending::trains_work;
use centauri_uring::{DatagramDriver, DriverConfig};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// A peer whose every datagram longer than `size` goes as a train of such.
fn train_peer(size: i32) -> UdpSocket {
    let peer = peer(V4);
    // SAFETY: the kernel reads four bytes of `size`, which outlives the call.
    let set = unsafe {
        libc::setsockopt(
            peer.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    assert_eq!(set, 0);
    peer
}

/// Whether trains reach a driver as trains here.
fn trains_come(variant: Variant) -> bool {
    let mut driver = variant.open(V4, small());
    train_peer(10).send_to(&[7; 20], driver.local_addr()).unwrap();
    receive_count(&mut *driver, 2);
    let come = driver.counters().received_trains > 0;
    if !come {
        println!("skipped: {variant:?}: this kernel hands over no trains");
    }
    come
}

fn check(got: &[Got], sent: &[u8], size: usize, from: &UdpSocket) {
    let from = from.local_addr().unwrap();
    assert_eq!(got.len(), sent.len().div_ceil(size));
    for (got, expected) in got.iter().zip(sent.chunks(size)) {
        assert_eq!((&got.bytes[..], got.from, got.truncated), (expected, from, false));
    }
}

#[test]
fn a_train_is_divided() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let come = trains_come(variant);
        for gro in [true, false] {
            let mut driver = variant.open(V4, DriverConfig { gro, ..small() });
            let all = [(1, 2), (1, 64), (200, 1_001), (1_024, 64 * 1_024 - 1_024), (30_000, 65_000)];
            for (before, (size, len)) in (0..).zip(all) {
                let peer = train_peer(size);
                let sent = pattern(len as u64, len);
                peer.send_to(&sent, driver.local_addr()).unwrap();
                let size = size as usize;
                let got = receive_count(&mut *driver, len.div_ceil(size));
                check(&got, &sent, size, &peer);
                let counters = driver.counters();
                let expected = if come && gro { before + 1 } else { 0 };
                assert_eq!(counters.received_trains, expected, "{variant:?}: {counters:?}");
            }
            let counters = driver.counters();
            assert_eq!(counters.datagrams, 2 + 64 + 6 + 63 + 3);
            assert_eq!((counters.truncated, counters.undecodable, counters.kernel_drops), (0, 0, 0));
        }
    });
}

#[test]
fn a_train_longer_than_a_slice_comes_in_parts() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = train_peer(100);
        let sent = pattern(1, 100 * 100 - 1);
        if let Err(cause) = peer.send_to(&sent, driver.local_addr()) {
            println!("skipped: this kernel sends no train of 100 datagrams: {cause}");
            return;
        }
        let mut slices = Vec::new();
        let mut joined = Vec::new();
        let start = Instant::now();
        while joined.len() < sent.len() {
            assert!(start.elapsed() < PATIENCE, "{variant:?}: {slices:?}");
            let before = slices.iter().sum::<usize>();
            let count = driver
                .receive_batch(Duration::from_millis(100), &mut |slice| {
                    slices.push(slice.len());
                    slice.iter().for_each(|datagram| joined.extend_from_slice(datagram.bytes));
                })
                .unwrap();
            assert_eq!(count, slices.iter().sum::<usize>() - before);
        }
        assert_eq!(joined, sent);
        assert!(slices.iter().all(|count| *count <= 64), "{variant:?}: {slices:?}");
        if driver.counters().received_trains > 0 {
            assert_eq!(slices, [64, 36], "{variant:?}");
        }
    });
}

#[test]
fn short_buffers_take_no_trains() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        // One byte less than a train may need.
        let mut driver = variant.open(V4, DriverConfig { buffer_bytes: 65_535, ..small() });
        let peer = train_peer(1_000);
        let sent = pattern(1, 60_000);
        peer.send_to(&sent, driver.local_addr()).unwrap();
        check(&receive_count(&mut *driver, 60), &sent, 1_000, &peer);
        let counters = driver.counters();
        assert_eq!((counters.received_trains, counters.truncated), (0, 0), "{variant:?}");
    });
}

/// Trains, single datagrams and empty ones by turns, more than there are buffers.
#[test]
fn trains_and_others_keep_their_order() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = train_peer(50);
        let sent: Vec<Vec<u8>> =
            (0..200).map(|n| pattern(n as u64, [0, 7, 50, 51, 1_234, 3_200][n % 6])).collect();
        for bytes in &sent {
            peer.send_to(bytes, driver.local_addr()).unwrap();
        }
        let expected: Vec<&[u8]> = sent
            .iter()
            .flat_map(|bytes| if bytes.is_empty() { vec![&bytes[..]] } else { bytes.chunks(50).collect() })
            .collect();
        let got = receive_count(&mut *driver, expected.len());
        assert_eq!(got.len(), expected.len());
        for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(got.bytes, *expected, "{variant:?}: {place}");
        }
    });
}

#[test]
fn trains_and_drop_counts_come_side_by_side() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let come = trains_come(variant);
        let config = DriverConfig { socket_receive_bytes: 65_536, ..small() };
        let mut driver = variant.open(V4, config);
        let peer = train_peer(200);
        let mut received = 0;
        for round in 1..=3u64 {
            for n in 0..1_000 {
                peer.send_to(&pattern(n, 2_000), driver.local_addr()).unwrap();
            }
            let unheard = driver.counters().kernel_drops;
            assert!(unheard > 500 * round, "{variant:?}: {unheard}");
            loop {
                // Each train of ten comes whole or not at all.
                let count = driver.receive(Duration::from_millis(50), &mut |datagram| {
                    assert_eq!((datagram.bytes.len(), datagram.truncated), (200, false));
                });
                match count.unwrap() {
                    0 => break,
                    count => received += count as u64,
                }
            }
            let counters = driver.counters();
            assert_eq!(counters.datagrams, received);
            assert_eq!(counters.undecodable, 0);
            if come {
                assert_eq!(counters.received_trains * 10, received, "{variant:?}: {counters:?}");
                // A train that is thrown away is one drop, or on other kernels as many as its datagrams.
                let lost = 1_000 * round - counters.received_trains;
                assert!([lost, 10 * lost].contains(&counters.kernel_drops), "{variant:?}: {counters:?}");
            }
        }
    });
}

#[test]
fn one_wait_is_bounded_under_a_flood_of_trains() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let config = DriverConfig { socket_receive_bytes: 32 << 20, ..small() };
        let mut driver = variant.open(V4, config);
        let peer = train_peer(20);
        for n in 0..300 {
            peer.send_to(&pattern(n, 20 * 64), driver.local_addr()).unwrap();
        }
        let to_come = 300 * 64;
        let mut came = 0;
        let start = Instant::now();
        while came < to_come {
            assert!(start.elapsed() < PATIENCE, "{variant:?}: {came}; {:?}", driver.counters());
            let count = receive_slices(&mut *driver);
            // Fewer buffers than the pool holds and one wait asks for, of 64 datagrams each.
            assert!(count < 24 * 64, "{variant:?}: {count}");
            came += count;
        }
        assert_eq!((came, driver.counters().kernel_drops), (to_come, 0), "{variant:?}");
    });
}

fn receive_slices(driver: &mut dyn DatagramDriver) -> usize {
    let mut came = 0;
    let count = driver
        .receive_batch(Duration::from_millis(100), &mut |slice| {
            assert!((1..=64).contains(&slice.len()));
            came += slice.len();
        })
        .unwrap();
    assert_eq!(count, came);
    count
}

#[test]
fn trains_of_two_senders_keep_their_names() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peers = [train_peer(10), train_peer(20)];
        let names: Vec<SocketAddr> = peers.iter().map(|peer| peer.local_addr().unwrap()).collect();
        for _ in 0..5 {
            for peer in &peers {
                peer.send_to(&[7; 200], driver.local_addr()).unwrap();
            }
        }
        let got = receive_count(&mut *driver, 5 * 30);
        for (place, got) in got.iter().enumerate() {
            let sender = usize::from(place % 30 >= 20);
            assert_eq!((got.bytes.len(), got.from), (10 * (sender + 1), names[sender]), "{variant:?}");
        }
    });
}
