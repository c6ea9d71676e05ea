//! What waits to be sent on a connection.

use super::Waiting;
use crate::socket::check;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// An outbox that has been emptied keeps this much memory for what comes next.
const KEPT_BYTES: usize = 16 << 10;

/// What waits to be sent on a connection, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// So many of them are with the kernel.
    sent: usize,
    /// Bytes that the kernel has taken in all.
    taken: u64,
    /// The kernel takes no more for now, and will say when it does.
    pub(super) is_blocked: bool,
    is_broken: bool,
}

/// What the kernel made of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// It has everything.
    All,
    /// It takes no more for now.
    Blocked,
    /// The connection is broken. Whoever receives from it is told.
    Broken,
}

impl Outbox {
    /// Whether no more than `max` bytes would wait with `parts` behind them.
    pub(super) fn has_room(&self, parts: &[&[u8]], max: usize) -> bool {
        length(parts) <= max.saturating_sub(self.waiting())
    }

    /// Puts all `parts` behind what waits; or none of them, and says so, if there would be more than `max` bytes.
    pub(super) fn push(&mut self, parts: &[&[u8]], max: usize) -> bool {
        if self.is_broken || !self.has_room(parts, max) {
            return false;
        }
        let more = length(parts);
        if self.sent > 0 && self.bytes.len().saturating_add(more) > self.bytes.capacity() {
            // Rather than growing for what is with the kernel already.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        // It grows as a vector does, but not beyond what may wait.
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let room = needed.max((2 * self.bytes.capacity()).min(max));
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        true
    }

    /// Bytes that the kernel does not have yet.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn state(&self) -> Waiting {
        Waiting { bytes: self.waiting(), taken: self.taken }
    }

    /// Hands the kernel what it takes; returns how many bytes that was.
    pub(super) fn flush(&mut self, stream: &TcpStream) -> (usize, Flushed) {
        let before = self.waiting();
        self.is_blocked = false;
        let flushed = loop {
            let rest = self.bytes.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                break Flushed::All;
            }
            match send(stream, rest) {
                Ok(sent) => self.sent += sent.min(rest.len()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        self.is_blocked = true;
                        break Flushed::Blocked;
                    }
                    _ => {
                        self.is_broken = true;
                        break Flushed::Broken;
                    }
                },
            }
        };
        let taken = before - self.waiting();
        self.taken += taken as u64;
        if flushed != Flushed::Blocked {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.sent = 0;
        }
        (taken, flushed)
    }
}

fn length(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.len()))
}

/// Sends what the kernel takes at once. That the peer has gone is an error, and no signal.
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads `bytes.len()` bytes at `bytes` during the call.
    let sent = unsafe { libc::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    match usize::try_from(sent) {
        Ok(sent) => Ok(sent),
        Err(_) => check(-1).map(|_| 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::net::TcpListener;

    #[test]
    fn parts_go_whole_or_not_at_all_and_arrive_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let mut outbox = Outbox::default();
        let part = vec![7; 1 << 20];
        let max = 64 << 20;
        let mut pushed = 0;
        // Until the kernel takes no more and the outbox is full.
        while outbox.push(&[&[1], &part], max) {
            pushed += 1 + part.len();
            outbox.flush(&stream);
        }
        assert!(outbox.is_blocked && outbox.waiting() <= max && outbox.waiting() + part.len() + 1 > max);
        assert!(outbox.bytes.capacity() <= max, "{}", outbox.bytes.capacity());
        assert_eq!(outbox.state().taken, (pushed - outbox.waiting()) as u64);
        assert!(!outbox.push(&[&[1], &part], max));
        let reader = std::thread::spawn(move || {
            let mut came = Vec::new();
            peer.read_to_end(&mut came).map(|_| came).unwrap()
        });
        while outbox.flush(&stream).1 == Flushed::Blocked {
            std::thread::yield_now();
        }
        assert!(!outbox.is_blocked && outbox.bytes.capacity() <= KEPT_BYTES);
        drop(stream);
        let came = reader.join().unwrap();
        assert_eq!(came.len(), pushed);
        let is_as_sent = |(at, byte): (usize, &u8)| *byte == if at % (1 + part.len()) == 0 { 1 } else { 7 };
        assert!(came.iter().enumerate().all(is_as_sent));
    }

    #[test]
    fn a_broken_connection_takes_nothing_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (stream, _) = listener.accept().unwrap();
        let mut outbox = Outbox::default();
        let mut last = Flushed::All;
        for _ in 0..1_000 {
            if !outbox.push(&[b"x"], 8) {
                break;
            }
            last = outbox.flush(&stream).1;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(last, Flushed::Broken);
        assert_eq!(outbox.waiting(), 0);
    }
}
