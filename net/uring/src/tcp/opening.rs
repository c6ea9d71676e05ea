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
/// std::net::TcpStream::connect(driver.local_addr().ok_or("it listens")?)?.write_all(b"hello")?;
/// let mut seen = Seen::default();
/// while !seen.1 {
///     driver.receive(&mut seen)?;
/// }
/// assert_eq!(seen.0, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open_tcp(addr: SocketAddr, config: &TcpConfig) -> Result<Box<dyn TcpDriver>, OpenError> {
    config.validate().map_err(|cause| OpenError::TcpConfig { addr, cause })?;
    open(addr, Listener::bind(addr)?, config)
}

/// Opens the driver that `config` asks for without a listening socket: for connections that it is given
/// ([`TcpDriver::adopt`]).
///
/// # Errors
/// [`OpenError`] with the cause.
///
/// ```
/// use centauri_uring::{TcpConfig, adopt_tcp};
/// use std::io::Read as _;
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let mut driver = adopt_tcp(&TcpConfig::default())?;
/// let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
/// let connection = driver.adopt(stream).ok_or("no room")?;
/// assert!(driver.queue(connection, &[b"hel", b"lo"]));
/// driver.flush()?;
/// let mut came = [0; 5];
/// listener.accept()?.0.read_exact(&mut came)?;
/// assert_eq!(&came, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn adopt_tcp(config: &TcpConfig) -> Result<Box<dyn TcpDriver>, OpenError> {
    let addr = SocketAddr::from(([0, 0, 0, 0], 0));
    config.validate().map_err(|cause| OpenError::TcpConfig { addr, cause })?;
    open(addr, Listener::default(), config)
}

fn open(addr: SocketAddr, listener: Listener, config: &TcpConfig) -> Result<Box<dyn TcpDriver>, OpenError> {
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
    tracing::info!(addr = addr.map(tracing::field::display), driver = %kind, why, "TCP driver opened");
}
