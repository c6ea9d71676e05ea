//! Who takes part: numbers, addresses, keys.

use std::net::SocketAddr;

use centauri_wire::{KeyFile, NodeEntry, NodeId, Registry, RegistryError, Role};

/// The monitor's number.
pub const MONITOR: NodeId = NodeId(31);
/// The client's number.
pub const CLIENT: NodeId = NodeId(41);
/// The number of a node that nobody has registered.
pub const STRANGER: NodeId = NodeId(99);

/// The number of the source at `place`.
#[must_use]
pub fn source_id(place: usize) -> NodeId {
    numbered(1, place)
}

/// The number of the replica at `place`.
#[must_use]
pub fn replica_id(place: usize) -> NodeId {
    numbered(11, place)
}

fn numbered(first: u32, place: usize) -> NodeId {
    NodeId(first.saturating_add(u32::try_from(place).unwrap_or(u32::MAX)))
}

/// Where a node listens.
#[must_use]
pub fn address(node: NodeId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node.0 as u8], 4_000))
}

/// The node that listens at an address.
#[must_use]
pub fn node_at(address: SocketAddr) -> Option<NodeId> {
    match address {
        SocketAddr::V4(v4) if v4.port() == 4_000 => match v4.ip().octets() {
            [10, 0, 0, number] => Some(NodeId(u32::from(number))),
            _ => None,
        },
        _ => None,
    }
}

/// A node's key pair, the same in every run: what is simulated does not depend on it.
#[must_use]
pub fn key_of(node: NodeId) -> KeyFile {
    KeyFile::generate([node.0 as u8; 32])
}

/// The outsider's key pair, which belongs to nobody.
#[must_use]
pub fn outsiders_key() -> KeyFile {
    KeyFile::generate([0xee; 32])
}

/// The registry of so many sources and replicas, the monitor and the client.
///
/// # Errors
/// None with numbers that differ.
pub fn registry(sources: usize, replicas: usize) -> Result<Registry, RegistryError> {
    let entry = |id: NodeId, role: Role| NodeEntry {
        id,
        name: format!("{role}-{id}"),
        role,
        key: key_of(id).public_key(),
    };
    let mut nodes: Vec<_> = (0..sources).map(|place| entry(source_id(place), Role::Source)).collect();
    nodes.extend((0..replicas).map(|place| entry(replica_id(place), Role::Replica)));
    nodes.push(entry(MONITOR, Role::Monitor));
    nodes.push(entry(CLIENT, Role::Client));
    Registry::new(nodes)
}
