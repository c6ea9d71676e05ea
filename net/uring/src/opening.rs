//! Choosing a driver and opening it.

use crate::epoll::EpollDriver;
use crate::ring::{RingDriver, RingFeatures, probe_io_uring};
use crate::socket::Socket;
use crate::{DatagramDriver, DriverChoice, DriverConfig, DriverKind, OpenError, RingUnavailable};
use std::net::SocketAddr;

/// Binds `addr` and opens the driver that `config` asks for.
///
/// [`DriverChoice::Auto`] tries out io_uring, with everything the driver uses, and takes epoll where
/// that fails; which one runs, and why, is logged.
///
/// # Errors
/// [`OpenError`] with the address and the cause.
///
/// ```
/// use centauri_uring::{DriverConfig, open};
/// let first = open("127.0.0.1:0".parse()?, &DriverConfig::default())?;
/// let taken = first.local_addr();
/// let error = open(taken, &DriverConfig::default()).unwrap_err();
/// assert_eq!(error.to_string(), format!("{taken}: address already in use"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(addr: SocketAddr, config: &DriverConfig) -> Result<Box<dyn DatagramDriver>, OpenError> {
    open_with_probe(addr, config, &probe_io_uring)
}

/// As [`open`], with another way to find out what io_uring can do here: for tests of the fallback,
/// or to keep it from using a feature.
///
/// # Errors
/// As [`open`].
pub fn open_with_probe(
    addr: SocketAddr,
    config: &DriverConfig,
    probe: &dyn Fn() -> Result<RingFeatures, RingUnavailable>,
) -> Result<Box<dyn DatagramDriver>, OpenError> {
    config.validate().map_err(|cause| OpenError::Config { addr, cause })?;
    let socket = Socket::bind(addr, config)?;
    serve(addr, socket, config, &ask_for_ring(config, probe))
}

/// What io_uring can do here; `None` if it was not asked for.
pub(crate) type Features = Option<Result<RingFeatures, RingUnavailable>>;

pub(crate) fn ask_for_ring(
    config: &DriverConfig,
    probe: &dyn Fn() -> Result<RingFeatures, RingUnavailable>,
) -> Features {
    (config.choice != DriverChoice::Epoll).then(probe)
}

/// The driver for `socket`; `addr` is what was asked for.
pub(crate) fn serve(
    addr: SocketAddr,
    socket: Socket,
    config: &DriverConfig,
    features: &Features,
) -> Result<Box<dyn DatagramDriver>, OpenError> {
    let Some(features) = features else {
        return open_epoll(addr, socket, config, "asked for");
    };
    let failed = match features.clone().and_then(|features| RingDriver::new(features, config)) {
        Ok(ring) => {
            let driver = ring.serve(socket);
            announce(&driver, "io_uring is usable here");
            return Ok(Box::new(driver));
        }
        Err(cause) => cause,
    };
    if config.choice == DriverChoice::IoUring {
        return Err(OpenError::Ring { addr, cause: failed });
    }
    open_epoll(addr, socket, config, &failed.to_string())
}

fn open_epoll(
    addr: SocketAddr,
    socket: Socket,
    config: &DriverConfig,
    why: &str,
) -> Result<Box<dyn DatagramDriver>, OpenError> {
    let driver = EpollDriver::new(socket, config).map_err(|cause| OpenError::Setup {
        addr,
        step: "setting up epoll",
        cause,
    })?;
    announce(&driver, why);
    Ok(Box::new(driver))
}

fn announce(driver: &dyn DatagramDriver, why: &str) {
    let (addr, kind): (SocketAddr, DriverKind) = (driver.local_addr(), driver.kind());
    tracing::info!(%addr, driver = %kind, why, "datagram driver opened");
}
