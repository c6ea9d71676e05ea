//! What connections are held to, and what became of them.

/// What connections are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Most connections at a time. Memory is at most this times 64 KiB, for frames that have come in part, and this
    /// times the driver's [`send_bytes_max`](centauri_uring::TcpConfig::send_bytes_max), for those of which the peers do not read what they are sent.
    pub connections_max: usize,
    /// Most connections of one address at a time; of one /64 network with IPv6.
    pub per_address_max: usize,
    /// So long a frame may take from its first byte to its last, and a new connection to its first accepted frame, in
    /// nanoseconds.
    pub stall_ns: i64,
    /// So long a connection may be silent, in nanoseconds.
    pub idle_ns: i64,
    /// So many frames in a row that are not accepted end a connection.
    pub refused_in_a_row_max: u32,
    /// So long a peer may take nothing of what waits for it, in nanoseconds.
    pub unread_ns: i64,
}

impl Default for ConnectionLimits {
    /// 1,024 connections, 256 of an address; 10 seconds; 5 minutes; 1,024 frames; 10 seconds.
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            per_address_max: 256,
            stall_ns: 10_000_000_000,
            idle_ns: 300_000_000_000,
            refused_in_a_row_max: 1_024,
            unread_ns: 10_000_000_000,
        }
    }
}

/// What became of connections and their frames.
///
/// Every connection opened is in one of `finished`, `failed` and the `closed_…`, or still open; every frame in `frames` has
/// been counted by the role too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionCounters {
    /// Connections that the driver handed over.
    pub opened: u64,
    /// Frames handed to the role.
    pub frames: u64,
    /// Ended by the peer between two frames.
    pub finished: u64,
    /// Ended by the peer within a frame.
    pub cut_short: u64,
    /// Broken.
    pub failed: u64,
    /// Closed because too many of its address were open.
    pub closed_address: u64,
    /// Closed, without having proven itself, to make room for a new one; or new, with no room to be made.
    pub closed_crowded: u64,
    /// Closed for a frame's length of 0 or beyond the limit.
    pub closed_length: u64,
    /// Closed for a frame that took too long.
    pub closed_stalled: u64,
    /// Closed for not proving itself in time.
    pub closed_unproven: u64,
    /// Closed for its silence.
    pub closed_idle: u64,
    /// Closed for sending nothing that is accepted.
    pub closed_useless: u64,
    /// Closed for not reading what it was sent.
    pub closed_unread: u64,
    /// Frames that were put behind what waits to be sent.
    pub frames_sent: u64,
    /// Frames that were not sent: the connection was over, or too much waited for its peer.
    pub frames_unsent: u64,
}
