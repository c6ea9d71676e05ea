//! The listening socket, and when to leave it alone.

use crate::OpenError;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// So long no connection is accepted after one could not be: the cause, no descriptors left, does not pass at once.
const PAUSE: Duration = Duration::from_millis(20);

/// A bound socket that listens, or nothing: a driver may have only connections that it was given.
#[derive(Debug, Default)]
pub(super) struct Listener {
    bound: Option<(TcpListener, SocketAddr)>,
    paused_until: Option<Instant>,
}

impl Listener {
    pub(super) fn bind(addr: SocketAddr) -> Result<Self, OpenError> {
        let socket = TcpListener::bind(addr).map_err(|cause| OpenError::Bind { addr, cause })?;
        let step = "reading the bound address";
        let local = socket.local_addr().map_err(|cause| OpenError::Setup { addr, step, cause })?;
        Ok(Self { bound: Some((socket, local)), paused_until: None })
    }

    pub(super) fn socket(&self) -> Option<&TcpListener> {
        self.bound.as_ref().map(|(socket, _)| socket)
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.bound.as_ref().map(|(_, local)| *local)
    }

    pub(super) fn pause(&mut self) {
        self.paused_until = Some(Instant::now() + PAUSE);
    }

    /// The socket, if the pause, if there was one, has passed just now or before.
    pub(super) fn may_accept(&mut self) -> Option<&TcpListener> {
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.paused_until = None;
        self.socket()
    }
}

/// The peer's address, IPv4 as such on a dual-stack socket too.
pub(super) fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
