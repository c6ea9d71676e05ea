//! Why a driver could not be opened.

use crate::{ConfigError, TcpConfigError};
use std::io;
use std::net::SocketAddr;

/// Why io_uring cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("io_uring is not usable here: {step}: {reason}")]
pub struct RingUnavailable {
    /// What was tried, for example "creating a ring".
    pub step: &'static str,
    /// What came of it.
    pub reason: String,
}

impl RingUnavailable {
    pub(crate) fn new(step: &'static str, reason: &(impl ToString + ?Sized)) -> Self {
        Self { step, reason: reason.to_string() }
    }
}

/// A driver could not be opened; each message begins with the address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration is not valid.
    #[error("{addr}: {cause}")]
    Config {
        /// The address asked for.
        addr: SocketAddr,
        /// Which value is out of range.
        cause: ConfigError,
    },
    /// The configuration of a TCP driver is not valid.
    #[error("{addr}: {cause}")]
    TcpConfig {
        /// The address asked for.
        addr: SocketAddr,
        /// Which value is out of range.
        cause: TcpConfigError,
    },
    /// The socket could not be bound.
    #[error("{addr}: {}", bind_cause(cause))]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The socket, or what serves it, could not be set up.
    #[error("{addr}: {step}: {cause}")]
    Setup {
        /// The address asked for.
        addr: SocketAddr,
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// io_uring was asked for and is not usable.
    #[error("{addr}: {cause}; choose auto or epoll")]
    Ring {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        cause: RingUnavailable,
    },
}

fn bind_cause(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "not an address of this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied (ports below 1024 need a privilege)".to_owned(),
        _ => format!("cannot bind: {cause}"),
    }
}
