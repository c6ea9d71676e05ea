//! The contract that both drivers keep.

use crate::{DriverCounters, DriverKind, Outgoing};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A received datagram, borrowed from the driver's buffer for as long as the sink runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The payload; may be empty.
    pub bytes: &'a [u8],
    /// Who sent it, as the IP header claims. An IPv4 sender is an IPv4 address on a dual-stack
    /// IPv6 socket too, so that one sender has one name.
    pub from: SocketAddr,
    /// Whether the datagram was longer than the buffer; `bytes` is then only its beginning.
    pub truncated: bool,
}

impl Datagram<'_> {
    /// What fills places that no datagram has.
    pub(crate) const NONE: Self = Self {
        bytes: &[],
        from: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
        truncated: false,
    };
}

/// How full a socket's receive buffer is, in bytes as the kernel counts them: what datagrams occupy, its own notes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Occupied by datagrams that wait.
    pub bytes: usize,
    /// Beyond this the kernel drops what comes.
    pub limit: usize,
}

/// One UDP socket and the way datagrams are taken from it.
///
/// A driver may be moved to another thread at any time. The io_uring driver binds its ring to the
/// thread that calls [`receive`](Self::receive); a call from another thread sets up a new ring,
/// which costs some tens of microseconds and loses nothing, so it should stay an exception.
pub trait DatagramDriver: Send + std::fmt::Debug {
    /// Which driver this is.
    fn kind(&self) -> DriverKind;

    /// The address the socket is bound to, with the port the system chose if 0 was asked for.
    fn local_addr(&self) -> SocketAddr;

    /// The receive buffer that the kernel granted, in the unit of
    /// [`DriverConfig::socket_receive_bytes`](crate::DriverConfig::socket_receive_bytes).
    fn socket_receive_bytes(&self) -> usize;

    /// How full the socket's receive buffer is; `None` where the kernel does not say. One system call.
    fn backlog(&self) -> Option<Backlog> {
        None
    }

    /// Waits until something has come or `timeout` has passed, hands every datagram that is there
    /// to `sink`, and returns how many it handed over.
    ///
    /// When datagrams keep coming the wait goes on for up to
    /// [`wait_completions`](crate::DriverConfig::wait_completions) of them, at most for
    /// [`linger`](crate::DriverConfig::linger). Zero is returned after the time limit, and earlier
    /// when a signal handler ran or the kernel had other work for the thread. A time limit of zero does not wait. The epoll
    /// driver rounds the time limit up to whole milliseconds.
    ///
    /// One call empties fewer buffers than there are buffers and `wait_completions` together, so that a flood cannot keep the
    /// caller from its other work. A buffer holds one datagram, or with [`gro`](crate::DriverConfig::gro) a train of them:
    /// kernels put at most 64 in one that came from a network, and at most 128 (older ones 64) in one that was sent as such on
    /// this machine.
    ///
    /// # Errors
    /// What the kernel reports about the socket or the ring, `ENOMEM` for example. Datagrams that
    /// were there have been handed over and counted; the driver stays usable and the next call tries again.
    fn receive(&mut self, timeout: Duration, sink: &mut dyn FnMut(Datagram<'_>)) -> io::Result<usize> {
        self.receive_batch(timeout, &mut |all| all.iter().for_each(|datagram| sink(*datagram)))
    }

    /// As [`receive`](Self::receive), several datagrams at a time, so that what they have in common is done once: some tens
    /// of them where so many have come, at most 64, in the order of their arrival. They lie in the driver's buffers, which are filled
    /// again when the sink has returned.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    fn receive_batch(
        &mut self,
        timeout: Duration,
        sink: &mut dyn FnMut(&[Datagram<'_>]),
    ) -> io::Result<usize>;

    /// Sends one datagram without waiting.
    ///
    /// A full send buffer is not an error: the datagram is lost, as it could be on any link, and
    /// counted in [`DriverCounters::send_would_block`].
    ///
    /// # Errors
    /// What the kernel reports, `EMSGSIZE` for a payload over 65,507 bytes for example; or
    /// `InvalidInput` for an IPv6 destination on an IPv4 socket. Counted in
    /// [`DriverCounters::send_errors`].
    fn send_to(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Ends every wait while `source` is readable, too: another source that is waited for together with the socket, such as
    /// a [`TcpDriver`](crate::TcpDriver)'s [`wake_fd`](crate::TcpDriver::wake_fd). A second call replaces the source.
    ///
    /// The driver keeps a duplicate of the descriptor.
    ///
    /// # Errors
    /// What the kernel reports.
    fn wake_on(&mut self, source: BorrowedFd<'_>) -> io::Result<()>;

    /// Sends many datagrams without waiting, in as few system calls as it can: 64 messages a call, where a message is one
    /// datagram or a *train*.
    ///
    /// Consecutive datagrams to one destination go as a train (`UDP_SEGMENT`) as long as they are of one size, the last perhaps
    /// shorter, none is empty, there are at most 64 of them and they have at most 65,507 bytes together. A receiver sees the
    /// same datagrams in the same order. Where the kernel does not take trains, or not of datagrams this long, they go one by
    /// one, and what it refused is not tried again.
    ///
    /// Each datagram fares, and is counted, as with [`send_to`](Self::send_to), except that a train which finds the send
    /// buffer full is lost whole; all are tried, whatever becomes of those before.
    ///
    /// # Errors
    /// The first of the errors that `send_to` would have returned. [`DriverCounters::send_errors`] says how many there were.
    fn send_batch(&mut self, datagrams: &[Outgoing<'_>]) -> io::Result<()> {
        let mut outcome = Ok(());
        for datagram in datagrams {
            outcome = outcome.and(self.send_to(datagram.bytes, datagram.to));
        }
        outcome
    }

    /// Totals so far. Reads the drop count from the kernel: one system call.
    fn counters(&self) -> DriverCounters;
}
