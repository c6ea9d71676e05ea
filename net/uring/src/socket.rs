//! The UDP socket that both drivers use: made, bound, sized, counted and sent through.

use crate::sending::{DATAGRAMS_ENOUGH, MESSAGES_MAX, Message, Prepared, Trains, speaks_of_trains};
use crate::sockaddr::{self, RawAddr};
use crate::{Backlog, Datagram, DriverConfig, DriverCounters, OpenError, Outgoing};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `getsockopt(SO_MEMINFO)` fills this many `u32`; the drop count is the last.
const MEMINFO_WORDS: usize = 9;
const MEMINFO_DROPS: usize = 8;

/// The program that lets no datagram in.
const NOTHING: libc::sock_filter =
    libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };

/// Whether others are to share a socket's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindAs {
    /// None are.
    Single,
    /// Others are, but the address must be free.
    FirstOfGroup,
    /// It joins the first.
    OtherOfGroup,
}

/// A bound UDP socket with its counters.
///
/// It stays in blocking mode, and each call says that it must not wait: io_uring fails a receive on
/// a non-blocking socket with `EAGAIN` where it would otherwise wait for data.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    local: SocketAddr,
    receive_bytes: usize,
    /// The drop count seen last, as the kernel keeps it.
    drops_seen: u32,
    /// What the kernel lets go as trains.
    trains: Trains,
    counters: DriverCounters,
}

impl Socket {
    /// Binds a socket to `addr`.
    pub(crate) fn bind(addr: SocketAddr, config: &DriverConfig) -> Result<Self, OpenError> {
        Self::bind_as(BindAs::Single, addr, config)
    }

    /// Binds a socket to `addr`. One of a group is mute until [`unmute`](Self::unmute).
    pub(crate) fn bind_as(part: BindAs, addr: SocketAddr, config: &DriverConfig) -> Result<Self, OpenError> {
        let setup = |step| move |cause| OpenError::Setup { addr, step, cause };
        let fd = create(addr).map_err(setup("creating a socket"))?;
        if addr.is_ipv6() {
            // Whether IPv4 senders reach [::] would otherwise depend on a system setting.
            set_int(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)
                .map_err(setup("opening the socket to IPv4"))?;
        }
        set_int(&fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1).map_err(setup("asking for drop counts"))?;
        let receive_bytes = set_receive_bytes(&fd, config.socket_receive_bytes)
            .map_err(setup("sizing the receive buffer"))?;
        if receive_bytes < config.socket_receive_bytes {
            tracing::warn!(
                %addr,
                asked = config.socket_receive_bytes,
                granted = receive_bytes,
                "socket receive buffer is smaller than asked for; raise net.core.rmem_max"
            );
        }
        if part != BindAs::Single {
            attach(&fd, libc::SO_ATTACH_FILTER, &mut [NOTHING]).map_err(setup("muting the socket"))?;
        }
        let share = || set_int(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
        if part == BindAs::OtherOfGroup {
            share().map_err(setup("sharing the address"))?;
        }
        bind(&fd, &sockaddr::encode(addr)).map_err(|cause| OpenError::Bind { addr, cause })?;
        if part == BindAs::FirstOfGroup {
            // Only now: whoever has the address already is found out by a socket that shares with nobody.
            share().map_err(setup("sharing the address"))?;
        }
        let local = local_addr(&fd).map_err(setup("reading the bound address"))?;
        if config.takes_trains()
            && let Err(cause) = set_int(&fd, libc::SOL_UDP, libc::UDP_GRO, 1)
        {
            tracing::debug!(%addr, %cause, "the kernel hands over no trains");
        }
        // Zero makes no trains by itself; it only asks whether the kernel knows of them.
        let trains = match set_int(&fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0) {
            Ok(()) => Trains::ANY,
            Err(_) => Trains::NONE,
        };
        Ok(Self { fd, local, receive_bytes, drops_seen: 0, trains, counters: DriverCounters::default() })
    }

    /// Gives the program that chooses among the sockets of the group that this one is in; others must have joined it.
    pub(crate) fn steer_group(&self, program: &mut [libc::sock_filter]) -> io::Result<()> {
        attach(&self.fd, libc::SO_ATTACH_REUSEPORT_CBPF, program)
    }

    /// Lets datagrams in; those refused so far do not count as dropped.
    pub(crate) fn unmute(&mut self) -> io::Result<()> {
        self.drops_seen = kernel_drop_count(&self.fd).unwrap_or(0);
        set_int(&self.fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0)
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn receive_bytes(&self) -> usize {
        self.receive_bytes
    }

    /// How full the receive buffer is.
    pub(crate) fn backlog(&self) -> Option<Backlog> {
        let mut words = [0; MEMINFO_WORDS];
        let written = get_words(&self.fd, libc::SO_MEMINFO, &mut words).ok()?;
        let [bytes, limit, ..] = words;
        (written >= 2 * size_of::<u32>()).then_some(Backlog { bytes: bytes as usize, limit: limit as usize })
    }

    pub(crate) fn counters_mut(&mut self) -> &mut DriverCounters {
        &mut self.counters
    }

    /// Counts a datagram that goes to the sink.
    pub(crate) fn count_received(&mut self, datagram: &Datagram<'_>) {
        self.counters.datagrams += 1;
        self.counters.bytes += datagram.bytes.len() as u64;
        self.counters.truncated += u64::from(datagram.truncated);
    }

    /// Takes note of the drop count that came with a datagram.
    pub(crate) fn note_drop_count(&mut self, count: u32) {
        // The kernel's counter wraps; datagrams come in the order in which it was stamped on them.
        self.counters.kernel_drops += u64::from(count.wrapping_sub(self.drops_seen));
        self.drops_seen = count;
    }

    /// Counters, with the drops that no datagram has told of yet.
    pub(crate) fn counters(&self) -> DriverCounters {
        let mut counters = self.counters;
        if let Some(count) = kernel_drop_count(&self.fd) {
            counters.kernel_drops += u64::from(count.wrapping_sub(self.drops_seen));
        }
        counters
    }

    /// Sends without waiting; a full buffer is counted and is no error.
    pub(crate) fn send_to(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let outcome = self.raw_addr(to).and_then(|to| send(&self.fd, bytes, &to));
        self.settle(1, bytes.len(), outcome)
    }

    /// Sends all without waiting; gives the first error there was.
    pub(crate) fn send_batch(&mut self, datagrams: &[Outgoing<'_>]) -> io::Result<()> {
        if let [one] = datagrams {
            return self.send_to(one.bytes, one.to);
        }
        let mut outcome = Ok(());
        let mut rest = datagrams;
        while !rest.is_empty() {
            let mut messages = Vec::with_capacity(rest.len().min(MESSAGES_MAX));
            let mut planned = 0;
            while messages.len() < MESSAGES_MAX && planned < DATAGRAMS_ENOUGH && !rest.is_empty() {
                let (datagrams, others) =
                    rest.split_at_checked(self.trains.together(rest)).unwrap_or((rest, &[]));
                let Some(first) = datagrams.first() else { break };
                rest = others;
                planned += datagrams.len();
                match self.raw_addr(first.to) {
                    Ok(to) => messages.push(Message { datagrams, to }),
                    Err(error) => outcome = outcome.and(self.settle(datagrams.len(), 0, Err(error))),
                }
            }
            outcome = outcome.and(self.send_messages(&messages));
        }
        outcome
    }

    /// Sends all; gives the first error there was.
    fn send_messages(&mut self, messages: &[Message<'_>]) -> io::Result<()> {
        let mut outcome = Ok(());
        let mut prepared = Prepared::new(messages);
        let mut done = 0;
        while let Some(next) = messages.get(done) {
            if next.train_of().is_some_and(|size| !self.trains.take(size)) {
                // It was put together before the kernel refused the like of it.
                outcome = outcome.and(self.send_apart(next));
                done += 1;
                continue;
            }
            match prepared.send(&self.fd, done) {
                Ok(taken) => {
                    for message in messages.iter().skip(done).take(taken) {
                        self.counters.sent_trains += u64::from(message.train_of().is_some());
                        let _ = self.settle(message.datagrams.len(), message.bytes(), Ok(()));
                    }
                    done += taken;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Of the first message not taken; the one after it gets its own call.
                Err(error) => {
                    done += 1;
                    outcome = outcome.and(match next.train_of() {
                        Some(size) if speaks_of_trains(&error) => self.send_refused(next, size, &error),
                        _ => self.settle(next.datagrams.len(), next.bytes(), Err(error)),
                    });
                }
            }
        }
        outcome
    }

    /// Sends the datagrams of a train that failed with `refusal` one by one; if that works, the fault was the train's.
    fn send_refused(&mut self, train: &Message<'_>, size: usize, refusal: &io::Error) -> io::Result<()> {
        let sent_before = self.counters.sent;
        let outcome = self.send_apart(train);
        // Otherwise it was the destination's, port 0 for example, which says nothing of other trains.
        if self.counters.sent > sent_before {
            self.trains.refused(size, refusal);
            tracing::debug!(addr = %self.local, size, %refusal, "datagrams of this size go one by one from now on");
        }
        outcome
    }

    /// Sends the datagrams of a train one by one.
    fn send_apart(&mut self, train: &Message<'_>) -> io::Result<()> {
        let mut outcome = Ok(());
        for datagram in train.datagrams {
            let one = send(&self.fd, datagram.bytes, &train.to);
            outcome = outcome.and(self.settle(1, datagram.bytes.len(), one));
        }
        outcome
    }

    /// The kernel's form of a destination.
    fn raw_addr(&self, to: SocketAddr) -> io::Result<RawAddr> {
        sockaddr::for_family_of(self.local, to).map(sockaddr::encode).ok_or_else(|| {
            let text = format!("{to}: cannot be reached from {}", self.local);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }

    /// Counts what became of `datagrams` with `bytes` of payload together.
    fn settle(&mut self, datagrams: usize, bytes: usize, outcome: io::Result<()>) -> io::Result<()> {
        match outcome {
            Ok(()) => {
                self.counters.sent += datagrams as u64;
                self.counters.sent_bytes += bytes as u64;
                Ok(())
            }
            // ENOBUFS is what a full interface queue says.
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock
                    || error.raw_os_error() == Some(libc::ENOBUFS) =>
            {
                self.counters.send_would_block += datagrams as u64;
                Ok(())
            }
            Err(error) => {
                self.counters.send_errors += datagrams as u64;
                Err(error)
            }
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Turns the `-1` of a system call into the thread's error.
pub(crate) fn check(outcome: libc::c_int) -> io::Result<libc::c_int> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}

fn create(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: socket() takes numbers only.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the call succeeded, so `fd` is open, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind(fd: &OwnedFd, addr: &RawAddr) -> io::Result<()> {
    let name = addr.as_bytes();
    // SAFETY: the pointer and length are of one live slice, which the kernel copies during the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), name.as_ptr().cast(), name.len() as libc::socklen_t) })?;
    Ok(())
}

fn local_addr(fd: &OwnedFd) -> io::Result<SocketAddr> {
    let mut name = [0u8; sockaddr::NAME_BYTES];
    let mut len = name.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `name`, whose size `len` is, and the length
    // to `len`; both outlive the call.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), name.as_mut_ptr().cast(), &raw mut len) })?;
    name.get(..len as usize)
        .and_then(sockaddr::decode)
        .ok_or_else(|| io::Error::other("the kernel named an address that is not IPv4 or IPv6"))
}

fn set_int(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: i32) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<i32>()` bytes of `value`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Gives a classic BPF program to the socket, for what `name` says.
fn attach(fd: &OwnedFd, name: libc::c_int, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads one sock_fprog, and through it `len` instructions of a live slice, during the call; it checks
    // the program before it takes it.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Waits until what the kernel was doing for datagrams on other cores when this was called is done.
///
/// A processor looks a datagram's socket up and puts the datagram in its buffer under one RCU read lock, and a virtual one may
/// be halted for long in between. The kernel carries this barrier out as a wait for all such locks to be let go. Where it has
/// none, or a sandbox forbids it, what is left is a rare race.
pub(crate) fn let_lookups_end() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes numbers only, and changes nothing.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
}

/// Reads up to `N` words of an option; returns how many bytes the kernel wrote.
fn get_words<const N: usize>(fd: &OwnedFd, name: libc::c_int, words: &mut [u32; N]) -> io::Result<usize> {
    let mut len = size_of_val(words) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `words`, whose size `len` is, and the length
    // to `len`; both outlive the call, and any bytes are valid `u32`s.
    check(unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, words.as_mut_ptr().cast(), &raw mut len)
    })?;
    Ok(len as usize)
}

/// Asks for a receive buffer of `bytes` and returns what was granted.
fn set_receive_bytes(fd: &OwnedFd, bytes: usize) -> io::Result<usize> {
    let asked = i32::try_from(bytes).unwrap_or(i32::MAX);
    // The first needs CAP_NET_ADMIN and is not bound by net.core.rmem_max.
    if set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, asked).is_err() {
        set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, asked)?;
    }
    let mut granted = [0u32];
    get_words(fd, libc::SO_RCVBUF, &mut granted)?;
    // The kernel books twice what it is asked for, for its own overhead, and says so.
    Ok(granted[0] as usize / 2)
}

/// How many datagrams the socket has dropped, modulo 2^32; `None` if the kernel does not say.
fn kernel_drop_count(fd: &OwnedFd) -> Option<u32> {
    let mut words = [0; MEMINFO_WORDS];
    let written = get_words(fd, libc::SO_MEMINFO, &mut words).ok()?;
    (written > MEMINFO_DROPS * size_of::<u32>()).then(|| words[MEMINFO_DROPS])
}

fn send(fd: &OwnedFd, bytes: &[u8], to: &RawAddr) -> io::Result<()> {
    let name = to.as_bytes();
    loop {
        // SAFETY: both pointers come with the length of the live slice they are of, and the kernel
        // only reads them, during the call.
        let sent = unsafe {
            libc::sendto(
                fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                name.as_ptr().cast(),
                name.len() as libc::socklen_t,
            )
        };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_counts_accumulate_over_the_wrap() {
        let addr = "127.0.0.1:0".parse().unwrap();
        let mut socket = Socket::bind(addr, &DriverConfig::default()).unwrap();
        for (count, total) in [(5, 5), (5, 5), (u32::MAX, 0xffff_ffff), (2, 0x1_0000_0002)] {
            socket.note_drop_count(count);
            assert_eq!(socket.counters.kernel_drops, total);
        }
    }
}
