//! Choosing a TCP driver and opening it.

use super::epoll::EpollTcp;
use super::listener::Listener;
use super::ring::RingTcp;
use super::{TcpConfig, TcpDriver};
use crate::{DriverChoice, OpenError, probe_io_uring};
use std::net::SocketAddr;

/// Listens on `addr` and opens the driver that `config` asks for.
///
/// # Errors
/// [`OpenError`] with the address and the cause.
///
/// ```
/// use centauri_uring::{Chunk, ConnectionId, End, TcpConfig, TcpSink, open_tcp};
/// use std::io::Write as _;
///
/// #[derive(Default)]
/// struct Seen(Vec<u8>, bool);
/// impl TcpSink for Seen {
///     fn opened(&mut self, _: ConnectionId, _: std::net::SocketAddr) {}
///     fn received(&mut self, chunks: &[Chunk<'_>]) {
///         chunks.iter().for_each(|chunk| self.0.extend_from_slice(chunk.bytes));
///     }
///     fn ended(&mut self, _: ConnectionId, end: End) {
///         self.1 = end == End::Finished;
///     }
/// }
///
/// let mut driver = open_tcp("127.0.0.1:0".parse()?, &TcpConfig::default())?;
/// std::net::TcpStream::connect(driver.local_addr())?.write_all(b"hello")?;
/// let mut seen = Seen::default();
/// while !seen.1 {
///     driver.receive(&mut seen)?;
/// }
/// assert_eq!(seen.0, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open_tcp(addr: SocketAddr, config: &TcpConfig) -> Result<Box<dyn TcpDriver>, OpenError> {
    config.validate().map_err(|cause| OpenError::TcpConfig { addr, cause })?;
    let listener = Listener::bind(addr)?;
    if config.choice == DriverChoice::Epoll {
        return open_epoll(addr, listener, config, "asked for");
    }
    let failed = match probe_io_uring().and_then(|_| RingTcp::prepare(config)) {
        Ok(ring) => {
            let driver = ring.serve(listener, config);
            announce(&driver, "io_uring is usable here");
            return Ok(Box::new(driver));
        }
        Err(cause) => cause,
    };
    if config.choice == DriverChoice::IoUring {
        return Err(OpenError::Ring { addr, cause: failed });
    }
    open_epoll(addr, listener, config, &failed.to_string())
}

fn open_epoll(
    addr: SocketAddr,
    listener: Listener,
    config: &TcpConfig,
    why: &str,
) -> Result<Box<dyn TcpDriver>, OpenError> {
    let step = "setting up epoll";
    let driver = EpollTcp::new(listener, config).map_err(|cause| OpenError::Setup { addr, step, cause })?;
    announce(&driver, why);
    Ok(Box::new(driver))
}

fn announce(driver: &dyn TcpDriver, why: &str) {
    let (addr, kind) = (driver.local_addr(), driver.kind());
    tracing::info!(%addr, driver = %kind, why, "TCP driver opened");
}
