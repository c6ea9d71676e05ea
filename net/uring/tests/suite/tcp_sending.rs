//! Sending on TCP connections, over real sockets, on each driver.

use crate::common::{PATIENCE, pattern};
use crate::tcp::{Seen, few, opened, until, with_each};
use centauri_uring::{ConnectionId, End, TcpConfig, TcpDriver, adopt_tcp};
use std::io::Read as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

fn connect(driver: &mut dyn TcpDriver, seen: &mut Seen) -> (TcpStream, ConnectionId) {
    let stream = TcpStream::connect(driver.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let from: SocketAddr = stream.local_addr().unwrap();
    until(driver, seen, |seen| seen.opened.values().any(|peer| *peer == from));
    let id = seen.of(from);
    (stream, id)
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_queued_arrives_in_order_and_whole_whoever_reads_slowly() {
    with_each(|choice| {
        let mut driver = opened(choice, TcpConfig { send_bytes_max: 1 << 20, ..few() });
        let mut seen = Seen::default();
        let (slow, to_slow) = connect(&mut *driver, &mut seen);
        let (mut quick, to_quick) = connect(&mut *driver, &mut seen);
        // Far more than the kernel and the driver hold for one that reads nothing.
        let (mut taken, mut refused) = (Vec::new(), 0);
        for seed in 0..400_u64 {
            let bytes = pattern(seed, 50_000);
            let (head, rest) = bytes.split_at(4);
            if driver.queue(to_slow, &[head, rest]) {
                taken.extend_from_slice(&bytes);
            } else {
                refused += 1;
            }
            assert!(driver.queue(to_quick, &[b"quick"]));
            driver.flush().unwrap();
            driver.receive(&mut seen).unwrap();
            assert_eq!(read(&mut quick, 5), b"quick");
        }
        assert!(refused > 0 && taken.len() < 400 * 50_000, "{choice}");
        assert_eq!(driver.counters().unsent, refused);
        let total = taken.len();
        let reader = std::thread::spawn(move || read(&mut { slow }, total));
        // The rest goes out as room comes about, without another flush.
        let sent = (total + 400 * 5) as u64;
        let start = Instant::now();
        while driver.counters().bytes_sent < sent {
            assert!(start.elapsed() < PATIENCE, "{choice}: {:?}", driver.counters());
            driver.receive(&mut seen).unwrap();
        }
        assert!(reader.join().unwrap() == taken, "{choice}");
        // It has room again.
        assert!(driver.queue(to_slow, &[b"more"]));
        driver.flush().unwrap();
        assert_eq!(driver.counters().bytes_sent, sent + 4);
    });
}

/// Queues until there is no more room.
fn stuff(driver: &mut dyn TcpDriver, to: ConnectionId) {
    while driver.queue(to, &[&[9; 60_000]]) {
        driver.flush().unwrap();
    }
}

#[test]
fn connections_that_do_not_read_end_like_others() {
    with_each(|choice| {
        let mut driver = opened(choice, few());
        let mut seen = Seen::default();
        // One that is closed from here, one that ends its side, one that goes away: all with much that waits.
        let (mut closed, id) = connect(&mut *driver, &mut seen);
        stuff(&mut *driver, id);
        driver.close(id);
        assert!(!driver.queue(id, &[b"x"]));
        let mut rest = Vec::new();
        let _ = closed.read_to_end(&mut rest);
        assert!(rest.iter().all(|byte| *byte == 9));

        let (mut half, id) = connect(&mut *driver, &mut seen);
        stuff(&mut *driver, id);
        half.shutdown(Shutdown::Write).unwrap();
        until(&mut *driver, &mut seen, |seen| seen.ended.contains_key(&id));
        assert_eq!(seen.ended[&id], End::Finished);
        // Nothing holds the socket: its peer comes to the end.
        let _ = half.read_to_end(&mut rest);

        let (gone, id) = connect(&mut *driver, &mut seen);
        stuff(&mut *driver, id);
        drop(gone);
        until(&mut *driver, &mut seen, |seen| seen.ended.contains_key(&id));
        assert!(!driver.queue(id, &[b"x"]));
        assert_eq!(driver.connections(), 0);
        // Names are not mixed up: a new connection in the same place gets nothing of the old.
        let (mut next, id) = connect(&mut *driver, &mut seen);
        assert!(driver.queue(id, &[b"new"]));
        driver.flush().unwrap();
        assert_eq!(read(&mut next, 3), b"new");
    });
}

#[test]
fn a_connection_made_elsewhere_is_received_from_and_sent_on() {
    with_each(|choice| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut driver =
            adopt_tcp(&TcpConfig { choice, connections_max: 1, ..TcpConfig::default() }).unwrap();
        assert_eq!(driver.local_addr(), None);
        let stream = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut seen = Seen::default();
        driver.receive(&mut seen).unwrap();
        let id = driver.adopt(stream()).unwrap();
        seen.opened.insert(id, listener.local_addr().unwrap());
        assert!(driver.adopt(stream()).is_none());
        let (mut peer, _) = listener.accept().unwrap();
        assert!(driver.queue(id, &[b"question"]));
        driver.flush().unwrap();
        assert_eq!(read(&mut peer, 8), b"question");
        std::io::Write::write_all(&mut peer, b"answer").unwrap();
        until(&mut *driver, &mut seen, |seen| seen.chunks > 0);
        assert_eq!(seen.bytes[&id], b"answer");
        drop(peer);
        until(&mut *driver, &mut seen, |seen| seen.ended.contains_key(&id));
        let counters = driver.counters();
        assert_eq!((counters.accepted, counters.refused, counters.finished), (2, 1, 1), "{choice}");
        assert!(driver.adopt(stream()).is_some());
    });
    let error = adopt_tcp(&TcpConfig { send_bytes_max: 1, ..few() }).unwrap_err().to_string();
    assert!(error.contains("send_bytes_max is 1"), "{error}");
}
