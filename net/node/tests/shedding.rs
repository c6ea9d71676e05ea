//! More datagrams than can be read in time: the oldest go, and every one is accounted for.

use centauri::node::Node;
use centauri_roles::{Effects, Role};
use centauri_uring::{DriverChoice, DriverConfig, open, probe_io_uring};
use std::net::{SocketAddr, UdpSocket};

#[derive(Debug, Default)]
struct Noting {
    seen: Vec<u32>,
}

impl Role for Noting {
    fn handle(&mut self, _now_ns: i64, _from: SocketAddr, bytes: &[u8], _effects: &mut Effects) -> bool {
        self.seen.push(u32::from_le_bytes(bytes.first_chunk().copied().expect("four bytes")));
        true
    }

    fn tick(&mut self, _now_ns: i64, _effects: &mut Effects) {}

    fn next_deadline(&self) -> Option<i64> {
        None
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

fn sheds(choice: DriverChoice) {
    let config = DriverConfig {
        choice,
        buffers: 16,
        wait_completions: 8,
        gro: false,
        socket_receive_bytes: 128 << 10,
        ..DriverConfig::default()
    };
    let driver = open("127.0.0.1:0".parse().expect("an address"), &config).expect("a driver");
    let to = driver.local_addr();
    let full = |driver: &dyn centauri_uring::DatagramDriver| {
        driver.backlog().map(|backlog| backlog.bytes as f64 / backlog.limit as f64)
    };
    let Some(empty) = full(&*driver) else {
        println!("skipped: this kernel does not say how full a socket's buffer is");
        return;
    };
    assert!(empty < 0.01);
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut sent = 0_u32;
    let send = |sent: &mut u32| {
        let mut bytes = [0; 300];
        bytes[..4].copy_from_slice(&sent.to_le_bytes());
        sender.send_to(&bytes, to).expect("loopback takes a datagram");
        *sent += 1;
    };
    // A ring takes some on its own, once it receives. Up to seven tenths: nothing is thrown away.
    while full(&*driver) < Some(0.7) {
        send(&mut sent);
    }
    let mut node = Node::new(Noting::default(), driver);
    while (node.role().seen.len() as u32) < sent {
        node.step(|_| {}).expect("a step");
    }
    assert_eq!((node.shed(), node.driver_counters().kernel_drops), (0, 0), "{choice}");
    assert_eq!(node.role().seen, (0..sent).collect::<Vec<u32>>());

    // As many and a third more: all but full, and nothing lost by the kernel.
    let before = sent;
    for _ in 0..before * 13 / 10 {
        send(&mut sent);
    }
    let expected = u64::from(sent);
    while node.role().seen.len() as u64 + node.shed() < expected {
        node.step(|_| {}).expect("a step");
    }
    assert_eq!(node.driver_counters().kernel_drops, 0);
    let shed = u32::try_from(node.shed()).expect("a small number");
    // Down to a half of what fits, and no further than what one call takes: a ring has buffers filled already.
    let fits = f64::from(before) / 0.7;
    assert!((0.2 * fits..0.65 * fits).contains(&f64::from(shed)), "{choice}: {shed} of {fits}");
    // The oldest went; what was read came in order, and the newest is there.
    let read: Vec<u32> = node.role().seen.iter().copied().skip(before as usize).collect();
    assert_eq!(read, (before + shed..sent).collect::<Vec<u32>>(), "{choice}");
}

#[test]
fn the_oldest_are_thrown_away_before_the_newest_are_turned_away() {
    match probe_io_uring() {
        Ok(_) => sheds(DriverChoice::IoUring),
        Err(cause) => println!("skipped: io_uring: {cause}"),
    }
    sheds(DriverChoice::Epoll);
}
