//! Keys, a registry and small helpers shared by the tests.
#![expect(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod bench;
pub(crate) mod traffic;
pub(crate) mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use centauri_roles::Effects;
use centauri_wire::{
    EncodeError, FRAME_BYTES_MAX, FrameView, KeyFile, MessageView, NodeEntry, NodeId, Record, Registry,
    Request, RequestAction, Role, SigningIdentity, StreamFrameBuilder,
};

pub(crate) const MS: i64 = 1_000_000;

pub(crate) const SOURCES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
pub(crate) const REPLICAS: [NodeId; 4] = [NodeId(11), NodeId(12), NodeId(13), NodeId(14)];
pub(crate) const RELAYS: [NodeId; 3] = [NodeId(15), NodeId(16), NodeId(17)];
pub(crate) const MONITOR: NodeId = NodeId(21);
pub(crate) const CLIENT: NodeId = NodeId(31);
pub(crate) const OTHER_CLIENT: NodeId = NodeId(32);
pub(crate) const ENGINE: NodeId = NodeId(41);

pub(crate) fn identity(node: NodeId) -> SigningIdentity {
    KeyFile::generate([node.0 as u8; 32]).identity(node)
}

pub(crate) fn address(node: NodeId) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000 + node.0 as u16))
}

pub(crate) fn registry() -> Arc<Registry> {
    let of = |nodes: &[NodeId], role: Role| -> Vec<NodeEntry> {
        let entry = |&id: &NodeId| {
            let key = identity(id).public_key();
            NodeEntry { id, name: format!("{role}-{id}"), role, key }
        };
        nodes.iter().map(entry).collect()
    };
    let mut nodes = of(&SOURCES, Role::Source);
    nodes.extend(of(&REPLICAS, Role::Replica));
    nodes.extend(of(&RELAYS, Role::Replica));
    nodes.extend(of(&[MONITOR], Role::Monitor));
    nodes.extend(of(&[CLIENT, OTHER_CLIENT], Role::Client));
    nodes.extend(of(&[ENGINE], Role::Engine));
    Arc::new(Registry::new(nodes).unwrap())
}

pub(crate) fn count(role: &dyn centauri_roles::Role, name: &str) -> u64 {
    let counters = role.counters();
    counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

pub(crate) fn start(
    request_id: u64,
    query: &str,
    ttl_ns: u64,
    period_ns: u64,
    validity_ns: u64,
) -> Request<'_> {
    Request { request_id, action: RequestAction::Start { query, validity_ns, ttl_ns, period_ns } }
}

/// A signed request to node `to`, handed over.
pub(crate) fn ask(
    to: NodeId,
    role: &mut dyn centauri_roles::Role,
    now_ns: i64,
    from: NodeId,
    request: Request<'_>,
    effects: &mut Effects,
) {
    let mut bytes = Vec::new();
    request.encode(now_ns, to, &identity(from), &mut bytes).unwrap();
    role.handle(now_ns, address(from), &bytes, effects);
}

/// One signed stream frame.
pub(crate) fn frame(from: NodeId, timestamp_ns: i64, records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut builder = StreamFrameBuilder::begin(&mut bytes, timestamp_ns, FRAME_BYTES_MAX);
    for record in records {
        builder.push(record).unwrap();
    }
    let finished: Result<_, EncodeError> = builder.finish(&identity(from)).map(<[u8]>::to_vec);
    finished.unwrap()
}

/// The records of the stream frames among the effects: to whom, in the order of sending, with source times.
pub(crate) fn records(effects: &Effects) -> Vec<(SocketAddr, Record, i64)> {
    let mut all = Vec::new();
    for (to, bytes) in effects.sends() {
        let frame = FrameView::parse(bytes).unwrap();
        if let MessageView::Stream(records) = frame.message() {
            let timestamp = frame.header().timestamp_ns;
            all.extend(records.iter().map(|r| (to, r, r.source_timestamp_ns(timestamp))));
        }
    }
    all
}

/// Calls `tick` at every deadline up to `until_ns`.
pub(crate) fn run_until(role: &mut dyn centauri_roles::Role, until_ns: i64, effects: &mut Effects) {
    while let Some(due) = role.next_deadline().filter(|due| *due <= until_ns) {
        role.tick(due, effects);
    }
}

/// A standard normal number by Box and Muller.
pub(crate) fn normal(rng: &mut centauri_roles::SplitMix64) -> f64 {
    let radius = (-2.0 * (1.0 - rng.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.unit()).cos()
}

/// An exponential number of mean 1.
pub(crate) fn exponential(rng: &mut centauri_roles::SplitMix64) -> f64 {
    -(1.0 - rng.unit()).ln()
}

/// Every value is sampled, so many to a frame.
pub(crate) fn everything(values_max: usize, every_ns: i64) -> centauri_roles::SamplePolicy {
    centauri_roles::SamplePolicy {
        values_max,
        every_ns,
        share_ppm: 1_000_000,
        floor_per_s: 0,
        frames_per_s_max: 1_000_000_000,
        ..centauri_roles::SamplePolicy::new(address(MONITOR))
    }
}
