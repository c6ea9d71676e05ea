//! Socket addresses between Rust's types and the kernel's byte layout, with every length checked.
//!
//! `sockaddr_in`: family (2 bytes, native order), port (2, network order), address (4), padding (8).
//! `sockaddr_in6`: family (2), port (2), flow label (4, network order), address (16), scope (4,
//! native order).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

const V4_BYTES: usize = 16;
const V6_BYTES: usize = 28;
const _: () = assert!(V4_BYTES == size_of::<libc::sockaddr_in>());
const _: () = assert!(V6_BYTES == size_of::<libc::sockaddr_in6>());

/// Room for either address, rounded up so that what follows it in a buffer is aligned to 8.
pub(crate) const NAME_BYTES: usize = 32;

/// An address as the kernel takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawAddr {
    bytes: [u8; NAME_BYTES],
    len: usize,
}

impl RawAddr {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// The kernel's form of `addr`.
pub(crate) fn encode(addr: SocketAddr) -> RawAddr {
    let mut bytes = [0; NAME_BYTES];
    let (family, len) = match addr {
        SocketAddr::V4(v4) => {
            bytes[4..8].copy_from_slice(&v4.ip().octets());
            (libc::AF_INET, V4_BYTES)
        }
        SocketAddr::V6(v6) => {
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (libc::AF_INET6, V6_BYTES)
        }
    };
    // AF_INET and AF_INET6 are small positive numbers.
    bytes[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
    bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
    RawAddr { bytes, len }
}

/// Reads an address that the kernel wrote; `None` if it is neither IPv4 nor IPv6, or too short.
///
/// An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) becomes the IPv4 address. The flow label is
/// dropped: it is the sender's to vary and says nothing of who the sender is.
pub(crate) fn decode(name: &[u8]) -> Option<SocketAddr> {
    let family = libc::c_int::from(u16::from_ne_bytes(field(name, 0)?));
    let port = u16::from_be_bytes(field(name, 2)?);
    if family == libc::AF_INET {
        let address: [u8; 4] = field(name, 4)?;
        // The kernel always writes the padding; less means that something is amiss.
        (name.len() >= V4_BYTES).then(|| (Ipv4Addr::from(address), port).into())
    } else if family == libc::AF_INET6 {
        let address = Ipv6Addr::from(field::<16>(name, 8)?);
        let scope = u32::from_ne_bytes(field(name, 24)?);
        Some(match address.to_ipv4_mapped() {
            Some(v4) => (v4, port).into(),
            None => SocketAddrV6::new(address, port, 0, scope).into(),
        })
    } else {
        None
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// `to` in the family of a socket bound to `local`: IPv4 becomes IPv4-mapped on an IPv6 socket.
/// `None` for an IPv6 destination on an IPv4 socket, which has no way there.
pub(crate) fn for_family_of(local: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
    match (local, to) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
            Some(SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()))
        }
        (SocketAddr::V4(_), SocketAddr::V6(v6)) => {
            let v4 = v6.ip().to_ipv4_mapped()?;
            Some(SocketAddr::new(v4.into(), v6.port()))
        }
        _ => Some(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn round_trip() {
        for text in ["1.2.3.4:5", "255.0.0.1:65535", "[::1]:7700", "[fe80::1%7]:1"] {
            let addr = parse(text);
            assert_eq!(decode(encode(addr).as_bytes()), Some(addr));
        }
    }

    #[test]
    fn layout_is_the_kernels() {
        let raw = encode(parse("10.20.30.40:4660"));
        assert_eq!(&raw.as_bytes()[2..8], &[0x12, 0x34, 10, 20, 30, 40]);
        assert_eq!(raw.as_bytes().len(), 16);
        let raw = encode(parse("[102:304::ff]:4660"));
        assert_eq!(&raw.as_bytes()[2..12], &[0x12, 0x34, 0, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(raw.as_bytes()[23], 0xff);
        assert_eq!(raw.as_bytes().len(), 28);
    }

    #[test]
    fn short_or_foreign_names_are_refused() {
        for text in ["1.2.3.4:5", "[::1]:7700"] {
            let raw = encode(parse(text));
            for len in 0..raw.as_bytes().len() {
                assert_eq!(decode(&raw.as_bytes()[..len]), None, "{text} cut to {len}");
            }
        }
        let mut unix = [0; 32];
        unix[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
        assert_eq!(decode(&unix), None);
    }

    #[test]
    fn mapped_addresses_have_one_name() {
        let mapped = encode(parse("[::ffff:1.2.3.4]:9"));
        assert_eq!(decode(mapped.as_bytes()), Some(parse("1.2.3.4:9")));
        let v6 = parse("[::]:1");
        let v4 = parse("0.0.0.0:1");
        assert_eq!(for_family_of(v6, parse("1.2.3.4:9")), Some(parse("[::ffff:1.2.3.4]:9")));
        assert_eq!(for_family_of(v4, parse("[::ffff:1.2.3.4]:9")), Some(parse("1.2.3.4:9")));
        assert_eq!(for_family_of(v4, parse("[::1]:9")), None);
    }
}
