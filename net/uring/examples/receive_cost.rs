//! CPU time of the receiving thread per datagram, for each driver, over loopback.
//!
//! `cargo run --release -p centauri-uring --example receive_cost [datagrams] [rounds] [per_second]`
//!
//! Sends 200-byte datagrams from a second thread, one by one or in trains of 32, as fast as it can or at a given rate, and prints
//! the median over the rounds of the receiving thread's CPU time (`CLOCK_THREAD_CPUTIME_ID`, user
//! and system) divided by the datagrams received, with how many came a wait. It needs two idle
//! cores to mean anything.

mod support;

use centauri_uring::{
    DatagramDriver, DriverChoice, DriverConfig, OpenError, Outgoing, RingFeatures, open, open_with_probe,
};
use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use support::thread_cpu;

const PAYLOAD_BYTES: usize = 200;
const TRAIN: usize = 32;

type Open = fn(SocketAddr, &DriverConfig) -> Result<Box<dyn DatagramDriver>, OpenError>;

struct Case {
    name: &'static str,
    config: DriverConfig,
    open: Open,
    /// How many datagrams the sender sends together.
    together: usize,
}

struct Figures {
    micros_each: f64,
    each_wait: f64,
    received: u64,
    dropped: u64,
}

fn open_in_two_steps(addr: SocketAddr, config: &DriverConfig) -> Result<Box<dyn DatagramDriver>, OpenError> {
    open_with_probe(addr, config, &|| Ok(RingFeatures::default()))
}

fn cases() -> Vec<Case> {
    let ring = DriverConfig { choice: DriverChoice::IoUring, ..DriverConfig::default() };
    let epoll = DriverConfig { choice: DriverChoice::Epoll, ..ring };
    let at_once = Duration::ZERO;
    let case = |name, config, open| Case { name, config, open, together: 1 };
    let trains = |name, config| Case { name, config, open, together: TRAIN };
    vec![
        case("io_uring", ring, open),
        case("io_uring, 512 buffers", DriverConfig { buffers: 512, ..ring }, open),
        case("io_uring, two-step wait", ring, open_in_two_steps),
        case("io_uring, no linger", DriverConfig { linger: at_once, ..ring }, open),
        case("epoll", epoll, open),
        case("epoll, no linger", DriverConfig { linger: at_once, ..epoll }, open),
        trains("io_uring, trains", ring),
        trains("io_uring, trains, no GRO", DriverConfig { gro: false, ..ring }),
        trains("epoll, trains", epoll),
        trains("epoll, trains, no GRO", DriverConfig { gro: false, ..epoll }),
    ]
}

fn send(to: SocketAddr, count: u64, together: usize, per_second: Option<u64>) -> std::io::Result<()> {
    let config = DriverConfig { choice: DriverChoice::Epoll, ..DriverConfig::default() };
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut driver = open(loopback, &config).map_err(std::io::Error::other)?;
    let batch = vec![Outgoing { bytes: &[0x5a; PAYLOAD_BYTES], to }; together];
    let start = Instant::now();
    for n in (0..count).step_by(together) {
        if let Some(rate) = per_second {
            let due = Duration::from_nanos(n * 1_000_000_000 / rate);
            while start.elapsed() < due {
                std::hint::spin_loop();
            }
        }
        driver.send_batch(&batch)?;
    }
    Ok(())
}

fn measure(case: &Case, count: u64, per_second: Option<u64>) -> Result<Figures, Box<dyn Error>> {
    let mut driver = (case.open)("127.0.0.1:0".parse()?, &case.config)?;
    let to = driver.local_addr();
    let mut sum = 0u64;
    // Sets the ring up, and touches memory, outside the measurement.
    driver.send_to(&[0; PAYLOAD_BYTES], to)?;
    driver.receive(Duration::from_secs(1), &mut |datagram| {
        sum += datagram.bytes.len() as u64;
    })?;
    let before = driver.counters();
    let together = case.together;
    let sender = thread::spawn(move || send(to, count, together, per_second));
    let start = thread_cpu();
    let mut idle = 0;
    while idle < 2 {
        let came = driver.receive(Duration::from_millis(100), &mut |datagram| {
            sum += datagram.bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>() & 1;
        })?;
        idle = if came == 0 { idle + 1 } else { 0 };
    }
    let used = thread_cpu().saturating_sub(start);
    sender.join().map_err(|_| "the sender panicked")??;
    std::hint::black_box(sum);
    let after = driver.counters();
    let received = after.datagrams - before.datagrams;
    Ok(Figures {
        micros_each: used.as_secs_f64() * 1e6 / received.max(1) as f64,
        each_wait: received as f64 / (after.waits - before.waits).max(1) as f64,
        received,
        dropped: after.kernel_drops - before.kernel_drops,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let count = numbers.next().transpose()?.unwrap_or(65_536);
    let rounds = numbers.next().transpose()?.unwrap_or(9).max(1);
    let per_second = numbers.next().transpose()?.filter(|rate| *rate > 0);
    println!("{count} datagrams of {PAYLOAD_BYTES} bytes, median of {rounds} rounds");
    println!("{:<26} {:>9} {:>9} {:>10} {:>8}", "driver", "µs each", "per wait", "received", "dropped");
    let cases = cases();
    let mut figures: Vec<Vec<Figures>> = cases.iter().map(|_| Vec::new()).collect();
    // Round by round, so that a disturbance of the machine meets every case.
    for _ in 0..rounds {
        for (case, figures) in cases.iter().zip(&mut figures) {
            match measure(case, count, per_second) {
                Ok(one) => figures.push(one),
                Err(cause) => eprintln!("{}: {cause}", case.name),
            }
        }
    }
    for (case, mut figures) in cases.iter().zip(figures) {
        figures.sort_by(|a, b| a.micros_each.total_cmp(&b.micros_each));
        if let Some(median) = figures.get(figures.len() / 2) {
            println!(
                "{:<26} {:>9.3} {:>9.1} {:>10} {:>8}",
                case.name, median.micros_each, median.each_wait, median.received, median.dropped
            );
        }
    }
    Ok(())
}
