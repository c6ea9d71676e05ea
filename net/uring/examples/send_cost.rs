//! CPU time of the sending thread per datagram, one by one and in batches, over loopback.
//!
//! `cargo run --release -p centauri-uring --example send_cost [datagrams] [rounds]`
//!
//! Sends 200-byte datagrams, 64 at a time, to one destination or to 64, and prints the median over the rounds of the sending
//! thread's CPU time (`CLOCK_THREAD_CPUTIME_ID`, user and system) divided by the datagrams. On loopback the sender also does
//! the network's part of receiving, to the point where a datagram lies in the destination's buffer; what lies there is taken
//! out between the measurements.

mod support;

use centauri_uring::{DatagramDriver, DriverChoice, DriverConfig, Outgoing, open};
use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;
use support::thread_cpu;

const PAYLOAD_BYTES: usize = 200;
const TOGETHER: usize = 64;

struct Case {
    name: &'static str,
    destinations: usize,
    /// Whether the destinations take trains.
    gro: bool,
    send: fn(&mut dyn DatagramDriver, &[Outgoing<'_>]) -> std::io::Result<()>,
}

const CASES: [Case; 7] = [
    Case { name: "send_to, one destination", destinations: 1, gro: false, send: one_by_one },
    Case { name: "send_batch, one destination", destinations: 1, gro: false, send: together },
    Case { name: "send_batch, one that takes trains", destinations: 1, gro: true, send: together },
    Case { name: "send_to, 2 destinations by turns", destinations: 2, gro: false, send: one_by_one },
    Case { name: "send_batch, 2 destinations by turns", destinations: 2, gro: false, send: together },
    Case { name: "send_to, 64 destinations", destinations: 64, gro: false, send: one_by_one },
    Case { name: "send_batch, 64 destinations", destinations: 64, gro: false, send: together },
];

fn one_by_one(driver: &mut dyn DatagramDriver, batch: &[Outgoing<'_>]) -> std::io::Result<()> {
    batch.iter().try_for_each(|datagram| driver.send_to(datagram.bytes, datagram.to))
}

fn together(driver: &mut dyn DatagramDriver, batch: &[Outgoing<'_>]) -> std::io::Result<()> {
    driver.send_batch(batch)
}

fn destination(gro: bool) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let value = i32::from(gro);
    // SAFETY: the kernel reads four bytes of `value`, which outlives the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if set == 0 { Ok(socket) } else { Err(std::io::Error::last_os_error()) }
}

fn empty(socket: &UdpSocket) -> std::io::Result<usize> {
    let mut bytes = [0; 65_536];
    let mut taken = 0;
    loop {
        match socket.recv(&mut bytes) {
            Ok(len) => taken += len / PAYLOAD_BYTES,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken),
            Err(error) => return Err(error),
        }
    }
}

/// Microseconds a datagram.
fn measure(case: &Case, count: usize) -> Result<f64, Box<dyn Error>> {
    let config = DriverConfig { choice: DriverChoice::Epoll, ..DriverConfig::default() };
    let mut driver = open("127.0.0.1:0".parse()?, &config)?;
    let sockets = (0..case.destinations).map(|_| destination(case.gro)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<SocketAddr> = sockets.iter().map(UdpSocket::local_addr).collect::<Result<Vec<_>, _>>()?;
    let payload = [0x5a; PAYLOAD_BYTES];
    let batch: Vec<Outgoing<'_>> =
        names.iter().cycle().take(TOGETHER).map(|to| Outgoing { bytes: &payload, to: *to }).collect();
    let mut used = Duration::ZERO;
    let mut sent = 0;
    let mut taken = 0;
    // The first touches memory, outside the measurement.
    for turn in 0..=count.div_ceil(TOGETHER) {
        let start = thread_cpu();
        (case.send)(&mut *driver, &batch)?;
        let end = thread_cpu();
        for socket in &sockets {
            taken += empty(socket)?;
        }
        sent += TOGETHER;
        if turn > 0 {
            used += end.saturating_sub(start);
        }
    }
    if taken != sent {
        return Err(format!("{taken} of {sent} datagrams came").into());
    }
    Ok(used.as_secs_f64() * 1e6 / (sent - TOGETHER) as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let count = numbers.next().transpose()?.unwrap_or(65_536).max(1);
    let rounds = numbers.next().transpose()?.unwrap_or(9).max(1);
    println!("{count} datagrams of {PAYLOAD_BYTES} bytes, {TOGETHER} at a time, median of {rounds} rounds");
    println!("{:<36} {:>9}", "way and destination", "µs each");
    let mut figures: Vec<Vec<f64>> = CASES.iter().map(|_| Vec::new()).collect();
    // Round by round, so that a disturbance of the machine meets every case.
    for _ in 0..rounds {
        for (case, figures) in CASES.iter().zip(&mut figures) {
            figures.push(measure(case, count)?);
        }
    }
    for (case, mut figures) in CASES.iter().zip(figures) {
        figures.sort_by(f64::total_cmp);
        if let Some(median) = figures.get(figures.len() / 2) {
            println!("{:<36} {median:>9.3}", case.name);
        }
    }
    Ok(())
}
