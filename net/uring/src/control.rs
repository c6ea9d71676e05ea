//! Control messages: finding the drop count that `SO_RXQ_OVFL` puts beside a datagram.
//!
//! A control message is a `cmsghdr` (length as `usize` with the header included, level and type as
//! `int`), its data, and padding to the alignment of `usize`.

const ALIGN: usize = align_of::<libc::cmsghdr>();
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
const LEVEL_AT: usize = size_of::<usize>();
const TYPE_AT: usize = LEVEL_AT + size_of::<libc::c_int>();
const _: () = assert!(HEADER_BYTES == TYPE_AT + size_of::<libc::c_int>());
const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGN));

/// Room for one message with a `u32`.
pub(crate) const CONTROL_BYTES: usize = HEADER_BYTES + size_of::<u32>().next_multiple_of(size_of::<usize>());

/// The socket's drop count, modulo 2^32, if the kernel attached one. The kernel leaves it out as
/// long as nothing has been dropped.
pub(crate) fn drop_count(mut control: &[u8]) -> Option<u32> {
    loop {
        let len = usize::from_ne_bytes(*control.first_chunk()?);
        let level = libc::c_int::from_ne_bytes(*control.get(LEVEL_AT..)?.first_chunk()?);
        let kind = libc::c_int::from_ne_bytes(*control.get(TYPE_AT..)?.first_chunk()?);
        if len < HEADER_BYTES || len > control.len() {
            return None;
        }
        if level == libc::SOL_SOCKET && kind == libc::SO_RXQ_OVFL {
            let data = control.get(HEADER_BYTES..len)?;
            return data.first_chunk().copied().map(u32::from_ne_bytes);
        }
        control = control.get(len.next_multiple_of(ALIGN)..)?;
    }
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

    #[test]
    fn found_alone_and_behind_another() {
        let ours = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes());
        assert_eq!(ours.len(), CONTROL_BYTES);
        assert_eq!(drop_count(&ours), Some(7));
        let mut both = message(libc::SOL_IP, libc::IP_TTL, &[1, 2, 3]);
        both.extend(&ours);
        assert_eq!(drop_count(&both), Some(7));
    }

    #[test]
    fn absent_or_broken_is_none() {
        assert_eq!(drop_count(&[]), None);
        assert_eq!(drop_count(&message(libc::SOL_IP, libc::IP_TTL, &[1])), None);
        let ours = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes());
        for len in 0..HEADER_BYTES + 4 {
            assert_eq!(drop_count(&ours[..len]), None, "cut to {len}");
        }
        // Lengths that would loop for ever or run away.
        for len in [0, 1, HEADER_BYTES - 1, 1 << 20, usize::MAX] {
            let mut bad = ours.clone();
            bad[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(drop_count(&bad), None, "length {len}");
        }
    }
}
