//! Which driver to run, and with how much memory and patience.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bounds that [`DriverConfig::validate`] enforces.
pub mod limits {
    use std::time::Duration;

    /// The largest payload of a UDP datagram over IPv4: 65,535 less 20 (IP) and 8 (UDP) bytes.
    pub const DATAGRAM_BYTES_MAX: usize = 65_507;
    /// Fewest receive buffers.
    pub const BUFFERS_MIN: u16 = 2;
    /// Most receive buffers: the kernel's limit for one provided-buffer ring.
    pub const BUFFERS_MAX: u16 = 32_768;
    /// Smallest payload room of a buffer; an Ethernet frame fits.
    pub const BUFFER_BYTES_MIN: usize = 2_048;
    /// Largest payload room of a buffer; more than any datagram needs.
    pub const BUFFER_BYTES_MAX: usize = 65_536;
    /// Most memory that all receive buffers of one driver may take together.
    pub const POOL_BYTES_MAX: usize = 256 << 20;
    /// Longest linger; it bounds the delay that batching may add to a datagram.
    pub const LINGER_MAX: Duration = Duration::from_millis(10);
    /// Smallest socket receive buffer.
    pub const SOCKET_RECEIVE_BYTES_MIN: usize = 4_096;
    /// Largest socket receive buffer; the kernel doubles what it is given and keeps it in an `int`.
    pub const SOCKET_RECEIVE_BYTES_MAX: usize = 1 << 30;
    /// Most sockets of one group: more than one for each core gain nothing.
    pub const GROUP_MAX: usize = 256;
}

/// What the operator asks for.
///
/// ```
/// use centauri_uring::DriverChoice;
/// assert_eq!("io_uring".parse(), Ok(DriverChoice::IoUring));
/// assert_eq!(DriverChoice::Auto.to_string(), "auto");
/// assert!("uring".parse::<DriverChoice>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriverChoice {
    /// io_uring if everything the driver uses works here, epoll otherwise.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// epoll and `recvmmsg`.
    Epoll,
}

impl fmt::Display for DriverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// A driver's name was not one of the three.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown datagram driver {found:?}: expected auto, io_uring or epoll")]
pub struct ParseDriverChoiceError {
    found: String,
}

impl FromStr for DriverChoice {
    type Err = ParseDriverChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "io_uring" => Ok(Self::IoUring),
            "epoll" => Ok(Self::Epoll),
            // The text comes from outside and goes into a log line: keep it short.
            other => Err(ParseDriverChoiceError { found: other.chars().take(32).collect() }),
        }
    }
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriverKind {
    /// Multishot `recvmsg` into a provided-buffer ring.
    IoUring,
    /// `epoll_wait` and `recvmmsg`.
    Epoll,
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// How a driver is set up.
///
/// The default takes any UDP datagram whole. Its 64 buffers of 64 KiB reserve 4 MiB of address
/// space, and memory becomes resident only where datagrams have been written. More buffers gain
/// nothing: when all are taken, further datagrams wait in the socket's own buffer until the next
/// call, and none is lost; fewer stay in the cache. 64 cost less CPU a datagram than 512 in each of
/// six comparisons with `examples/receive_cost.rs` (0 to 27 %, on a busy machine).
///
/// ```
/// use centauri_uring::{DriverChoice, DriverConfig};
/// let config = DriverConfig { choice: DriverChoice::Epoll, buffers: 128, ..DriverConfig::default() };
/// assert!(config.validate().is_ok());
/// assert!(DriverConfig { buffers: 48, ..config }.validate().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverConfig {
    /// Which driver.
    pub choice: DriverChoice,
    /// Number of receive buffers, a power of two. The epoll driver takes at most 64 of them, the
    /// most that one `recvmmsg` call fills.
    pub buffers: u16,
    /// Payload bytes that a buffer holds; a longer datagram arrives truncated and marked so. The
    /// space for its sender's address and the kernel's notes comes on top.
    pub buffer_bytes: usize,
    /// How many datagrams one wait tries to gather, at most `buffers`; a train counts as one.
    pub wait_completions: u32,
    /// How long a wait may go on for more datagrams when at least one has come: the most that
    /// batching may delay a datagram. Zero turns batching off.
    pub linger: Duration,
    /// Receive buffer asked of the kernel for the socket, as `SO_RCVBUF` counts. Without
    /// `CAP_NET_ADMIN` the kernel grants no more than `net.core.rmem_max`.
    pub socket_receive_bytes: usize,
    /// Whether the kernel may hand over trains (`UDP_GRO`): consecutive datagrams of one flow and one size that came together
    /// take one buffer and the way through the network stack once. The driver divides them again; what the sink sees is the
    /// same, but [`kernel_drops`](crate::DriverCounters::kernel_drops) counts a train that was thrown away as one. Buffers of
    /// less than 65,536 bytes would cut trains, so with these, or where the kernel has no `UDP_GRO`, this changes nothing.
    pub gro: bool,
}

impl DriverConfig {
    /// Whether to ask the kernel for trains.
    pub(crate) fn takes_trains(&self) -> bool {
        self.gro && self.buffer_bytes >= limits::BUFFER_BYTES_MAX
    }
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            choice: DriverChoice::Auto,
            buffers: 64,
            buffer_bytes: limits::BUFFER_BYTES_MAX,
            wait_completions: 32,
            linger: Duration::from_micros(200),
            socket_receive_bytes: 8 << 20,
            gro: true,
        }
    }
}

/// A value of a [`DriverConfig`] is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The number of buffers is not a power of two, or out of range.
    #[error(
        "buffers is {found}: expected a power of two from {} to {}",
        limits::BUFFERS_MIN,
        limits::BUFFERS_MAX
    )]
    Buffers {
        /// The value found.
        found: u16,
    },
    /// The size of a buffer is out of range.
    #[error("buffer_bytes is {found}: expected {} to {}", limits::BUFFER_BYTES_MIN, limits::BUFFER_BYTES_MAX)]
    BufferBytes {
        /// The value found.
        found: usize,
    },
    /// All buffers together take too much.
    #[error("buffers × buffer_bytes is {found}: expected at most {}", limits::POOL_BYTES_MAX)]
    PoolBytes {
        /// The product found.
        found: usize,
    },
    /// The number of datagrams to wait for is zero or more than there are buffers.
    #[error("wait_completions is {found}: expected 1 to {buffers}, the number of buffers")]
    WaitCompletions {
        /// The value found.
        found: u32,
        /// The number of buffers.
        buffers: u16,
    },
    /// The linger is too long.
    #[error("linger is {found:?}: expected at most {:?}", limits::LINGER_MAX)]
    Linger {
        /// The value found.
        found: Duration,
    },
    /// The size of the socket's receive buffer is out of range.
    #[error(
        "socket_receive_bytes is {found}: expected {} to {}",
        limits::SOCKET_RECEIVE_BYTES_MIN,
        limits::SOCKET_RECEIVE_BYTES_MAX
    )]
    SocketReceiveBytes {
        /// The value found.
        found: usize,
    },
    /// The number of sockets of a group is zero or too large.
    #[error("the number of sockets is {found}: expected 1 to {}", limits::GROUP_MAX)]
    GroupCount {
        /// The value found.
        found: usize,
    },
}

impl DriverConfig {
    /// Checks every value against [`limits`].
    ///
    /// # Errors
    /// The first value out of range, with what was found and what was expected.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.buffers.is_power_of_two()
            || !(limits::BUFFERS_MIN..=limits::BUFFERS_MAX).contains(&self.buffers)
        {
            return Err(ConfigError::Buffers { found: self.buffers });
        }
        if !(limits::BUFFER_BYTES_MIN..=limits::BUFFER_BYTES_MAX).contains(&self.buffer_bytes) {
            return Err(ConfigError::BufferBytes { found: self.buffer_bytes });
        }
        let pool = usize::from(self.buffers).saturating_mul(self.buffer_bytes);
        if pool > limits::POOL_BYTES_MAX {
            return Err(ConfigError::PoolBytes { found: pool });
        }
        if !(1..=u32::from(self.buffers)).contains(&self.wait_completions) {
            return Err(ConfigError::WaitCompletions { found: self.wait_completions, buffers: self.buffers });
        }
        if self.linger > limits::LINGER_MAX {
            return Err(ConfigError::Linger { found: self.linger });
        }
        let socket = limits::SOCKET_RECEIVE_BYTES_MIN..=limits::SOCKET_RECEIVE_BYTES_MAX;
        if !socket.contains(&self.socket_receive_bytes) {
            return Err(ConfigError::SocketReceiveBytes { found: self.socket_receive_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_takes_every_datagram() {
        let config = DriverConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert!(config.buffer_bytes >= limits::DATAGRAM_BYTES_MAX);
    }

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for choice in [DriverChoice::Auto, DriverChoice::IoUring, DriverChoice::Epoll] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let error = "kqueue".parse::<DriverChoice>().unwrap_err().to_string();
        assert_eq!(error, "unknown datagram driver \"kqueue\": expected auto, io_uring or epoll");
        let long = "x".repeat(10_000).parse::<DriverChoice>().unwrap_err();
        assert!(long.to_string().len() < 120);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let good = DriverConfig::default();
        let bad = [
            DriverConfig { buffers: 0, ..good },
            DriverConfig { buffers: 1, ..good },
            DriverConfig { buffers: 500, ..good },
            DriverConfig { buffers: 8_192, ..good },
            DriverConfig { buffer_bytes: 2_047, ..good },
            DriverConfig { buffer_bytes: 65_537, ..good },
            DriverConfig { wait_completions: 0, ..good },
            DriverConfig { wait_completions: 65, ..good },
            DriverConfig { linger: Duration::from_millis(11), ..good },
            DriverConfig { socket_receive_bytes: 4_095, ..good },
            DriverConfig { socket_receive_bytes: usize::MAX, ..good },
        ];
        for config in bad {
            assert!(config.validate().is_err(), "{config:?} was accepted");
        }
    }
}
