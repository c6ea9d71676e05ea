//! Opening each driver in turn, and peers to talk to it.

use centauri_uring::{
    DatagramDriver, DriverChoice, DriverConfig, DriverKind, RingFeatures, open, open_with_probe,
    probe_io_uring,
};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) const V4: &str = "127.0.0.1:0";
/// Longer than any test takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A way to run the driver, with a name for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Variant {
    Ring,
    RingInTwoSteps,
    Epoll,
}

impl Variant {
    pub(crate) fn kind(self) -> DriverKind {
        match self {
            Self::Ring | Self::RingInTwoSteps => DriverKind::IoUring,
            Self::Epoll => DriverKind::Epoll,
        }
    }

    pub(crate) fn open(self, addr: &str, config: DriverConfig) -> Box<dyn DatagramDriver> {
        let addr: SocketAddr = addr.parse().unwrap();
        let choice = match self {
            Self::Epoll => DriverChoice::Epoll,
            Self::Ring | Self::RingInTwoSteps => DriverChoice::IoUring,
        };
        let config = DriverConfig { choice, ..config };
        let driver = match self {
            Self::RingInTwoSteps => open_with_probe(addr, &config, &|| Ok(RingFeatures::default())),
            Self::Ring | Self::Epoll => open(addr, &config),
        }
        .unwrap();
        assert_eq!(driver.kind(), self.kind());
        driver
    }
}

/// Runs `test` with every driver that works here, each on a thread of its own: closing a ring lets
/// the kernel interrupt the thread that had it a little later, which is for no other driver to see.
pub(crate) fn with_each_driver(test: impl Fn(Variant) + Sync) {
    let test = |variant| {
        let outcome = std::thread::scope(|scope| scope.spawn(|| test(variant)).join());
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    };
    match probe_io_uring() {
        Ok(features) => {
            test(Variant::RingInTwoSteps);
            if features.min_wait {
                test(Variant::Ring);
            } else {
                println!("skipped: io_uring with minimum wait: this kernel lacks it");
            }
        }
        Err(cause) => println!("skipped: io_uring drivers: {cause}"),
    }
    test(Variant::Epoll);
}

/// A small pool, so that a test that opens many drivers stays small.
pub(crate) fn small() -> DriverConfig {
    DriverConfig { buffers: 16, wait_completions: 8, ..DriverConfig::default() }
}

pub(crate) fn peer(addr: &str) -> UdpSocket {
    UdpSocket::bind(addr).unwrap()
}

/// `len` bytes that differ from those of another `seed` and from place to place.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_le_bytes();
        bytes.extend_from_slice(&word[..word.len().min(len - bytes.len())]);
    }
    bytes
}

/// What a driver handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddr,
    pub(crate) truncated: bool,
}

/// Receives until `count` datagrams have come; fails when they do not.
pub(crate) fn receive_count(driver: &mut dyn DatagramDriver, count: usize) -> Vec<Got> {
    let mut got = Vec::new();
    let start = Instant::now();
    while got.len() < count {
        assert!(
            start.elapsed() < PATIENCE,
            "{}: {} of {count} datagrams came; {:?}",
            driver.kind(),
            got.len(),
            driver.counters()
        );
        receive_into(driver, Duration::from_millis(100), &mut got);
    }
    got
}

/// One wait; checks that the number returned is the number handed over.
pub(crate) fn receive_into(driver: &mut dyn DatagramDriver, timeout: Duration, got: &mut Vec<Got>) -> usize {
    let before = got.len();
    let count = driver
        .receive(timeout, &mut |datagram| {
            got.push(Got {
                bytes: datagram.bytes.to_vec(),
                from: datagram.from,
                truncated: datagram.truncated,
            });
        })
        .unwrap();
    assert_eq!(count, got.len() - before);
    count
}
