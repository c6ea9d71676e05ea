//! Threads, panics, and what is left when a driver is gone.

use crate::common::{PATIENCE, V4, pattern, peer, receive_count, receive_into, small, with_each_driver};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_driver_opened_here_receives_there() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        peer.send_to(b"before the move", driver.local_addr()).unwrap();
        let to = driver.local_addr();
        let receiver = thread::spawn(move || receive_count(&mut *driver, 2));
        peer.send_to(b"after the move", to).unwrap();
        let got = receiver.join().unwrap();
        assert_eq!(got[0].bytes, b"before the move");
        assert_eq!(got[1].bytes, b"after the move");
    });
}

#[test]
fn moving_between_threads_while_datagrams_come_loses_none() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        let to = driver.local_addr();
        for round in 0..20u64 {
            for n in 0..10 {
                peer.send_to(&pattern(round * 10 + n, 100), to).unwrap();
            }
            // A new thread each round; the one before has ended, or (odd rounds) still lives here.
            let take = move || {
                let got = receive_count(&mut *driver, 10);
                (driver, got)
            };
            let (back, got) = if round % 2 == 0 { thread::spawn(take).join().unwrap() } else { take() };
            driver = back;
            for (n, got) in (0..).zip(&got) {
                assert_eq!(got.bytes, pattern(round * 10 + n, 100), "{variant:?}");
            }
        }
        assert_eq!(driver.counters().datagrams, 200);
        assert_eq!(driver.counters().kernel_drops, 0);
    });
}

#[test]
fn a_panicking_sink_loses_no_buffer() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let peer = peer(V4);
        // More panics than there are buffers.
        for n in 0..40u64 {
            peer.send_to(&pattern(n, 100), driver.local_addr()).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let start = Instant::now();
                while start.elapsed() < PATIENCE {
                    let _ = driver.receive(Duration::from_millis(100), &mut |_| {
                        std::panic::resume_unwind(Box::new("the sink's"));
                    });
                }
            }));
            assert!(outcome.is_err(), "{variant:?}: nothing came");
        }
        peer.send_to(b"sound", driver.local_addr()).unwrap();
        assert_eq!(receive_count(&mut *driver, 1)[0].bytes, b"sound");
    });
}

#[test]
fn the_port_is_free_when_the_driver_is_gone() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        let addr = driver.local_addr().to_string();
        for _ in 0..20 {
            receive_into(&mut *driver, Duration::from_millis(1), &mut Vec::new());
            drop(driver);
            driver = variant.open(&addr, small());
        }
        // Dropped on another thread, the kernel lets go a moment later.
        receive_into(&mut *driver, Duration::from_millis(1), &mut Vec::new());
        thread::spawn(move || drop(driver)).join().unwrap();
        let start = Instant::now();
        while let Err(cause) = std::net::UdpSocket::bind(&addr) {
            assert!(start.elapsed() < PATIENCE, "{variant:?}: {cause}");
            thread::sleep(Duration::from_millis(1));
        }
        println!("{variant:?}: free {:?} after a drop elsewhere", start.elapsed());
    });
}

/// A figure of this process from `/proc/self/status`, in KiB.
fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn drivers_dropped_while_receiving_leave_nothing_behind() {
    with_each_driver(|variant| {
        // 300 pools of 16 MiB would be 4.7 GiB; the other tests' threads come nowhere near.
        let config = centauri_uring::DriverConfig { buffers: 256, ..centauri_uring::DriverConfig::default() };
        let memory = status_kib("VmSize");
        let peer = peer(V4);
        for round in 0..300u64 {
            let mut driver = variant.open(V4, config);
            let to = driver.local_addr();
            peer.send_to(&pattern(round, 100), to).unwrap();
            assert_eq!(receive_count(&mut *driver, 1)[0].bytes, pattern(round, 100));
            // Left waiting in the socket when the driver goes.
            peer.send_to(b"unread", to).unwrap();
            if round % 10 == 0 {
                thread::spawn(move || drop(driver)).join().unwrap();
            }
        }
        let grown = status_kib("VmSize").saturating_sub(memory);
        assert!(grown < 3 << 20, "{variant:?}: {grown} KiB more than before");
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(open < 250, "{variant:?}: {open} descriptors open");
    });
}
