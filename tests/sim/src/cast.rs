//! Who takes part: numbers, addresses, keys.

use std::net::SocketAddr;

use centauri_wire::{KeyFile, NodeEntry, NodeId, Registry, RegistryError, Role};

use crate::Plan;

/// The monitor's number.
pub const MONITOR: NodeId = NodeId(31);
/// The client's number. It sends its decisions to those who follow it, as an engine does.
pub const CLIENT: NodeId = NodeId(41);
/// The number of the client of the later stage.
pub const LATER: NodeId = NodeId(42);
/// The number of another client, which asks replicas for the same computations.
pub const OTHER_CLIENT: NodeId = NodeId(43);
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

/// The number of the replica of the later stage at `place`.
#[must_use]
pub fn relay_id(place: usize) -> NodeId {
    numbered(21, place)
}

/// The number of the replica at `place` of those that wait for each other.
#[must_use]
pub fn ring_id(place: usize) -> NodeId {
    numbered(27, place)
}

/// The number of the follower at `place`.
#[must_use]
pub fn follower_id(place: usize) -> NodeId {
    numbered(51, place)
}

pub(crate) fn numbered(first: u32, place: usize) -> NodeId {
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

/// The registry of all who take part in a plan.
///
/// # Errors
/// None with numbers that differ.
pub fn registry(plan: &Plan) -> Result<Registry, RegistryError> {
    let entry = |id: NodeId| {
        let role = role_of(id);
        NodeEntry { id, name: format!("{role}-{id}"), role, key: key_of(id).public_key() }
    };
    let mut nodes: Vec<_> = plan.nodes().into_iter().map(entry).collect();
    if plan.publish_every_ns.is_none() {
        nodes.push(entry(MONITOR));
    }
    Registry::new(nodes)
}

/// Who may do what, by number.
fn role_of(id: NodeId) -> Role {
    match id.0 {
        ..=10 => Role::Source,
        11..=30 => Role::Replica,
        31..=40 => Role::Monitor,
        41..=42 => Role::Engine,
        _ => Role::Client,
    }
}
