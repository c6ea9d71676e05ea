//! The epoll TCP driver: asks which connections have something, and reads a buffer's worth of each.

use super::listener::{Listener, canonical};
use super::outbox::Flushed;
use super::table::{ConnectionId, Table};
use super::{Chunk, End, TcpConfig, TcpCounters, TcpDriver, TcpSink, Waiting};
use crate::DriverKind;
use crate::epoll::{control, control_events, create};
use crate::socket::check;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Most connections that one call reads from, and that it accepts.
const BATCH_MAX: usize = 64;
/// What the listening socket is called; connections have smaller words.
const LISTENER: u64 = u64::MAX;

/// The epoll TCP driver.
#[derive(Debug)]
pub(super) struct EpollTcp {
    listener: Listener,
    /// Whether the listening socket is watched: not while accepting pauses.
    listening: bool,
    table: Table,
    epoll: OwnedFd,
    buffers: Vec<u8>,
    buffer_bytes: usize,
    counters: TcpCounters,
}

impl EpollTcp {
    pub(super) fn new(listener: Listener, config: &TcpConfig) -> io::Result<Self> {
        listener.socket().map_or(Ok(()), |socket| socket.set_nonblocking(true))?;
        let count = usize::from(config.buffers).min(BATCH_MAX);
        let mut driver = Self {
            listener,
            listening: false,
            table: Table::new(config.connections_max, config.send_bytes_max),
            epoll: create()?,
            // Zeroed by the allocator: pages become resident when bytes reach them.
            buffers: vec![0; count * config.buffer_bytes],
            buffer_bytes: config.buffer_bytes,
            counters: TcpCounters::default(),
        };
        driver.listen()?;
        Ok(driver)
    }

    /// Watches the listening socket, unless accepting pauses.
    fn listen(&mut self) -> io::Result<()> {
        if !self.listening
            && let Some(socket) = self.listener.may_accept()
        {
            control(&self.epoll, libc::EPOLL_CTL_ADD, socket, LISTENER)?;
            self.listening = true;
        }
        Ok(())
    }

    fn accept(&mut self, sink: &mut dyn TcpSink) -> io::Result<()> {
        for _ in 0..BATCH_MAX {
            let Some(socket) = self.listener.socket() else { return Ok(()) };
            match socket.accept() {
                Ok((stream, peer)) => self.admit(stream, canonical(peer), sink),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    // The peer has given up already, or a signal came.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        self.counters.accept_errors += 1;
                        self.listening = false;
                        control(&self.epoll, libc::EPOLL_CTL_DEL, socket, LISTENER)?;
                        self.listener.pause();
                        return Ok(());
                    }
                },
            }
        }
        Ok(())
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, sink: &mut dyn TcpSink) {
        if let Some(id) = self.watch(stream) {
            sink.opened(id, peer);
        }
    }

    /// Counts a connection, and watches it if it can.
    fn watch(&mut self, stream: TcpStream) -> Option<ConnectionId> {
        self.counters.accepted += 1;
        if stream.set_nonblocking(true).is_err() {
            self.counters.failed += 1;
            return None;
        }
        let Some(id) = self.table.insert(stream) else {
            self.counters.refused += 1;
            return None;
        };
        let watched = self
            .table
            .get(id)
            .is_some_and(|stream| control(&self.epoll, libc::EPOLL_CTL_ADD, stream, id.to_word()).is_ok());
        if !watched {
            self.table.remove(id);
            self.counters.failed += 1;
            return None;
        }
        Some(id)
    }

    /// Sends what the kernel takes again; when it has all, it is not asked any more.
    fn writable(&mut self, id: ConnectionId) -> io::Result<()> {
        if self.table.flush_one(id, &mut self.counters) != Flushed::Blocked
            && let Some(stream) = self.table.get(id)
        {
            control(&self.epoll, libc::EPOLL_CTL_MOD, stream, id.to_word())?;
        }
        Ok(())
    }

    /// The words of what is ready, and whether it can be written to, no more than there are buffers. The kernel puts those it
    /// has told of behind the others, so all have their turn; it would not be theirs if one were told of and not read.
    fn ready(&self) -> io::Result<impl Iterator<Item = (u64, bool)> + use<>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH_MAX];
        let most = libc::c_int::try_from(self.buffers.len() / self.buffer_bytes).unwrap_or(1);
        let most = most.clamp(1, BATCH_MAX as libc::c_int);
        // SAFETY: the kernel writes at most `most` events, to an array of at least as many that outlives the call.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), most, 0) };
        let count = match check(count) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let is_writable = |events: u32| events & libc::EPOLLOUT as u32 != 0;
        Ok(events.into_iter().take(count).map(move |event| (event.u64, is_writable(event.events))))
    }
}

impl TcpDriver for EpollTcp {
    fn kind(&self) -> DriverKind {
        DriverKind::Epoll
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local()
    }

    fn wake_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    fn receive(&mut self, sink: &mut dyn TcpSink) -> io::Result<usize> {
        self.listen()?;
        let mut chunks = [Chunk::default(); BATCH_MAX];
        let mut ends = [None; BATCH_MAX];
        let (mut count, mut accepting) = (0, false);
        let ready = self.ready()?;
        let mut writable = [None; BATCH_MAX];
        let mut buffers = self.buffers.chunks_exact_mut(self.buffer_bytes);
        for (((word, is_writable), end), to_write) in ready.zip(&mut ends).zip(&mut writable) {
            if word == LISTENER {
                accepting = true;
                continue;
            }
            let id = ConnectionId::of_word(word);
            *to_write = is_writable.then_some(id);
            let Some(mut stream) = self.table.get(id) else { continue };
            let Some(buffer) = buffers.next() else { break };
            match stream.read(buffer) {
                Ok(0) => *end = Some((id, End::Finished)),
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.counters.bytes += bytes.len() as u64;
                    if let Some(chunk) = chunks.get_mut(count) {
                        *chunk = Chunk { connection: id, bytes };
                        count += 1;
                    }
                }
                Err(error) => match error.kind() {
                    // It will be ready again.
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    kind => *end = Some((id, End::Failed(kind))),
                },
            }
        }
        self.counters.chunks += count as u64;
        self.counters.buffers_exhausted += u64::from(buffers.next().is_none());
        if let Some(chunks) = chunks.get(..count).filter(|chunks| !chunks.is_empty()) {
            sink.received(chunks);
        }
        for (id, end) in ends.into_iter().flatten() {
            // Closing the descriptor ends its being watched.
            if self.table.remove(id).is_some() {
                self.counters.ended(end);
                sink.ended(id, end);
            }
        }
        for id in writable.into_iter().flatten() {
            self.writable(id)?;
        }
        if accepting {
            self.accept(sink)?;
        }
        Ok(count)
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
        let Self { table, counters, epoll, .. } = self;
        let both = (libc::EPOLLIN | libc::EPOLLOUT) as u32;
        let mut watched = Ok(());
        table.flush(counters, |id, stream| {
            let asked = control_events(epoll, libc::EPOLL_CTL_MOD, stream, id.to_word(), both);
            watched = std::mem::replace(&mut watched, Ok(())).and(asked);
        });
        watched
    }

    fn close(&mut self, connection: ConnectionId) {
        if self.table.remove(connection).is_some() {
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
