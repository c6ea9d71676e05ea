//! How a TCP driver is set up.

use crate::DriverChoice;

/// Bounds that [`TcpConfig::validate`] enforces.
pub mod tcp_limits {
    /// Most connections of one driver.
    pub const CONNECTIONS_MAX: usize = 65_536;
    /// Fewest receive buffers.
    pub const BUFFERS_MIN: u16 = 2;
    /// Most receive buffers.
    pub const BUFFERS_MAX: u16 = 4_096;
    /// Smallest receive buffer.
    pub const BUFFER_BYTES_MIN: usize = 2_048;
    /// Largest receive buffer.
    pub const BUFFER_BYTES_MAX: usize = 1 << 20;
    /// Least room for what waits to be sent on a connection: twice the largest frame that Centauri sends.
    pub const SEND_BYTES_MIN: usize = 1 << 17;
    /// Most room for what waits to be sent on a connection.
    pub const SEND_BYTES_MAX: usize = 64 << 20;
    /// Most memory that all receive buffers of one driver may take together.
    pub const POOL_BYTES_MAX: usize = 256 << 20;
}

/// How a TCP driver is set up.
///
/// Its memory is `buffers × buffer_bytes`, some 100 bytes a connection, and for a connection whose peer does not read what it
/// is sent up to `send_bytes_max`. What the kernel holds for a connection comes on top (`net.ipv4.tcp_rmem`, `tcp_wmem`).
///
/// ```
/// use centauri_uring::TcpConfig;
/// assert!(TcpConfig::default().validate().is_ok());
/// assert!(TcpConfig { connections_max: 0, ..TcpConfig::default() }.validate().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpConfig {
    /// Which driver.
    pub choice: DriverChoice,
    /// Most connections at a time; another one is closed as soon as it is accepted.
    pub connections_max: usize,
    /// Number of receive buffers, a power of two, which all connections share. The epoll driver takes at most 64 of them.
    pub buffers: u16,
    /// Bytes of a receive buffer: the most that is taken from one connection before others have their turn (epoll), or at a
    /// time (io_uring).
    pub buffer_bytes: usize,
    /// Most bytes that wait to be sent on a connection, beyond what the kernel holds; what finds no room is not sent.
    pub send_bytes_max: usize,
}

impl Default for TcpConfig {
    /// 1,024 connections; 32 buffers of 256 KiB, so that of several long frames that come together most lie whole in one;
    /// 256 KiB to be sent.
    fn default() -> Self {
        Self {
            choice: DriverChoice::Auto,
            connections_max: 1_024,
            buffers: 32,
            buffer_bytes: 256 << 10,
            send_bytes_max: 256 << 10,
        }
    }
}

/// A value of a [`TcpConfig`] is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TcpConfigError {
    /// The number of connections is zero or too large.
    #[error("connections_max is {found}: expected 1 to {}", tcp_limits::CONNECTIONS_MAX)]
    Connections {
        /// The value found.
        found: usize,
    },
    /// The number of buffers is not a power of two, or out of range.
    #[error(
        "buffers is {found}: expected a power of two from {} to {}",
        tcp_limits::BUFFERS_MIN,
        tcp_limits::BUFFERS_MAX
    )]
    Buffers {
        /// The value found.
        found: u16,
    },
    /// The size of a buffer is out of range.
    #[error(
        "buffer_bytes is {found}: expected {} to {}",
        tcp_limits::BUFFER_BYTES_MIN,
        tcp_limits::BUFFER_BYTES_MAX
    )]
    BufferBytes {
        /// The value found.
        found: usize,
    },
    /// The room for what waits to be sent is out of range.
    #[error(
        "send_bytes_max is {found}: expected {} to {}",
        tcp_limits::SEND_BYTES_MIN,
        tcp_limits::SEND_BYTES_MAX
    )]
    SendBytes {
        /// The value found.
        found: usize,
    },
    /// All buffers together take too much.
    #[error("buffers × buffer_bytes is {found}: expected at most {}", tcp_limits::POOL_BYTES_MAX)]
    PoolBytes {
        /// The product found.
        found: usize,
    },
}

impl TcpConfig {
    /// Checks every value against [`tcp_limits`].
    ///
    /// # Errors
    /// The first value out of range, with what was found and what was expected.
    pub fn validate(&self) -> Result<(), TcpConfigError> {
        if !(1..=tcp_limits::CONNECTIONS_MAX).contains(&self.connections_max) {
            return Err(TcpConfigError::Connections { found: self.connections_max });
        }
        let buffers = tcp_limits::BUFFERS_MIN..=tcp_limits::BUFFERS_MAX;
        if !self.buffers.is_power_of_two() || !buffers.contains(&self.buffers) {
            return Err(TcpConfigError::Buffers { found: self.buffers });
        }
        if !(tcp_limits::BUFFER_BYTES_MIN..=tcp_limits::BUFFER_BYTES_MAX).contains(&self.buffer_bytes) {
            return Err(TcpConfigError::BufferBytes { found: self.buffer_bytes });
        }
        if !(tcp_limits::SEND_BYTES_MIN..=tcp_limits::SEND_BYTES_MAX).contains(&self.send_bytes_max) {
            return Err(TcpConfigError::SendBytes { found: self.send_bytes_max });
        }
        let pool = usize::from(self.buffers).saturating_mul(self.buffer_bytes);
        if pool > tcp_limits::POOL_BYTES_MAX {
            return Err(TcpConfigError::PoolBytes { found: pool });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused() {
        let good = TcpConfig::default();
        for bad in [
            TcpConfig { connections_max: 0, ..good },
            TcpConfig { connections_max: 65_537, ..good },
            TcpConfig { buffers: 0, ..good },
            TcpConfig { buffers: 48, ..good },
            TcpConfig { buffers: 8_192, ..good },
            TcpConfig { buffer_bytes: 2_047, ..good },
            TcpConfig { buffer_bytes: (1 << 20) + 1, ..good },
            TcpConfig { send_bytes_max: (1 << 17) - 1, ..good },
            TcpConfig { send_bytes_max: (64 << 20) + 1, ..good },
            TcpConfig { buffers: 512, buffer_bytes: 1 << 20, ..good },
        ] {
            assert!(bad.validate().is_err(), "{bad:?} was accepted");
        }
    }
}
