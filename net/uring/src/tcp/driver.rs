//! The contract that both TCP drivers keep.

use super::{ConnectionId, TcpCounters};
use crate::DriverKind;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;

/// Bytes of a connection, in the order they were sent, cut anywhere; borrowed from the driver's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chunk<'a> {
    /// Whose.
    pub connection: ConnectionId,
    /// What came; never empty.
    pub bytes: &'a [u8],
}

/// What waits to be sent on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Bytes that the kernel does not have yet.
    pub bytes: usize,
    /// Bytes that it has taken since the connection began.
    pub taken: u64,
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

/// A listening socket, its connections, and the way bytes are taken from them and sent on them.
///
/// It never waits: [`wake_fd`](Self::wake_fd) is readable when there is something to take, and whoever has several sources
/// waits for that with the others, as [`DatagramDriver::wake_on`](crate::DatagramDriver::wake_on) does.
///
/// No connection can keep the others waiting: what one call takes is bounded by the buffers, and those that got none come first
/// at the next. What is not taken stays with the kernel, which lets the peer wait. Nor can one that does not read what it is
/// sent: that waits, up to a limit, and what finds no room is refused.
///
/// The io_uring driver belongs to the thread that calls [`receive`](Self::receive) or [`flush`](Self::flush) first.
pub trait TcpDriver: Send + std::fmt::Debug {
    /// Which driver this is.
    fn kind(&self) -> DriverKind;

    /// The address it listens on; `None` if it does not listen.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// Readable when [`receive`](Self::receive) would find something; the same for the driver's whole life.
    fn wake_fd(&self) -> BorrowedFd<'_>;

    /// Hands over what is there, and returns how many chunks that was.
    ///
    /// # Errors
    /// What the kernel reports of the listening socket or the ring, or a call on another thread. An error of a connection
    /// ends that connection only.
    fn receive(&mut self, sink: &mut dyn TcpSink) -> io::Result<usize>;

    /// Takes over a connection that was made elsewhere, as if it had been accepted, but without telling the sink that it was
    /// opened; `None`, and it is closed, if there are as many as may be.
    fn adopt(&mut self, stream: TcpStream) -> Option<ConnectionId>;

    /// Puts all `parts`, one after the other, behind what waits to be sent on a connection. If that is over, or all of them do
    /// not fit into [`TcpConfig::send_bytes_max`](super::TcpConfig::send_bytes_max), none are sent, and it says `false`.
    ///
    /// They go out with the next [`flush`](Self::flush), or before that to make room for more on the same connection, and what the kernel does not take then as soon as it does, within
    /// [`receive`](Self::receive).
    fn queue(&mut self, connection: ConnectionId, parts: &[&[u8]]) -> bool;

    /// Sends what has been queued, with one system call a connection.
    ///
    /// # Errors
    /// What the kernel reports of the ring, or a call on another thread. A connection that is broken is told of by
    /// [`receive`](Self::receive).
    fn flush(&mut self) -> io::Result<()>;

    /// What waits to be sent on a connection; `None` if it is over.
    fn waiting(&self, connection: ConnectionId) -> Option<Waiting>;

    /// Closes a connection; what of it has not been handed over or sent is lost. One that is over already is no error.
    fn close(&mut self, connection: ConnectionId);

    /// How many connections are open.
    fn connections(&self) -> usize;

    /// Totals so far.
    fn counters(&self) -> TcpCounters;
}
