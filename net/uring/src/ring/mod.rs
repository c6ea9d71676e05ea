//! The io_uring driver.

pub(crate) mod buffered;
pub(crate) mod buffers;
mod mapping;
mod probe;
mod queue;

pub use probe::probe_io_uring;
pub use queue::RingFeatures;

use crate::slices::{Came, Slices};
use crate::socket::Socket;
use crate::{
    Backlog, Datagram, DatagramDriver, DriverConfig, DriverCounters, DriverKind, Outgoing, RingUnavailable,
};
use crate::{control, sockaddr};
use io_uring::types::RecvMsgOut;
use queue::{Completion, ReceiveQueue};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// A ring with its buffers, not yet bound to a socket or a thread.
#[derive(Debug)]
pub(crate) struct RingDriver {
    queue: ReceiveQueue,
    config: DriverConfig,
}

impl RingDriver {
    /// Sets up the ring.
    pub(crate) fn new(features: RingFeatures, config: &DriverConfig) -> Result<Self, RingUnavailable> {
        Ok(Self { queue: ReceiveQueue::new(features, config)?, config: *config })
    }

    /// The driver that takes datagrams from `socket`.
    pub(crate) fn serve(self, socket: Socket) -> ServingRing {
        ServingRing {
            queue: self.queue,
            owner: None,
            armed_once: false,
            source: None,
            config: self.config,
            socket,
        }
    }
}

/// The io_uring driver at work.
#[derive(Debug)]
pub(crate) struct ServingRing {
    // Before the socket: the ring's standing request refers to it.
    queue: ReceiveQueue,
    /// The thread that the ring is bound to, once it has received.
    owner: Option<ThreadId>,
    armed_once: bool,
    /// What else ends a wait.
    source: Option<OwnedFd>,
    config: DriverConfig,
    socket: Socket,
}

impl ServingRing {
    /// Makes the calling thread the one that the ring belongs to.
    ///
    /// The kernel lets only the thread that enabled a ring use it (and ends its requests when that
    /// thread ends), so another thread gets a new ring. Nothing is lost: the old ring's completions
    /// were all taken out by the last `receive`, and without its thread it receives no more.
    fn own(&mut self) -> io::Result<()> {
        let here = thread::current().id();
        if self.owner == Some(here) {
            return Ok(());
        }
        if self.owner.is_some() {
            self.queue = ReceiveQueue::new(self.queue.features(), &self.config).map_err(io::Error::other)?;
            self.owner = None;
            self.armed_once = false;
        }
        self.queue.start()?;
        self.owner = Some(here);
        Ok(())
    }

    /// Hands over the completions that are there; returns how many datagrams that makes.
    fn take(&mut self, sink: &mut dyn FnMut(&[Datagram<'_>])) -> io::Result<usize> {
        let mut handed = 0;
        let mut failure = None;
        let socket = &mut self.socket;
        self.queue.drain(&mut |completions| {
            let mut slices = Slices::new(&mut *sink);
            for completion in completions {
                match completion {
                    Completion::Received(message) => {
                        if let Some(came) = decoded(socket, message) {
                            slices.push(socket, came);
                        }
                    }
                    Completion::Unreadable => socket.counters_mut().undecodable += 1,
                    Completion::NoBuffers => socket.counters_mut().buffers_exhausted += 1,
                    Completion::Failed(error) => {
                        socket.counters_mut().receive_errors += 1;
                        failure = Some(io::Error::from_raw_os_error(*error));
                    }
                }
            }
            handed += slices.finish();
        });
        failure.map_or(Ok(handed), Err)
    }

    /// Puts the standing request up again, and hands over what it brings at once, until it stays up
    /// or a wait's worth of datagrams has come.
    ///
    /// An empty datagram ends a multishot receive, and anyone can send one. Were the request put up
    /// once a wait only, a stream of empty datagrams would make every wait last its whole linger
    /// and bring one datagram.
    fn take_while_ending(&mut self, sink: &mut dyn FnMut(&[Datagram<'_>])) -> io::Result<usize> {
        let enough = self.config.wait_completions as usize;
        let mut handed = 0;
        for _ in 0..enough {
            if self.queue.is_armed() || handed >= enough {
                break;
            }
            self.queue.arm(self.socket.as_raw_fd())?;
            self.socket.counters_mut().rearms += u64::from(self.armed_once);
            self.armed_once = true;
            handed += self.take(sink)?;
        }
        Ok(handed)
    }
}

impl DatagramDriver for ServingRing {
    fn kind(&self) -> DriverKind {
        DriverKind::IoUring
    }

    fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    fn socket_receive_bytes(&self) -> usize {
        self.socket.receive_bytes()
    }

    fn backlog(&self) -> Option<Backlog> {
        self.socket.backlog()
    }

    fn receive_batch(
        &mut self,
        timeout: Duration,
        sink: &mut dyn FnMut(&[Datagram<'_>]),
    ) -> io::Result<usize> {
        self.own()?;
        self.socket.counters_mut().waits += 1;
        let mut handed = self.take_while_ending(sink)?;
        if handed > 0 {
            return Ok(handed);
        }
        if let Some(source) = &self.source {
            self.queue.watch(source.as_raw_fd())?;
        }
        let waited = self.queue.wait(self.config.wait_completions, timeout, self.config.linger);
        handed += self.take(sink)?;
        match waited {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.socket.counters_mut().interrupted += 1;
                return Ok(handed);
            }
            Err(error) => return Err(error),
        }
        if handed > 0 {
            handed += self.take_while_ending(sink)?;
        }
        Ok(handed)
    }

    fn send_to(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(bytes, to)
    }

    fn wake_on(&mut self, source: BorrowedFd<'_>) -> io::Result<()> {
        let source = source.try_clone_to_owned()?;
        if self.source.replace(source).is_some() && self.owner.is_some() {
            // The former source is asked about still: a new ring asks about the new one only.
            self.queue = ReceiveQueue::new(self.queue.features(), &self.config).map_err(io::Error::other)?;
            self.owner = None;
            self.armed_once = false;
        }
        Ok(())
    }

    fn send_batch(&mut self, datagrams: &[Outgoing<'_>]) -> io::Result<()> {
        self.socket.send_batch(datagrams)
    }

    fn counters(&self) -> DriverCounters {
        self.socket.counters()
    }
}

impl Drop for ServingRing {
    fn drop(&mut self) {
        if self.owner == Some(thread::current().id()) {
            self.queue.cancel();
        }
    }
}

/// What a message holds; `None`, counted, where its sender makes no sense.
fn decoded<'a>(socket: &mut Socket, message: &'a RecvMsgOut<'a>) -> Option<Came<'a>> {
    let beside = control::read(message.control_data());
    if let Some(count) = beside.drop_count {
        socket.note_drop_count(count);
    }
    let Some(from) = sockaddr::decode(message.name_data()) else {
        socket.counters_mut().undecodable += 1;
        return None;
    };
    let (bytes, truncated) = (message.payload_data(), message.is_payload_truncated());
    Some(Came { bytes, from, truncated, train_of: beside.train_of })
}
