//! The io_uring TCP driver: one multishot accept, and a multishot receive for each connection, into buffers that all share.
//!
//! A multishot receive takes buffers for as long as its connection has something, so a peer that floods takes them all. Once
//! they have run out, receives are therefore put up for one buffer each: first for the connections that got none, then for
//! the others in their turns.

use super::listener::{Listener, canonical};
use super::outbox::Flushed;
use super::table::{ConnectionId, Table};
use super::{Chunk, End, TcpConfig, TcpCounters, TcpDriver, TcpSink, Waiting};
use crate::ring::buffered::{BUFFER_GROUP, BufferedRing};
use crate::ring::buffers::{ProvidedBuffers, TAKEN_MAX};
use crate::socket::check;
use crate::{DriverKind, RingUnavailable};
use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::thread::{self, ThreadId};

/// Requests that are handed to the kernel together.
const SUBMISSION_ENTRIES: u32 = 256;
/// What the accepting request is called; connections have smaller words.
const ACCEPT: u64 = u64::MAX;
/// Added to a connection's word: the request that waits until it can be written to.
const WRITABLE: u64 = 1 << 56;

/// A ring with its buffers, not yet bound to a socket or a thread.
#[derive(Debug)]
pub(super) struct Prepared {
    ring: Ring,
}

impl Prepared {
    pub(super) fn serve(self, listener: Listener, config: &TcpConfig) -> RingTcp {
        RingTcp {
            ring: self.ring,
            owner: None,
            accepting: false,
            unarmed: VecDeque::new(),
            starved: VecDeque::new(),
            table: Table::new(config.connections_max, config.send_bytes_max),
            listener,
            counters: TcpCounters::default(),
        }
    }
}

#[derive(Debug)]
struct Ring {
    inner: BufferedRing,
    /// Readable since the kernel had something for the ring. The ring's own descriptor would not do: whoever polls it is not
    /// told of work that the kernel has put off until it is asked.
    told: File,
}

/// What one completion of a connection said, before its buffer is looked at.
#[derive(Debug, Clone, Copy)]
enum Arrived {
    /// Into the buffer taken at this place.
    Bytes(usize),
    End(End),
    /// Nothing that has to be told.
    Nothing,
}

/// The io_uring TCP driver.
#[derive(Debug)]
pub(super) struct RingTcp {
    // Before the sockets: the ring's standing requests refer to them.
    ring: Ring,
    /// The thread that the ring is bound to, once it has received.
    owner: Option<ThreadId>,
    accepting: bool,
    /// Connections without a standing request, in the order of their turns.
    unarmed: VecDeque<ConnectionId>,
    /// Those of them for which there was no buffer: they come first.
    starved: VecDeque<ConnectionId>,
    table: Table,
    listener: Listener,
    counters: TcpCounters,
}

impl RingTcp {
    /// Sets up the ring.
    pub(super) fn prepare(config: &TcpConfig) -> Result<Prepared, RingUnavailable> {
        let buffers = ProvidedBuffers::new(config.buffers, config.buffer_bytes)
            .map_err(|cause| RingUnavailable::new("mapping receive buffers", &cause))?;
        // Each buffer can be in one completion, and each connection can end and be writable: with as many again the kernel need
        // not keep completions aside. It would, and none would be lost.
        let completions =
            usize::from(config.buffers) + 2 * config.connections_max + SUBMISSION_ENTRIES as usize;
        // The kernel has no more room than that.
        let completions = u32::try_from(completions.next_power_of_two()).unwrap_or(u32::MAX).min(1 << 16);
        let inner = BufferedRing::new(buffers, SUBMISSION_ENTRIES, completions, true)?;
        let told = event().map_err(|cause| RingUnavailable::new("making an eventfd", &cause))?;
        let submitter = inner.ring.submitter();
        submitter
            .register_eventfd(told.as_raw_fd())
            .map_err(|cause| RingUnavailable::new("registering an eventfd", &cause))?;
        Ok(Prepared { ring: Ring { inner, told } })
    }

    /// Makes the ring the calling thread's, or finds that it is.
    fn own(&mut self) -> io::Result<()> {
        let here = thread::current().id();
        match self.owner {
            Some(owner) if owner == here => Ok(()),
            Some(_) => Err(io::Error::other("the ring belongs to the thread that received first")),
            None => {
                self.ring.inner.ring.submitter().register_enable_rings()?;
                self.owner = Some(here);
                Ok(())
            }
        }
    }

    /// Puts up the requests that do not stand, in their turns, and lets the kernel run what it has put off.
    fn arm(&mut self) -> io::Result<()> {
        if !self.accepting
            && let Some(socket) = self.listener.may_accept()
        {
            let entry = opcode::AcceptMulti::new(Fd(socket.as_raw_fd()))
                .flags(libc::SOCK_CLOEXEC)
                .build()
                .user_data(ACCEPT);
            self.ring.push(&entry)?;
            self.accepting = true;
        }
        let one_each = !self.starved.is_empty();
        while let Some(id) = self.starved.pop_front().or_else(|| self.unarmed.pop_front()) {
            let Some(stream) = self.table.get(id) else { continue };
            let fd = Fd(stream.as_raw_fd());
            let entry = if one_each {
                // No memory of ours, and as many bytes as the buffer that the kernel picks has.
                opcode::Recv::new(fd, std::ptr::null_mut(), self.ring.inner.buffers.slot_bytes())
                    .buf_group(BUFFER_GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT)
            } else {
                opcode::RecvMulti::new(fd, BUFFER_GROUP).build()
            };
            if let Err(error) = self.ring.push(&entry.user_data(id.to_word())) {
                self.starved.push_front(id);
                return Err(error);
            }
        }
        self.ring.submit()
    }

    /// Hands over the completions that are there; returns how many chunks that makes.
    fn take(&mut self, sink: &mut dyn TcpSink) -> io::Result<usize> {
        let mut chunks = 0;
        let mut writable = Vec::new();
        loop {
            let BufferedRing { ring, buffers } = &mut self.ring.inner;
            let mut filled = buffers.filled();
            let mut arrived = [(ConnectionId::default(), Arrived::Nothing); TAKEN_MAX];
            let mut accepted = [None; TAKEN_MAX];
            let mut count = 0;
            let mut completions = ring.completion();
            while let Some((place, stream)) = arrived.get_mut(count).zip(accepted.get_mut(count)) {
                let Some(completion) = completions.next() else { break };
                count += 1;
                let (result, flags) = (completion.result(), completion.flags());
                let stands = cqueue::more(flags);
                if completion.user_data() == ACCEPT {
                    self.accepting = stands;
                    if result >= 0 {
                        *stream = Some(result);
                    } else if !matches!(-result, libc::ECONNABORTED | libc::EINTR | libc::EAGAIN) {
                        self.counters.accept_errors += 1;
                        self.listener.pause();
                    }
                    continue;
                }
                if completion.user_data() & WRITABLE != 0 {
                    writable.push(ConnectionId::of_word(completion.user_data() & !WRITABLE));
                    continue;
                }
                let id = ConnectionId::of_word(completion.user_data());
                let written = usize::try_from(result).unwrap_or(0);
                // Whoever the bytes are of, the buffer is taken, and goes back.
                let buffer = cqueue::buffer_select(flags).and_then(|buffer| filled.take(buffer, written));
                let is_open = self.table.get(id).is_some();
                let mut turns = &mut self.unarmed;
                let again = match (result, buffer) {
                    (1.., Some(buffer)) => {
                        *place = (id, if is_open { Arrived::Bytes(buffer) } else { Arrived::Nothing });
                        true
                    }
                    (0, _) => {
                        *place = (id, Arrived::End(End::Finished));
                        false
                    }
                    (result, _) if -result == libc::ENOBUFS => {
                        self.counters.buffers_exhausted += u64::from(is_open);
                        turns = &mut self.starved;
                        true
                    }
                    (result, _) if matches!(-result, libc::EINTR | libc::EAGAIN) => true,
                    (result, _) => {
                        let kind = io::Error::from_raw_os_error(result.saturating_neg()).kind();
                        *place = (id, Arrived::End(End::Failed(kind)));
                        false
                    }
                };
                if again && !stands && is_open {
                    turns.push_back(id);
                }
            }
            drop(completions);
            if count == 0 {
                drop(filled);
                for id in writable {
                    self.writable(id)?;
                }
                return Ok(chunks);
            }
            let mut all = [Chunk::default(); TAKEN_MAX];
            let bytes = arrived.iter().filter_map(|(id, arrived)| match arrived {
                Arrived::Bytes(place) => Some(Chunk { connection: *id, bytes: filled.bytes(*place) }),
                _ => None,
            });
            let mut come = 0;
            for (place, chunk) in all.iter_mut().zip(bytes) {
                *place = chunk;
                come += 1;
                self.counters.bytes += chunk.bytes.len() as u64;
            }
            if let Some(all) = all.get(..come).filter(|all| !all.is_empty()) {
                sink.received(all);
            }
            drop(filled);
            chunks += come;
            self.counters.chunks += come as u64;
            for (id, arrived) in arrived.iter().take(count) {
                if let Arrived::End(end) = arrived
                    && let Some(stream) = self.table.remove(*id)
                {
                    // Ends a request that waits until it can be written to.
                    let _ = stream.shutdown(Shutdown::Both);
                    self.counters.ended(*end);
                    sink.ended(*id, *end);
                }
            }
            for fd in accepted.into_iter().flatten() {
                // SAFETY: the kernel has made this descriptor for the request, and nobody else has it.
                self.admit(unsafe { TcpStream::from_raw_fd(fd) }, sink);
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, sink: &mut dyn TcpSink) {
        let Ok(peer) = stream.peer_addr() else {
            // It has come and gone.
            self.counters.accepted += 1;
            self.counters.failed += 1;
            return;
        };
        if let Some(id) = self.watch(stream) {
            sink.opened(id, canonical(peer));
        }
    }

    /// Counts a connection, and receives from it if there may be another.
    fn watch(&mut self, stream: TcpStream) -> Option<ConnectionId> {
        self.counters.accepted += 1;
        let id = self.table.insert(stream);
        match id {
            Some(id) => self.unarmed.push_back(id),
            None => self.counters.refused += 1,
        }
        id
    }

    /// Sends what the kernel takes again, and waits again if that is not all.
    fn writable(&mut self, id: ConnectionId) -> io::Result<()> {
        if self.table.flush_one(id, &mut self.counters) == Flushed::Blocked
            && let Some(stream) = self.table.get(id)
        {
            self.ring.watch_writable(id, stream)?;
            self.ring.submit()?;
        }
        Ok(())
    }
}

/// A descriptor that the kernel makes readable.
fn event() -> io::Result<File> {
    // SAFETY: eventfd() takes numbers only.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the call succeeded, so `fd` is open, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

impl Ring {
    /// Has the kernel tell when the connection can be written to.
    fn watch_writable(&mut self, id: ConnectionId, stream: &TcpStream) -> io::Result<()> {
        let entry = opcode::PollAdd::new(Fd(stream.as_raw_fd()), libc::POLLOUT as u32);
        self.push(&entry.build().user_data(id.to_word() | WRITABLE))
    }

    /// Has the kernel take in the requests.
    fn submit(&self) -> io::Result<()> {
        match self.inner.ring.submit() {
            // EBUSY: completions must be taken out before more can come.
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EINTR)) => Err(error),
            _ => Ok(()),
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        if self.inner.ring.submission().is_full() {
            self.inner.ring.submit()?;
        }
        // SAFETY: the requests are accepts, receives and polls of descriptors, with no memory but the registered buffers, which
        // outlive the ring. A descriptor that is closed meanwhile makes its request fail, or is held by the kernel.
        unsafe { self.inner.ring.submission().push(entry) }.map_err(io::Error::other)
    }
}

impl TcpDriver for RingTcp {
    fn kind(&self) -> DriverKind {
        DriverKind::IoUring
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local()
    }

    fn wake_fd(&self) -> BorrowedFd<'_> {
        self.ring.told.as_fd()
    }

    fn receive(&mut self, sink: &mut dyn TcpSink) -> io::Result<usize> {
        self.own()?;
        // Before looking: what comes from here on is told of again. Nothing to read is no error.
        let _ = self.ring.told.read(&mut [0; 8]);
        self.arm()?;
        let chunks = self.take(sink)?;
        if !self.unarmed.is_empty() || !self.starved.is_empty() {
            // At once, since nothing else would tell of what they have: their buffers have come back.
            self.arm()?;
        }
        Ok(chunks)
    }

    fn adopt(&mut self, stream: TcpStream) -> Option<ConnectionId> {
        self.watch(stream)
    }

    fn queue(&mut self, connection: ConnectionId, parts: &[&[u8]]) -> bool {
        self.table.make_room(connection, parts, &mut self.counters);
        self.table.queue(connection, parts, &mut self.counters)
    }

    fn waiting(&self, connection: ConnectionId) -> Option<Waiting> {
        self.table.waiting(connection)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.own()?;
        let Self { table, counters, ring, .. } = self;
        let mut waiting = Ok(());
        let mut is_waiting = false;
        table.flush(counters, |id, stream| {
            is_waiting = true;
            let asked = ring.watch_writable(id, stream);
            waiting = std::mem::replace(&mut waiting, Ok(())).and(asked);
        });
        waiting?;
        if is_waiting { ring.submit() } else { Ok(()) }
    }

    fn close(&mut self, connection: ConnectionId) {
        // A request that the kernel has not taken in yet goes by the descriptor's number, which is about to be free.
        if !self.ring.inner.ring.submission().is_empty() {
            let _ = self.ring.inner.ring.submit();
        }
        if let Some(stream) = self.table.remove(connection) {
            // Ends the standing request, which holds the socket beyond its descriptor.
            let _ = stream.shutdown(Shutdown::Both);
            self.counters.closed += 1;
        }
    }

    fn connections(&self) -> usize {
        self.table.len()
    }

    fn counters(&self) -> TcpCounters {
        self.counters
    }
}
