//! Many datagrams in one system call: what goes together as one message, and the one place that makes the call.
//!
//! A *train* is a message that the kernel cuts into datagrams of one size (`UDP_SEGMENT`): it takes the way through the
//! network stack once. A message of another kind is one datagram.

use crate::control::{self, SEGMENT_BYTES};
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::sockaddr::RawAddr;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr;

/// Most messages that one system call takes.
pub(crate) const MESSAGES_MAX: usize = 64;
/// Most datagrams of one train: what every kernel with `UDP_SEGMENT` takes (newer ones take 128).
const TRAIN_MAX: usize = 64;
/// A call's messages are no longer added to once they hold this many datagrams, which bounds the memory it takes.
pub(crate) const DATAGRAMS_ENOUGH: usize = 1_024;
/// A datagram of this size fits every path: the smallest link that IPv6 allows (1,280) less 40 (IPv6) and 8 (UDP) bytes.
const FITS_EVERY_PATH: usize = 1_232;

/// A datagram to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The payload; may be empty.
    pub bytes: &'a [u8],
    /// Where it goes.
    pub to: SocketAddr,
}

/// What is known of the trains that the kernel takes from one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trains {
    /// The longest datagrams that go as trains; zero for no trains at all.
    datagram_bytes_max: usize,
}

impl Trains {
    pub(crate) const NONE: Self = Self { datagram_bytes_max: 0 };
    pub(crate) const ANY: Self = Self { datagram_bytes_max: DATAGRAM_BYTES_MAX };

    /// Whether datagrams of `size` bytes may go as a train.
    pub(crate) fn take(self, size: usize) -> bool {
        (1..=self.datagram_bytes_max).contains(&size)
    }

    /// How many datagrams from the beginning of `datagrams` go as one message: 1, or a train's number; 0 if there are none.
    pub(crate) fn together(self, datagrams: &[Outgoing<'_>]) -> usize {
        let Some((first, others)) = datagrams.split_first() else {
            return 0;
        };
        let size = first.bytes.len();
        if !self.take(size) {
            return 1;
        }
        let mut total = size;
        let mut count = 1;
        for other in others.iter().take(TRAIN_MAX - 1) {
            // An empty datagram would add nothing to the train, and so be lost.
            let fits = !other.bytes.is_empty() && other.bytes.len() <= size && other.to == first.to;
            total = total.saturating_add(other.bytes.len());
            if !fits || total > DATAGRAM_BYTES_MAX {
                break;
            }
            count += 1;
            if other.bytes.len() < size {
                break;
            }
        }
        count
    }

    /// Takes note that a train of datagrams of `size` bytes failed with `error` where they went one by one.
    pub(crate) fn refused(&mut self, size: usize, error: &io::Error) {
        // EIO: this socket's way out cannot cut trains. Otherwise the datagrams may only have been longer than the link takes
        // (the kernel does not cut a datagram of a train into fragments); shorter ones are still worth the try.
        let whatever_their_size = error.raw_os_error() == Some(libc::EIO) || size <= FITS_EVERY_PATH;
        let max = if whatever_their_size { 0 } else { size - 1 };
        self.datagram_bytes_max = self.datagram_bytes_max.min(max);
    }
}

/// Whether `error` can mean that datagrams cannot go as a train, though they can go one by one.
pub(crate) fn speaks_of_trains(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
}

/// Consecutive datagrams that go to the kernel as one message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// More than one make a train.
    pub(crate) datagrams: &'a [Outgoing<'a>],
    /// Their common destination.
    pub(crate) to: RawAddr,
}

impl Message<'_> {
    /// Payload bytes of all its datagrams.
    pub(crate) fn bytes(&self) -> usize {
        self.datagrams.iter().map(|datagram| datagram.bytes.len()).sum()
    }

    /// The size of a train's datagrams, the last of which may be shorter.
    pub(crate) fn train_of(&self) -> Option<usize> {
        self.datagrams.first().filter(|_| self.datagrams.len() > 1).map(|first| first.bytes.len())
    }
}

/// Messages as the kernel takes them.
///
/// The headers point into the other two vectors, none of which changes after [`new`](Self::new), and into the payloads.
pub(crate) struct Prepared<'a> {
    headers: Vec<libc::mmsghdr>,
    _vectors: Vec<libc::iovec>,
    _controls: Vec<[u8; SEGMENT_BYTES]>,
    _messages: PhantomData<&'a [Message<'a>]>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(messages: &'a [Message<'a>]) -> Self {
        let datagrams = messages.iter().map(|message| message.datagrams.len()).sum();
        let mut vectors: Vec<libc::iovec> = Vec::with_capacity(datagrams);
        let mut controls = Vec::with_capacity(messages.len());
        for message in messages {
            vectors.extend(message.datagrams.iter().map(|datagram| libc::iovec {
                // The kernel only reads what is sent; an iovec has no pointer to constant bytes.
                iov_base: datagram.bytes.as_ptr().cast_mut().cast(),
                iov_len: datagram.bytes.len(),
            }));
            // A train's datagrams are no longer than a datagram may be, which fits.
            let size = u16::try_from(message.train_of().unwrap_or(0)).unwrap_or(0);
            controls.push(control::segment_size(size));
        }
        let mut headers = Vec::with_capacity(messages.len());
        let mut rest = vectors.as_mut_slice();
        for (message, control) in messages.iter().zip(&mut controls) {
            let (mine, others) = rest.split_at_mut_checked(message.datagrams.len()).unwrap_or_default();
            rest = others;
            let name = message.to.as_bytes();
            // SAFETY: all zeroes is a valid mmsghdr: null pointers and lengths of zero.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len() as libc::socklen_t;
            header.msg_hdr.msg_iov = mine.as_mut_ptr();
            header.msg_hdr.msg_iovlen = mine.len() as _;
            if message.train_of().is_some() {
                header.msg_hdr.msg_control = ptr::from_mut(control).cast();
                header.msg_hdr.msg_controllen = control.len() as _;
            }
            headers.push(header);
        }
        Self { headers, _vectors: vectors, _controls: controls, _messages: PhantomData }
    }

    /// Sends from message `from` on, without waiting; returns how many messages the kernel took, at least one.
    ///
    /// # Errors
    /// What became of message `from`, if it was not taken.
    pub(crate) fn send(&mut self, socket: &impl AsRawFd, from: usize) -> io::Result<usize> {
        let headers = self.headers.get_mut(from..).unwrap_or_default();
        // SAFETY: `headers` holds as many headers as is said. Each points to a name, a control message, a run of vectors and,
        // through these, payloads, with their true sizes. Names and payloads are borrowed for 'a; the vectors are owned by
        // `self` on the heap and have not changed since. The kernel reads all of it during the call and writes nothing but
        // the headers' lengths.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        match usize::try_from(sent) {
            Ok(0) => Err(io::Error::other("the kernel took no message and gave no reason")),
            Ok(sent) => Ok(sent),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static BYTES: [u8; 65_507] = [7; 65_507];

    fn outgoing(lens: &[usize]) -> Vec<Outgoing<'static>> {
        let to = "127.0.0.1:9".parse().unwrap();
        lens.iter().map(|&len| Outgoing { bytes: &BYTES[..len], to }).collect()
    }

    fn messages(trains: Trains, mut datagrams: &[Outgoing<'_>]) -> Vec<usize> {
        let mut counts = Vec::new();
        while !datagrams.is_empty() {
            let count = trains.together(datagrams);
            counts.push(count);
            datagrams = &datagrams[count..];
        }
        counts
    }

    #[test]
    fn trains_are_runs_of_one_size_with_a_shorter_end() {
        for (lens, expected) in [
            (vec![], vec![]),
            (vec![5], vec![1]),
            (vec![5, 5, 5], vec![3]),
            (vec![5, 5, 3], vec![3]),
            (vec![5, 5, 3, 3, 3], vec![3, 2]),
            (vec![5, 5, 6, 6], vec![2, 2]),
            (vec![3, 5, 4, 5], vec![1, 2, 1]),
            (vec![0, 0, 5, 0, 5, 5, 0], vec![1, 1, 1, 1, 2, 1]),
            (vec![1; 130], vec![64, 64, 2]),
            (vec![30_000; 5], vec![2, 2, 1]),
            (vec![65_507, 1], vec![1, 1]),
            (vec![65_506, 1, 1], vec![2, 1]),
        ] {
            assert_eq!(messages(Trains::ANY, &outgoing(&lens)), expected, "{lens:?}");
            assert_eq!(messages(Trains::NONE, &outgoing(&lens)), vec![1; lens.len()]);
        }
    }

    #[test]
    fn a_train_has_one_destination() {
        let mut datagrams = outgoing(&[5; 6]);
        datagrams[2].to = "127.0.0.1:10".parse().unwrap();
        datagrams[3].to = "127.0.0.1:10".parse().unwrap();
        assert_eq!(messages(Trains::ANY, &datagrams), [2, 2, 2]);
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        let error = io::Error::from_raw_os_error;
        let mut trains = Trains::ANY;
        trains.refused(9_000, &error(libc::EMSGSIZE));
        assert_eq!(messages(trains, &outgoing(&[9_000, 9_000, 8_999, 8_999])), [1, 1, 2]);
        trains.refused(1_473, &error(libc::EINVAL));
        trains.refused(9_000, &error(libc::EINVAL));
        assert_eq!(messages(trains, &outgoing(&[1_473, 1_473, 1_472, 1_472])), [1, 1, 2]);
        let mut small = trains;
        small.refused(1_232, &error(libc::EINVAL));
        assert_eq!(small, Trains::NONE);
        trains.refused(65_000, &error(libc::EIO));
        assert_eq!(trains, Trains::NONE);
    }
}
