//! A subscription as bytes, to be kept over a restart.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 1 | version | 1 |
//! | 1 | 4 | node `u32` | who asked |
//! | 5 | 8 | request id `u64` | |
//! | 13 | 8 | timestamp `i64` ns | of the request |
//! | 21 | 8 | expires `i64` ns | by the clock of who serves it |
//! | 29 | 8 | validity `u64` ns | |
//! | 37 | 8 | period `i64` ns | |
//! | 45 | 1 | address length | a |
//! | 46 | a | address | text |
//! | 46 + a | | query | text, to the end |
//!
//! Everything is little-endian.

use std::net::SocketAddr;

use centauri_wire::{NodeId, QUERY_BYTES_MAX};

/// What is kept of a subscription: what was asked, and not what was found for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) node: NodeId,
    pub(crate) request_id: u64,
    pub(crate) timestamp_ns: i64,
    pub(crate) expires_ns: i64,
    pub(crate) validity_ns: u64,
    pub(crate) period_ns: i64,
    pub(crate) address: SocketAddr,
    pub(crate) query: String,
}

const VERSION: u8 = 1;

impl Kept {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&self.request_id.to_le_bytes());
        out.extend_from_slice(&self.timestamp_ns.to_le_bytes());
        out.extend_from_slice(&self.expires_ns.to_le_bytes());
        out.extend_from_slice(&self.validity_ns.to_le_bytes());
        out.extend_from_slice(&self.period_ns.to_le_bytes());
        let address = self.address.to_string();
        out.push(u8::try_from(address.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(address.as_bytes());
        out.extend_from_slice(self.query.as_bytes());
        out
    }

    /// `None` for bytes that are nothing of the kind.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (first, left) = rest.split_first_chunk::<N>()?;
            *rest = left;
            Some(*first)
        }
        let rest = &mut &*bytes;
        if take::<1>(rest)? != [VERSION] {
            return None;
        }
        let node = NodeId(u32::from_le_bytes(take(rest)?));
        let request_id = u64::from_le_bytes(take(rest)?);
        let (timestamp_ns, expires_ns) = (i64::from_le_bytes(take(rest)?), i64::from_le_bytes(take(rest)?));
        let (validity_ns, period_ns) = (u64::from_le_bytes(take(rest)?), i64::from_le_bytes(take(rest)?));
        let [length] = take::<1>(rest)?;
        let (address, query) = rest.split_at_checked(usize::from(length))?;
        let address = std::str::from_utf8(address).ok()?.parse().ok()?;
        let query =
            std::str::from_utf8(query).ok().filter(|query| query.len() <= QUERY_BYTES_MAX)?.to_owned();
        Some(Self { node, request_id, timestamp_ns, expires_ns, validity_ns, period_ns, address, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_read_back_and_no_bytes_make_it_panic(
            numbers in (any::<u32>(), any::<u64>(), any::<i64>(), any::<i64>(), any::<u64>(), any::<i64>()),
            port: u16,
            six: bool,
            query in ".{0,80}",
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            cut in 0_usize..120,
        ) {
            let (node, request_id, timestamp_ns, expires_ns, validity_ns, period_ns) = numbers;
            let address = if six { format!("[fe80::1:2]:{port}") } else { format!("192.168.100.200:{port}") };
            let address = address.parse().unwrap();
            let node = NodeId(node);
            let kept = Kept { node, request_id, timestamp_ns, expires_ns, validity_ns, period_ns, address, query };
            let written = kept.encode();
            prop_assert_eq!(Kept::decode(&written), Some(kept));
            let _ = Kept::decode(&bytes);
            let _ = Kept::decode(&written[..cut.min(written.len())]);
        }
    }
}
