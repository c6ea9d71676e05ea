//! Time limits, latency, and signals.

use crate::common::{PATIENCE, V4, peer, receive_count, receive_into, small, with_each_driver};
use centauri_uring::DriverConfig;
use std::os::unix::thread::JoinHandleExt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_time_limit_is_kept_when_nothing_comes() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, small());
        for millis in [0, 1, 20, 100, 20] {
            let limit = Duration::from_millis(millis);
            let start = Instant::now();
            assert_eq!(receive_into(&mut *driver, limit, &mut Vec::new()), 0);
            let waited = start.elapsed();
            assert!(waited >= limit, "{variant:?}: {waited:?} of {limit:?}");
            assert!(waited < limit + Duration::from_millis(200), "{variant:?}: {waited:?} for {limit:?}");
        }
    });
}

#[test]
fn a_lone_datagram_comes_at_once() {
    with_each_driver(|variant| {
        let mut driver = variant.open(V4, DriverConfig::default());
        let to = driver.local_addr();
        let (sent, sent_at) = mpsc::channel();
        // The next is sent only after the last has come, so that each is alone.
        let (ready, go) = mpsc::channel();
        let sender = thread::spawn(move || {
            let peer = peer(V4);
            while go.recv().is_ok() {
                thread::sleep(Duration::from_millis(10));
                sent.send(Instant::now()).unwrap();
                peer.send_to(b"one", to).unwrap();
            }
        });
        let mut delays = Vec::new();
        for _ in 0..11 {
            ready.send(()).unwrap();
            // A limit that would show if the wait insisted on its 32 completions.
            let count = receive_into(&mut *driver, PATIENCE, &mut Vec::new());
            assert_eq!(count, 1, "{variant:?}");
            delays.push(sent_at.recv().unwrap().elapsed());
        }
        drop(ready);
        sender.join().unwrap();
        // The median: on a busy machine one wake-up may come late whatever the driver does.
        delays.sort();
        assert!(delays[5] < Duration::from_millis(50), "{variant:?}: {delays:?}");
    });
}

#[test]
fn a_backlog_waits_no_longer_than_the_linger() {
    with_each_driver(|variant| {
        let config = DriverConfig { linger: Duration::from_millis(10), ..small() };
        let mut driver = variant.open(V4, config);
        let peer = peer(V4);
        for _ in 0..20 {
            for _ in 0..8 {
                peer.send_to(&[7; 200], driver.local_addr()).unwrap();
            }
            let start = Instant::now();
            let mut got = Vec::new();
            receive_into(&mut *driver, PATIENCE, &mut got);
            assert!(start.elapsed() < Duration::from_millis(200), "{variant:?}");
            if got.len() < 8 {
                receive_count(&mut *driver, 8 - got.len());
            }
        }
    });
}

extern "C" fn ignore(_: libc::c_int) {}

#[test]
fn a_signal_ends_a_wait() {
    for flags in [0, libc::SA_RESTART] {
        // SAFETY: all zeroes is a valid sigaction: default handler, empty mask, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = flags;
        // SAFETY: the handler does nothing, so it is safe at any time; no one else uses SIGUSR1.
        let set = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        with_each_driver(|variant| {
            let mut driver = variant.open(V4, small());
            let (done, outcome) = mpsc::channel();
            let receiver = thread::spawn(move || {
                let start = Instant::now();
                let count = driver.receive(PATIENCE, &mut |_| ()).unwrap();
                done.send((count, start.elapsed())).unwrap();
                assert_eq!(driver.counters().interrupted, 1, "{variant:?}");
            });
            thread::sleep(Duration::from_millis(50));
            // SAFETY: the thread is joined below, so its handle is still valid.
            unsafe { libc::pthread_kill(receiver.as_pthread_t(), libc::SIGUSR1) };
            let (count, waited) = outcome.recv_timeout(PATIENCE * 2).unwrap();
            assert_eq!(count, 0, "{variant:?}");
            assert!(waited < PATIENCE / 2, "{variant:?}: {waited:?}");
            receiver.join().unwrap();
        });
    }
}
