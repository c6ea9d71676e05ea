//! Several drivers on one address, each with the datagrams of its own senders.

use crate::common::{Got, PATIENCE, V4, Variant, peer, receive_into, small, with_each_driver};
use crate::sending::trains_work;
use centauri_uring::{
    DatagramDriver, DriverChoice, DriverConfig, OpenError, Outgoing, RingFeatures, Steering, open,
    open_group, open_group_with_probe, shard_of,
};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const STEERING: Steering = Steering { offset: 16 };

/// A frame that claims a sender, as Centauri's frames do.
fn frame(sender: u32, number: u32) -> Vec<u8> {
    let mut frame = vec![0x55; 16];
    frame.extend(sender.to_le_bytes());
    frame.extend(number.to_le_bytes());
    frame
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn group(variant: Variant, addr: &str, count: usize) -> Vec<Box<dyn DatagramDriver>> {
    try_group(variant, addr.parse().unwrap(), count).unwrap()
}

fn try_group(
    variant: Variant,
    addr: SocketAddr,
    count: usize,
) -> Result<Vec<Box<dyn DatagramDriver>>, OpenError> {
    let choice = match variant {
        Variant::Epoll => DriverChoice::Epoll,
        Variant::Ring | Variant::RingInTwoSteps => DriverChoice::IoUring,
    };
    let config = DriverConfig { choice, ..small() };
    let group = match variant {
        Variant::RingInTwoSteps => {
            open_group_with_probe(addr, &config, STEERING, count, &|| Ok(RingFeatures::default()))
        }
        Variant::Ring | Variant::Epoll => open_group(addr, &config, STEERING, count),
    }?;
    assert!(group.iter().all(|driver| driver.kind() == variant.kind()));
    assert!(group.windows(2).all(|pair| pair[0].local_addr() == pair[1].local_addr()));
    Ok(group)
}

/// What each driver gets, until `count` datagrams have come in all.
fn receive_all(group: &mut [Box<dyn DatagramDriver>], count: usize) -> Vec<Vec<Got>> {
    let mut got: Vec<Vec<Got>> = group.iter().map(|_| Vec::new()).collect();
    let start = Instant::now();
    while got.iter().map(Vec::len).sum::<usize>() < count {
        assert!(start.elapsed() < PATIENCE, "{:?}", got.iter().map(Vec::len).collect::<Vec<_>>());
        for (driver, got) in group.iter_mut().zip(&mut got) {
            receive_into(&mut **driver, Duration::from_millis(1), got);
        }
    }
    got
}

/// Each of 200 senders from each of five addresses: 1,000 datagrams, and the socket that each lands on is the one computed.
fn many_senders(variant: Variant, bound_to: &str, peers_at: &str, count: usize) {
    let mut group = group(variant, bound_to, count);
    let mut to: SocketAddr = peers_at.parse().unwrap();
    to.set_port(group[0].local_addr().port());
    let peers: Vec<UdpSocket> = (0..5).map(|_| peer(peers_at)).collect();
    for number in 0..5 {
        for sender in 0..200u32 {
            // Numbers small and large.
            let sender = sender.wrapping_mul(if sender % 2 == 0 { 1 } else { 0x0101_0107 });
            let peer = &peers[(number + sender) as usize % peers.len()];
            peer.send_to(&frame(sender, number), to).unwrap();
        }
    }
    let got = receive_all(&mut group, 1_000);
    for (index, got) in got.iter().enumerate() {
        assert!(got.len() > 1_000 / count / 2, "{variant:?}: driver {index} of {count} got {}", got.len());
        for got in got {
            let sender = word(&got.bytes, 16);
            assert_eq!(shard_of(sender, count), index, "{variant:?}: sender {sender}");
            assert_eq!(STEERING.shard(&got.bytes, count), index);
        }
    }
    assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 1_000);
    let drops: u64 = group.iter().map(|driver| driver.counters().kernel_drops).sum();
    assert_eq!(drops, 0);
}

#[test]
fn each_sender_comes_to_the_computed_driver() {
    with_each_driver(|variant| {
        for count in [1, 2, 3, 7, 8] {
            many_senders(variant, V4, V4, count);
        }
    });
}

#[test]
fn each_sender_comes_to_the_computed_driver_over_v6() {
    if let Err(cause) = UdpSocket::bind("[::]:0").and_then(|_| UdpSocket::bind("[::1]:0")) {
        println!("skipped: no IPv6: {cause}");
        return;
    }
    with_each_driver(|variant| {
        many_senders(variant, "[::1]:0", "[::1]:0", 4);
        many_senders(variant, "[::]:0", "[::1]:0", 4);
        many_senders(variant, "[::]:0", V4, 4);
        many_senders(variant, "0.0.0.0:0", V4, 4);
    });
}

#[test]
fn what_is_too_short_to_claim_a_sender_comes_to_the_first() {
    with_each_driver(|variant| {
        let mut group = group(variant, V4, 4);
        let peer = peer(V4);
        // A sender that belongs elsewhere.
        let sender = (0..).find(|sender| shard_of(*sender, 4) == 3).unwrap();
        for len in 0..=24 {
            peer.send_to(&frame(sender, 0)[..len], group[0].local_addr()).unwrap();
        }
        let got = receive_all(&mut group, 25);
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [20, 0, 0, 5], "{variant:?}");
    });
}

#[test]
fn drivers_of_a_group_run_on_threads_of_their_own() {
    with_each_driver(|variant| {
        let group = group(variant, V4, 3);
        let to = group[0].local_addr();
        let stop = AtomicBool::new(false);
        let numbers: Vec<Vec<Vec<u32>>> = thread::scope(|scope| {
            let receivers: Vec<_> = group
                .into_iter()
                .enumerate()
                .map(|(index, mut driver)| {
                    let stop = &stop;
                    scope.spawn(move || {
                        let mut seen = vec![Vec::new(); 30];
                        while !stop.load(Ordering::Relaxed) {
                            driver
                                .receive(Duration::from_millis(10), &mut |datagram| {
                                    let sender = word(datagram.bytes, 16);
                                    assert_eq!(shard_of(sender, 3), index);
                                    seen[sender as usize].push(word(datagram.bytes, 20));
                                })
                                .unwrap();
                        }
                        seen
                    })
                })
                .collect();
            let peer = peer(V4);
            for number in 0..100 {
                for sender in 0..30 {
                    peer.send_to(&frame(sender, number), to).unwrap();
                }
            }
            thread::sleep(Duration::from_millis(100));
            stop.store(true, Ordering::Relaxed);
            receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect()
        });
        for sender in 0..30 {
            let all: Vec<u32> = numbers.iter().flat_map(|seen| seen[sender].clone()).collect();
            assert_eq!(all, (0..100).collect::<Vec<_>>(), "{variant:?}: sender {sender}");
        }
    });
}

/// A flood is under way while groups are opened: no driver ever gets what is another's.
#[test]
fn a_group_opened_into_a_flood_steers_from_the_first_datagram() {
    with_each_driver(|variant| {
        let to = peer(V4).local_addr().unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let peers: Vec<UdpSocket> = (0..8).map(|_| peer(V4)).collect();
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let _ = peers[n % peers.len()].send_to(&frame(n as u32, 0), to);
                }
            });
            let outcome = std::panic::catch_unwind(|| {
                for _ in 0..20 {
                    let mut group = group(variant, &to.to_string(), 4);
                    let got = receive_all(&mut group, 500);
                    for (index, got) in got.iter().enumerate() {
                        for got in got {
                            assert_eq!(STEERING.shard(&got.bytes, 4), index, "{variant:?}");
                        }
                    }
                }
            });
            stop.store(true, Ordering::Relaxed);
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        });
    });
}

#[test]
fn an_address_in_use_is_named() {
    with_each_driver(|variant| {
        let in_use = |addr: SocketAddr| format!("{addr}: address already in use");
        let holder = peer(V4);
        let addr = holder.local_addr().unwrap();
        let error = try_group(variant, addr, 2).unwrap_err();
        assert!(matches!(error, OpenError::Bind { .. }));
        assert_eq!(error.to_string(), in_use(addr));
        // A group keeps everybody else of this kind out.
        let group = group(variant, V4, 2);
        let addr = group[0].local_addr();
        assert_eq!(try_group(variant, addr, 2).unwrap_err().to_string(), in_use(addr));
        assert_eq!(try_group(variant, addr, 1).unwrap_err().to_string(), in_use(addr));
        assert_eq!(open(addr, &small()).unwrap_err().to_string(), in_use(addr));
        drop(group);
        let start = Instant::now();
        while let Err(cause) = try_group(variant, addr, 2) {
            assert!(start.elapsed() < PATIENCE, "{variant:?}: {cause}");
        }
    });
}

#[test]
fn impossible_groups_are_refused() {
    for count in [0, 257, usize::MAX] {
        let error = open_group(V4.parse().unwrap(), &small(), STEERING, count).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("127.0.0.1:0: the number of sockets is {count}: expected 1 to 256")
        );
    }
    let config = DriverConfig { buffers: 3, ..small() };
    assert!(matches!(open_group(V4.parse().unwrap(), &config, STEERING, 2), Err(OpenError::Config { .. })));
    // A field that no datagram has: all go to the first.
    let config = small();
    let mut group = open_group(V4.parse().unwrap(), &config, Steering { offset: u16::MAX }, 2).unwrap();
    peer(V4).send_to(&[1; 60_000], group[0].local_addr()).unwrap();
    assert_eq!(receive_all(&mut group, 1)[0].len(), 1);
}

/// Why a driver compares where it matters: see `open_group`.
#[test]
fn a_train_of_several_senders_is_steered_whole() {
    if !trains_work() {
        return;
    }
    with_each_driver(|variant| {
        let mut group = group(variant, V4, 4);
        let frames: Vec<Vec<u8>> = (0..40).map(|sender| frame(sender, 0)).collect();
        let to = group[0].local_addr();
        let batch: Vec<Outgoing<'_>> = frames.iter().map(|bytes| Outgoing { bytes, to }).collect();
        let mut sender = variant.open(V4, small());
        sender.send_batch(&batch).unwrap();
        assert_eq!(sender.counters().sent_trains, 1);
        let got = receive_all(&mut group, 40);
        // Its first datagram's driver; and divided by the kernel, since a group takes no trains.
        assert_eq!(got[STEERING.shard(&frames[0], 4)].len(), 40, "{variant:?}");
        assert!(group.iter().all(|driver| driver.counters().received_trains == 0));
    });
}
