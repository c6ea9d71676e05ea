//! What a driver has seen so far.

use std::ops::AddAssign;

/// Totals since the driver was opened.
///
/// Every datagram that reached the socket is in exactly one of `datagrams`, `undecodable`
/// and `kernel_drops`, or still waits in the socket's buffer; but a train that the kernel threw away, or
/// whose record could not be read, counts as one there, however many datagrams it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DriverCounters {
    /// Datagrams handed to the sink, truncated ones included.
    pub datagrams: u64,
    /// Trains that the kernel handed over: several datagrams in one buffer (see
    /// [`DriverConfig::gro`](crate::DriverConfig::gro)). Their datagrams are in `datagrams`.
    pub received_trains: u64,
    /// Payload bytes handed to the sink.
    pub bytes: u64,
    /// Datagrams that were longer than a buffer and arrived cut.
    pub truncated: u64,
    /// Datagrams that were not handed over because the kernel's record of the sender, or of the
    /// datagram itself, could not be read. Zero on a sound kernel.
    pub undecodable: u64,
    /// Datagrams and trains that the kernel threw away, mostly because the socket's receive buffer was full
    /// (`SO_RXQ_OVFL` with each datagram, `SO_MEMINFO` when counters are read).
    pub kernel_drops: u64,
    /// Times that every receive buffer was taken while more datagrams waited. None was lost by it:
    /// they stay in the socket's buffer until the next wait. (io_uring: `ENOBUFS`; epoll: a call
    /// that filled all its buffers.)
    pub buffers_exhausted: u64,
    /// Times that the kernel's standing receive request had to be submitted again, the first time
    /// not counted: after `ENOBUFS`, after an empty datagram (which ends a multishot receive), or
    /// after an error. Zero with epoll.
    pub rearms: u64,
    /// Calls of `receive`; with `datagrams` it says how many came a wait.
    pub waits: u64,
    /// Waits that a signal ended.
    pub interrupted: u64,
    /// Receive errors that the kernel reported.
    pub receive_errors: u64,
    /// Datagrams given to the kernel to send.
    pub sent: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// Trains among what was sent: several datagrams that the kernel took as one message. Their datagrams are in `sent`.
    pub sent_trains: u64,
    /// Datagrams not sent because the socket's send buffer, or the interface's queue, was full.
    pub send_would_block: u64,
    /// Datagrams not sent because of any other error.
    pub send_errors: u64,
}

impl AddAssign for DriverCounters {
    /// What several drivers, those of a group for example, have seen together.
    fn add_assign(&mut self, other: Self) {
        let Self {
            datagrams,
            received_trains,
            bytes,
            truncated,
            undecodable,
            kernel_drops,
            buffers_exhausted,
            rearms,
            waits,
            interrupted,
            receive_errors,
            sent,
            sent_bytes,
            sent_trains,
            send_would_block,
            send_errors,
        } = other;
        self.datagrams += datagrams;
        self.received_trains += received_trains;
        self.bytes += bytes;
        self.truncated += truncated;
        self.undecodable += undecodable;
        self.kernel_drops += kernel_drops;
        self.buffers_exhausted += buffers_exhausted;
        self.rearms += rearms;
        self.waits += waits;
        self.interrupted += interrupted;
        self.receive_errors += receive_errors;
        self.sent += sent;
        self.sent_bytes += sent_bytes;
        self.sent_trains += sent_trains;
        self.send_would_block += send_would_block;
        self.send_errors += send_errors;
    }
}
