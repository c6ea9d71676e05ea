//! The epoll driver: waits for the socket, then takes what is there with `recvmmsg`.

mod batch;

use crate::slices::{Came, Slices};
use crate::socket::{Socket, check};
use crate::{Backlog, Datagram, DatagramDriver, DriverConfig, DriverCounters, DriverKind, Outgoing};
use batch::{Batch, Message};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

/// Most buffers that one system call fills.
const BATCH_MAX: u16 = 64;

/// The epoll driver.
#[derive(Debug)]
pub(crate) struct EpollDriver {
    socket: Socket,
    epoll: OwnedFd,
    /// What else ends a wait.
    source: Option<OwnedFd>,
    batch: Batch,
    wait_completions: usize,
    linger: Duration,
    /// Whether the last wait filled more than one buffer but not all: traffic flows, so lingering pays, and is not so heavy
    /// that all buffers' worth waits already.
    busy: bool,
}

impl EpollDriver {
    pub(crate) fn new(socket: Socket, config: &DriverConfig) -> io::Result<Self> {
        let epoll = create()?;
        control(&epoll, libc::EPOLL_CTL_ADD, &socket, 0)?;
        let count = usize::from(config.buffers.min(BATCH_MAX));
        Ok(Self {
            socket,
            epoll,
            source: None,
            batch: Batch::new(count, config.buffer_bytes),
            wait_completions: usize::try_from(config.wait_completions).unwrap_or(usize::MAX),
            linger: config.linger,
            busy: false,
        })
    }

    /// Waits for the first datagram, and under load a little for more. `false` if none has come.
    fn wait(&self, timeout: Duration) -> io::Result<bool> {
        if !wait_readable(&self.epoll, timeout)? {
            return Ok(false);
        }
        let linger = self.linger.min(timeout);
        if self.busy && self.wait_completions > 1 && !linger.is_zero() {
            thread::sleep(linger);
        }
        Ok(true)
    }

    fn hand_over(&mut self, count: usize, sink: &mut dyn FnMut(&[Datagram<'_>])) -> usize {
        let mut slices = Slices::new(sink);
        for message in self.batch.messages(count) {
            if let Some(drops) = message.beside.drop_count {
                self.socket.note_drop_count(drops);
            }
            let Some(from) = message.from else {
                self.socket.counters_mut().undecodable += 1;
                continue;
            };
            let Message { bytes, truncated, beside, .. } = message;
            slices.push(&mut self.socket, Came { bytes, from, truncated, train_of: beside.train_of });
        }
        slices.finish()
    }
}

impl DatagramDriver for EpollDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Epoll
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
        self.socket.counters_mut().waits += 1;
        let outcome = self.wait(timeout).and_then(|readable| match readable {
            true => self.batch.receive(&self.socket),
            false => Ok(0),
        });
        let count = match outcome {
            Ok(count) => count,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {
                    self.socket.counters_mut().interrupted += 1;
                    0
                }
                // Readable a moment ago, yet nothing there: the checksum was wrong.
                io::ErrorKind::WouldBlock => 0,
                _ => {
                    self.socket.counters_mut().receive_errors += 1;
                    return Err(error);
                }
            },
        };
        self.busy = count > 1 && count < self.batch.len();
        if count == self.batch.len() {
            self.socket.counters_mut().buffers_exhausted += 1;
        }
        Ok(self.hand_over(count, sink))
    }

    fn send_to(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(bytes, to)
    }

    fn wake_on(&mut self, source: BorrowedFd<'_>) -> io::Result<()> {
        let source = source.try_clone_to_owned()?;
        if let Some(former) = self.source.take() {
            // Not by closing it alone: others may hold what it is a duplicate of.
            control(&self.epoll, libc::EPOLL_CTL_DEL, &former, 0)?;
        }
        control(&self.epoll, libc::EPOLL_CTL_ADD, &source, 0)?;
        self.source = Some(source);
        Ok(())
    }

    fn send_batch(&mut self, datagrams: &[Outgoing<'_>]) -> io::Result<()> {
        self.socket.send_batch(datagrams)
    }

    fn counters(&self) -> DriverCounters {
        self.socket.counters()
    }
}

impl Drop for EpollDriver {
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            let _ = control(&self.epoll, libc::EPOLL_CTL_DEL, source, 0);
        }
    }
}

/// An empty set of descriptors to wait for.
pub(crate) fn create() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1() takes a number only.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the call succeeded, so `fd` is open, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a descriptor into the set, to be told of by `word` while it is readable, or takes it out.
pub(crate) fn control(epoll: &OwnedFd, what: libc::c_int, fd: &impl AsRawFd, word: u64) -> io::Result<()> {
    control_events(epoll, what, fd, word, libc::EPOLLIN as u32)
}

/// As [`control`], while any of `events` holds.
pub(crate) fn control_events(
    epoll: &OwnedFd,
    what: libc::c_int,
    fd: &impl AsRawFd,
    word: u64,
    events: u32,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: word };
    // SAFETY: both descriptors are open, and the kernel reads `event` during the call.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), what, fd.as_raw_fd(), &raw mut event) })?;
    Ok(())
}

fn wait_readable(epoll: &OwnedFd, timeout: Duration) -> io::Result<bool> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // Rounded up, so that a caller with a deadline half a millisecond away does not spin.
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    let millis = libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most one event to `event`, which outlives the call.
    let ready = unsafe { libc::epoll_wait(epoll.as_raw_fd(), &raw mut event, 1, millis) };
    Ok(check(ready)? > 0)
}
