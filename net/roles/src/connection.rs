//! Connections as addresses, for roles, which know only where a frame came from and where one goes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The first half of the addresses: the prefix `100::/64`, which is for packets that are to be thrown away (RFC 6666).
const PREFIX: u64 = 0x0100 << 48;

/// The address that stands for connection `number` of a driver: what is sent there goes on that connection, as long as it is open.
///
/// It is of a prefix that no network carries packets of (RFC 6666). A driver must not let datagrams pass that claim to be from it.
/// Another process has other connections by these numbers, so it is not to be kept.
///
/// ```
/// use centauri_roles::{connection_address, connection_of};
/// let address = connection_address(7);
/// assert_eq!(address.to_string(), "[100::7]:0");
/// assert_eq!(connection_of(address), Some(7));
/// assert_eq!(connection_of("127.0.0.1:9".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn connection_address(number: u64) -> SocketAddr {
    let bits = u128::from(PREFIX) << 64 | u128::from(number);
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), 0)
}

/// The number of the connection that an address stands for; `None` for one that is an address.
#[must_use]
pub fn connection_of(address: SocketAddr) -> Option<u64> {
    let IpAddr::V6(ip) = address.ip() else { return None };
    let bits = ip.to_bits();
    ((bits >> 64) as u64 == PREFIX).then_some(bits as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_and_no_other_address_has_one(number: u64, other: u128, port: u16) {
            prop_assert_eq!(connection_of(connection_address(number)), Some(number));
            let ip = Ipv6Addr::from_bits(other);
            let is_discarded = ip.segments()[..4] == [0x100, 0, 0, 0];
            let found = connection_of(SocketAddr::new(IpAddr::V6(ip), port));
            prop_assert_eq!(found.is_some(), is_discarded);
        }
    }
}
