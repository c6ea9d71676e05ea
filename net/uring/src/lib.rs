//! Receiving and sending UDP datagrams: io_uring where the machine allows it, epoll and `recvmmsg`
//! where it does not, behind one trait.
//!
//! [`open`] binds a socket and returns a [`DatagramDriver`]. Its [`receive`](DatagramDriver::receive)
//! waits for datagrams, hands each to a closure with its sender's address, and comes back; the
//! caller's loop decides what happens between two calls. There is no waker and no executor: a loop
//! that must look at something else now and then gives `receive` a time limit, and a signal ends a
//! wait early.
//!
//! What a received datagram costs lies mostly in how often the receiver is woken, not in which
//! system call brings it. Both drivers therefore linger: once traffic flows, one wait gathers up to
//! [`DriverConfig::wait_completions`] datagrams or [`DriverConfig::linger`], whichever is first. A
//! lone datagram that arrives at an idle receiver is handed over at once.
//!
//! Where many datagrams go one way they cost less together. [`send_batch`](DatagramDriver::send_batch) takes many in one
//! system call, and runs of one size to one destination as *trains*, which the kernel cuts into datagrams late; trains that
//! come ([`DriverConfig::gro`]) are divided again, and the sink sees datagrams.
//!
//! [`open_group`] opens several drivers on one address, for several threads; each gets the datagrams of its own senders.
//!
//! Overload is visible: [`DriverCounters::kernel_drops`] counts what the kernel threw away because
//! the socket's buffer was full, and [`Datagram::truncated`] marks what did not fit a buffer.
//!
//! ```
//! use centauri_uring::{DriverConfig, open};
//! use std::time::Duration;
//!
//! let mut driver = open("127.0.0.1:0".parse()?, &DriverConfig::default())?;
//! let here = driver.local_addr();
//! driver.send_to(b"hello", here)?;
//!
//! let mut seen = Vec::new();
//! while seen.is_empty() {
//!     driver.receive(Duration::from_secs(1), &mut |datagram| {
//!         seen.push((datagram.bytes.to_vec(), datagram.from));
//!     })?;
//! }
//! assert_eq!(seen, [(b"hello".to_vec(), here)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! TCP connections are another source: [`open_tcp`] listens and returns a [`TcpDriver`], which never waits but has a descriptor
//! that the datagram driver's wait can be ended by ([`DatagramDriver::wake_on`]). It sends, too; [`adopt_tcp`] is for connections
//! that were made elsewhere.

#[cfg(not(target_os = "linux"))]
compile_error!("centauri-uring drives Linux sockets: io_uring, epoll and recvmmsg");

mod config;
mod control;
mod counters;
mod driver;
mod epoll;
mod error;
mod group;
mod opening;
mod ring;
mod sending;
mod slices;
mod sockaddr;
mod socket;
mod tcp;

pub use config::{ConfigError, DriverChoice, DriverConfig, DriverKind, ParseDriverChoiceError, limits};
pub use counters::DriverCounters;
pub use driver::{Backlog, Datagram, DatagramDriver};
pub use error::{OpenError, RingUnavailable};
pub use group::{Steering, open_group, open_group_with_probe, shard_of};
pub use opening::{open, open_with_probe};
pub use ring::{RingFeatures, probe_io_uring};
pub use sending::Outgoing;
pub use tcp::{
    Chunk, ConnectionId, End, TcpConfig, TcpConfigError, TcpCounters, TcpDriver, TcpSink, Waiting, adopt_tcp,
    open_tcp, tcp_limits,
};
