//! Bounds that hold whatever a configuration says.

/// Most ranges of stream numbers that one query lists.
pub const QUERY_RANGES_MAX: usize = 64;
/// Most rounds or windows of one stream that are held open at a time.
pub const OPEN_ROUNDS_MAX: usize = 1_024;
/// Most readings that a source sends, and most windows that a replica closes, in one tick; what is left is
/// due at once, so the driver comes back after it has looked at its socket.
pub const EVENTS_PER_TICK_MAX: usize = 65_536;
/// Most readings of one window that a replica keeps.
pub const READINGS_PER_WINDOW_MAX: usize = 65_536;
/// Most values that the monitor keeps per distribution and sender.
pub const RING_VALUES_MAX: usize = 1 << 20;
