//! The contract that both TCP drivers keep.

use super::{ConnectionId, TcpCounters};
use crate::DriverKind;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// Bytes of a connection, in the order they were sent, cut anywhere; borrowed from the driver's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chunk<'a> {
    /// Whose.
    pub connection: ConnectionId,
    /// What came; never empty.
    pub bytes: &'a [u8],
}

/// How a connection ended that was not closed by this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The peer has ended its side; everything it sent has been handed over.
    Finished,
    /// It broke.
    Failed(io::ErrorKind),
}

/// What takes in a driver's connections.
pub trait TcpSink {
    /// A peer has connected.
    fn opened(&mut self, connection: ConnectionId, peer: SocketAddr);

    /// Bytes have come: at most 64 chunks at a time, a connection's in their order. They lie in the driver's buffers, which
    /// are filled again when this returns.
    fn received(&mut self, chunks: &[Chunk<'_>]);

    /// The connection is over, after all its bytes.
    fn ended(&mut self, connection: ConnectionId, end: End);
}

/// A listening socket, its connections, and the way bytes are taken from them. It sends nothing.
///
/// It never waits: [`wake_fd`](Self::wake_fd) is readable when there is something to take, and whoever has several sources
/// waits for that with the others, as [`DatagramDriver::wake_on`](crate::DatagramDriver::wake_on) does.
///
/// No connection can keep the others waiting: what one call takes is bounded by the buffers, and those that got none come first
/// at the next. What is not taken stays with the kernel, which lets the peer wait.
///
/// The io_uring driver belongs to the thread that calls [`receive`](Self::receive) first.
pub trait TcpDriver: Send + std::fmt::Debug {
    /// Which driver this is.
    fn kind(&self) -> DriverKind;

    /// The address it listens on.
    fn local_addr(&self) -> SocketAddr;

    /// Readable when [`receive`](Self::receive) would find something; the same for the driver's whole life.
    fn wake_fd(&self) -> BorrowedFd<'_>;

    /// Hands over what is there, and returns how many chunks that was.
    ///
    /// # Errors
    /// What the kernel reports of the listening socket or the ring, or a call on another thread. An error of a connection
    /// ends that connection only.
    fn receive(&mut self, sink: &mut dyn TcpSink) -> io::Result<usize>;

    /// Closes a connection; what of it has not been handed over is lost. One that is over already is no error.
    fn close(&mut self, connection: ConnectionId);

    /// How many connections are open.
    fn connections(&self) -> usize;

    /// Totals so far.
    fn counters(&self) -> TcpCounters;
}
