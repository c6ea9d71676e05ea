//! What a TCP driver has seen so far.

/// Totals since the driver was opened.
///
/// Every connection accepted is in exactly one of `refused`, `finished`, `failed` and `closed`, or still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TcpCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because there were as many as may be.
    pub refused: u64,
    /// Connections whose peer has ended its side.
    pub finished: u64,
    /// Connections that broke: a reset, a timeout of the network.
    pub failed: u64,
    /// Connections closed by this side.
    pub closed: u64,
    /// Times that a connection could not be accepted: no descriptors left, for example. Connections then wait.
    pub accept_errors: u64,
    /// Bytes handed over.
    pub bytes: u64,
    /// Chunks handed over.
    pub chunks: u64,
    /// Times that a connection had something and no buffer was left for it; it waits for its turn. (epoll: a call that
    /// filled all its buffers.)
    pub buffers_exhausted: u64,
    /// Bytes that the kernel has taken to send.
    pub bytes_sent: u64,
    /// Times that something was to be sent on a connection that was over, or had no room for it.
    pub unsent: u64,
}

impl TcpCounters {
    pub(super) fn ended(&mut self, end: super::End) {
        match end {
            super::End::Finished => self.finished += 1,
            super::End::Failed(_) => self.failed += 1,
        }
    }
}
