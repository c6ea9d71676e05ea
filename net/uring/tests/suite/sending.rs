//! Many datagrams in one call: the same arrive as one by one, and are counted the same.

use crate::common::{PATIENCE, V4, Variant, pattern, peer, receive_count, small, with_each_driver};
use centauri_uring::{DatagramDriver, DriverConfig, Outgoing};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Whether this kernel sends trains.
pub(crate) fn trains_work() -> bool {
    let zero = 0i32;
    let size = size_of::<i32>() as libc::socklen_t;
    let socket = peer(V4);
    // SAFETY: the kernel reads four bytes of `zero`, which outlives the call.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const zero).cast(), size)
    };
    if set != 0 {
        println!("skipped: trains: this kernel lacks UDP_SEGMENT");
    }
    set == 0
}

fn without_trains() -> DriverConfig {
    DriverConfig { gro: false, ..small() }
}

fn all_to<'a>(payloads: &'a [Vec<u8>], to: SocketAddr) -> Vec<Outgoing<'a>> {
    payloads.iter().map(|bytes| Outgoing { bytes, to }).collect()
}

fn payloads(lens: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    lens.into_iter().enumerate().map(|(seed, len)| pattern(seed as u64, len)).collect()
}

/// Takes one datagram from each of `peers`.
fn take(peer: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let len = peer.recv(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// A driver that sends to another, which takes trains or does not.
fn arrive_in_order(variant: Variant, addr: &str, lens: &[usize], gro: bool) -> Box<dyn DatagramDriver> {
    let mut left = variant.open(addr, small());
    let mut right = variant.open(addr, DriverConfig { gro, ..small() });
    let payloads = payloads(lens.iter().copied());
    left.send_batch(&all_to(&payloads, right.local_addr())).unwrap();
    let counters = left.counters();
    assert_eq!((counters.sent, counters.send_errors), (lens.len() as u64, 0), "{variant:?}");
    assert_eq!(counters.sent_bytes, lens.iter().sum::<usize>() as u64);
    let got = receive_count(&mut *right, lens.len());
    for (place, (got, expected)) in got.iter().zip(&payloads).enumerate() {
        assert_eq!(&got.bytes, expected, "{variant:?}: {place}");
        assert_eq!((got.from, got.truncated), (left.local_addr(), false));
    }
    let received = right.counters();
    assert_eq!((received.datagrams, received.bytes), (counters.sent, counters.sent_bytes));
    assert_eq!((received.undecodable, received.truncated, received.kernel_drops), (0, 0, 0));
    left
}

/// Runs, singles, empty ones inside and at the ends of runs, one that fills a train alone.
fn mixed() -> Vec<usize> {
    let mut lens = vec![0, 200, 200, 200, 0, 0, 200, 200, 150, 150, 1, 1, 1, 2, 3, 0];
    lens.extend([65_507, 30_000, 30_000, 30_000, 7, 1_200]);
    lens.extend([1_200; 130]);
    lens
}

#[test]
fn a_batch_arrives_as_it_would_one_by_one() {
    let works = trains_work();
    with_each_driver(|variant| {
        for gro in [false, true] {
            let left = arrive_in_order(variant, V4, &mixed(), gro);
            // Four of few bytes, two that 65,507 bytes end, and 1,200 bytes go 54 to a train.
            let trains = if works { 4 + 2 + 3 } else { 0 };
            assert_eq!(left.counters().sent_trains, trains, "{variant:?}");
        }
    });
}

#[test]
fn a_batch_arrives_over_v6_too() {
    if let Err(cause) = UdpSocket::bind("[::1]:0") {
        println!("skipped: no IPv6 loopback: {cause}");
        return;
    }
    with_each_driver(|variant| {
        for gro in [false, true] {
            arrive_in_order(variant, "[::1]:0", &mixed(), gro);
        }
    });
}

#[test]
fn a_dual_stack_socket_sends_trains_to_ipv4() {
    if let Err(cause) = UdpSocket::bind("[::]:0") {
        println!("skipped: no IPv6: {cause}");
        return;
    }
    let works = trains_work();
    with_each_driver(|variant| {
        let mut driver = variant.open("[::]:0", small());
        let peer = peer(V4);
        let payloads = payloads([100; 20]);
        driver.send_batch(&all_to(&payloads, peer.local_addr().unwrap())).unwrap();
        for expected in &payloads {
            assert_eq!(&take(&peer), expected, "{variant:?}");
        }
        assert_eq!(driver.counters().sent_trains, u64::from(works));
    });
}

#[test]
fn subscribers_all_get_the_same_frame() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        // More than one call takes.
        let peers: Vec<UdpSocket> = (0..150).map(|_| peer(V4)).collect();
        for len in [0, 1, 264, 1_472, 9_000] {
            let frame = pattern(len as u64, len);
            let batch: Vec<Outgoing<'_>> =
                peers.iter().map(|peer| Outgoing { bytes: &frame, to: peer.local_addr().unwrap() }).collect();
            driver.send_batch(&batch).unwrap();
            for peer in &peers {
                assert_eq!(take(peer), frame, "{variant:?}");
            }
        }
        let counters = driver.counters();
        assert_eq!((counters.sent, counters.sent_trains), (750, 0), "{variant:?}");
        assert_eq!(counters.sent_bytes, 150 * (1 + 264 + 1_472 + 9_000));
    });
}

#[test]
fn trains_to_many_destinations_keep_apart() {
    let works = trains_work();
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peers: Vec<UdpSocket> = (0..10).map(|_| peer(V4)).collect();
        let payloads = payloads((0..100).map(|n| 100 + n / 10));
        let batch: Vec<Outgoing<'_>> = payloads
            .chunks(10)
            .zip(&peers)
            .flat_map(|(ten, peer)| all_to(ten, peer.local_addr().unwrap()))
            .collect();
        driver.send_batch(&batch).unwrap();
        for (ten, peer) in payloads.chunks(10).zip(&peers) {
            for expected in ten {
                assert_eq!(&take(peer), expected, "{variant:?}");
            }
        }
        assert_eq!(driver.counters().sent_trains, if works { 10 } else { 0 });
    });
}

#[test]
fn a_long_batch_takes_several_calls() {
    with_each_driver(|variant| {
        // 3,000 in trains, and then so many alone: more of either than one call takes.
        let lens: Vec<usize> = (0..3_000).map(|_| 40).chain((0..500).map(|n| 50 + n % 2 * (n % 7))).collect();
        arrive_in_order(variant, V4, &lens, true);
    });
}

#[test]
fn what_fails_in_a_batch_keeps_nothing_else_back() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let mut right = variant.open(V4, without_trains());
        let to = right.local_addr();
        let elsewhere: SocketAddr = "[::1]:9".parse().unwrap();
        let no_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let long = vec![0; 65_508];
        let payloads = payloads([10; 9]);
        let good = |n: usize| Outgoing { bytes: &payloads[n], to };
        let batch = [
            Outgoing { bytes: b"no way there", to: elsewhere },
            good(0),
            Outgoing { bytes: &long, to },
            good(1),
            good(2),
            // A train that fails, whose datagrams fail too; it says nothing of other trains.
            Outgoing { bytes: &payloads[0], to: no_port },
            Outgoing { bytes: &payloads[1], to: no_port },
            Outgoing { bytes: b"no way there", to: elsewhere },
            Outgoing { bytes: b"no way there", to: elsewhere },
            good(3),
            good(4),
            Outgoing { bytes: &long, to },
        ];
        let error = driver.send_batch(&batch).unwrap_err();
        assert!(error.to_string().contains("[::1]:9"), "the first: {error}");
        let counters = driver.counters();
        assert_eq!((counters.sent, counters.send_errors), (5, 7), "{variant:?}: {counters:?}");
        assert_eq!(counters.sent_bytes, 50);
        let got = receive_count(&mut *right, 5);
        for (got, expected) in got.iter().zip(&payloads) {
            assert_eq!(&got.bytes, expected);
        }
        if trains_work() {
            assert_eq!(counters.sent_trains, 2, "{variant:?}");
            let batch: Vec<Outgoing<'_>> = (0..9).map(good).collect();
            driver.send_batch(&batch).unwrap();
            assert_eq!(driver.counters().sent_trains, 3, "{variant:?}: trains are still sent");
        }
    });
}

#[test]
fn an_empty_batch_is_nothing() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let before = driver.counters();
        driver.send_batch(&[]).unwrap();
        assert_eq!(driver.counters(), before);
    });
}

/// A socket that must not set checksums aside refuses trains, and trains only.
#[test]
fn refused_trains_go_one_by_one() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let mut right = variant.open(V4, small());
        let one = 1i32;
        // The driver does not show its descriptor: find it by its address.
        let fd = descriptor_of(driver.local_addr());
        // SAFETY: the kernel reads four bytes of `one`, which outlives the call.
        let set = unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_NO_CHECK,
                (&raw const one).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
        // Several trains in one call, of which only the first is tried.
        let payloads = payloads((0..300).map(|n| 1_000 + n / 40));
        driver.send_batch(&all_to(&payloads, right.local_addr())).unwrap();
        let got = receive_count(&mut *right, payloads.len());
        for (got, expected) in got.iter().zip(&payloads) {
            assert_eq!(&got.bytes, expected, "{variant:?}");
        }
        let counters = driver.counters();
        assert_eq!((counters.sent, counters.send_errors), (300, 0), "{variant:?}: {counters:?}");
        assert_eq!(counters.sent_trains, 0);
    });
}

/// The descriptor in this process that is bound to `addr`.
fn descriptor_of(addr: SocketAddr) -> i32 {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .find(|&fd| {
            // SAFETY: all zeroes is a valid sockaddr_in.
            let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            // SAFETY: the kernel writes at most `len` bytes to `name`; a number that is no socket is refused.
            let named = unsafe { libc::getsockname(fd, (&raw mut name).cast(), &raw mut len) };
            named == 0
                && libc::c_int::from(name.sin_family) == libc::AF_INET
                && u16::from_be(name.sin_port) == addr.port()
        })
        .unwrap()
}
