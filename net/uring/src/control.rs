//! Control messages: the drop count that `SO_RXQ_OVFL` puts beside a datagram, and the size of a train's datagrams
//! (`UDP_GRO` of those received, `UDP_SEGMENT` of those sent).
//!
//! A control message is a `cmsghdr` (length as `usize` with the header included, level and type as
//! `int`), its data, and padding to the alignment of `usize`.

use std::num::NonZeroUsize;

const ALIGN: usize = align_of::<libc::cmsghdr>();
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
const LEVEL_AT: usize = size_of::<usize>();
const TYPE_AT: usize = LEVEL_AT + size_of::<libc::c_int>();
const _: () = assert!(HEADER_BYTES == TYPE_AT + size_of::<libc::c_int>());
const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGN));

/// Bytes of a message with a `u16`.
pub(crate) const SEGMENT_BYTES: usize = HEADER_BYTES + size_of::<u16>().next_multiple_of(ALIGN);

/// The message that makes a train of datagrams of `size` bytes.
pub(crate) fn segment_size(size: u16) -> [u8; SEGMENT_BYTES] {
    let mut message = [0; SEGMENT_BYTES];
    let fields = (HEADER_BYTES + size_of::<u16>())
        .to_ne_bytes()
        .into_iter()
        .chain(libc::SOL_UDP.to_ne_bytes())
        .chain(libc::UDP_SEGMENT.to_ne_bytes())
        .chain(size.to_ne_bytes());
    for (place, byte) in message.iter_mut().zip(fields) {
        *place = byte;
    }
    message
}

/// Room for the two messages that a datagram may come with, a `u32` and an `int`.
pub(crate) const CONTROL_BYTES: usize = 2 * (HEADER_BYTES + size_of::<u32>().next_multiple_of(ALIGN));

/// What the kernel said beside a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Beside {
    /// The socket's drop count, modulo 2^32. The kernel leaves it out as long as nothing has been dropped.
    pub(crate) drop_count: Option<u32>,
    /// The size of the datagrams of a train, the last of which may be shorter. Not there where the datagram came alone.
    pub(crate) train_of: Option<NonZeroUsize>,
}

/// Reads control messages up to the first that is broken.
pub(crate) fn read(mut control: &[u8]) -> Beside {
    let mut beside = Beside::default();
    while let Some((message, others)) = split(control) {
        match (message.level, message.kind) {
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                beside.drop_count = message.data.first_chunk().copied().map(u32::from_ne_bytes);
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size = message.data.first_chunk().copied().map(i32::from_ne_bytes);
                beside.train_of =
                    size.and_then(|size| usize::try_from(size).ok()).and_then(NonZeroUsize::new);
            }
            _ => {}
        }
        control = others;
    }
    beside
}

struct ControlMessage<'a> {
    level: libc::c_int,
    kind: libc::c_int,
    data: &'a [u8],
}

/// The first message and what follows it; `None` if there is none, or its length makes no sense.
fn split(control: &[u8]) -> Option<(ControlMessage<'_>, &[u8])> {
    let len = usize::from_ne_bytes(*control.first_chunk()?);
    let level = libc::c_int::from_ne_bytes(*control.get(LEVEL_AT..)?.first_chunk()?);
    let kind = libc::c_int::from_ne_bytes(*control.get(TYPE_AT..)?.first_chunk()?);
    // Less than a header, or more than there is: no range.
    let data = control.get(HEADER_BYTES..len)?;
    // The last message need not be padded.
    let others = control.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
    Some((ControlMessage { level, kind, data }, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: libc::c_int, kind: libc::c_int, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER_BYTES + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    fn drops(count: u32) -> Vec<u8> {
        message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &count.to_ne_bytes())
    }

    fn train(size: i32) -> Vec<u8> {
        message(libc::SOL_UDP, libc::UDP_GRO, &size.to_ne_bytes())
    }

    fn beside(drop_count: Option<u32>, train_of: Option<usize>) -> Beside {
        Beside { drop_count, train_of: train_of.and_then(NonZeroUsize::new) }
    }

    #[test]
    fn found_alone_and_among_others() {
        let other = message(libc::SOL_IP, libc::IP_TTL, &[1, 2, 3]);
        assert_eq!([drops(7), train(200)].concat().len(), CONTROL_BYTES);
        for (control, expected) in [
            (drops(7), beside(Some(7), None)),
            (train(200), beside(None, Some(200))),
            ([drops(7), train(200)].concat(), beside(Some(7), Some(200))),
            ([train(200), drops(7)].concat(), beside(Some(7), Some(200))),
            ([other.clone(), drops(7), other.clone(), train(1)].concat(), beside(Some(7), Some(1))),
        ] {
            assert_eq!(read(&control), expected);
        }
        let unpadded = train(200);
        assert_eq!(read(&unpadded[..HEADER_BYTES + 4]), beside(None, Some(200)));
    }

    #[test]
    fn a_size_that_divides_nothing_is_none() {
        for size in [0, -1, i32::MIN] {
            assert_eq!(read(&train(size)), Beside::default());
        }
    }

    #[test]
    fn what_is_written_reads_as_such() {
        let expected = message(libc::SOL_UDP, libc::UDP_SEGMENT, &1_200u16.to_ne_bytes());
        assert_eq!(segment_size(1_200)[..], expected);
    }

    #[test]
    fn absent_or_broken_is_none() {
        assert_eq!(read(&[]), Beside::default());
        assert_eq!(read(&message(libc::SOL_IP, libc::IP_TTL, &[1])), Beside::default());
        for ours in [drops(7), train(200)] {
            for len in 0..HEADER_BYTES + 4 {
                assert_eq!(read(&ours[..len]), Beside::default(), "cut to {len}");
            }
            // Lengths that would loop for ever or run away.
            for len in [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 3, 1 << 20, usize::MAX] {
                let mut bad = ours.clone();
                bad[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
                assert_eq!(read(&bad), Beside::default(), "length {len}");
            }
        }
        // What comes before stays.
        let mut cut = [drops(7), train(200)].concat();
        cut.truncate(CONTROL_BYTES - 8);
        assert_eq!(read(&cut), beside(Some(7), None));
    }
}
