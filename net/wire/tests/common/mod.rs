//! Nodes, frames and streams that the tests share.
#![expect(dead_code, reason = "each test binary uses some of these")]

use std::sync::Arc;

use centauri_wire::*;

/// The time of every frame here, and the receivers' now.
pub(crate) const NOW_NS: i64 = 1_700_000_000_123_456_789;

pub(crate) const SOURCE: NodeId = NodeId(1);
pub(crate) const REPLICA: NodeId = NodeId(2);
pub(crate) const MONITOR: NodeId = NodeId(3);
pub(crate) const CLIENT: NodeId = NodeId(4);
pub(crate) const ENGINE: NodeId = NodeId(5);

/// A node's identity: its seed is its number in every byte.
pub(crate) fn identity(id: NodeId) -> SigningIdentity {
    KeyFile::generate([u8::try_from(id.0).expect("small numbers"); 32]).identity(id)
}

pub(crate) fn registry() -> Arc<Registry> {
    let nodes = [
        (SOURCE, Role::Source),
        (REPLICA, Role::Replica),
        (MONITOR, Role::Monitor),
        (CLIENT, Role::Client),
        (ENGINE, Role::Engine),
    ];
    let nodes = nodes.map(|(id, role)| NodeEntry {
        id,
        name: format!("{role}-{id}"),
        role,
        key: identity(id).public_key(),
    });
    Arc::new(Registry::new(nodes.to_vec()).expect("five different nodes"))
}

pub(crate) fn record(stream: u32, nonce: u64) -> Record {
    Record { stream: StreamId(stream), age_us: 0, nonce, round: 0, value: 1.0, readings: 1 }
}

pub(crate) fn stream_frame(sender: NodeId, timestamp_ns: i64, records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frame = StreamFrameBuilder::begin(&mut bytes, timestamp_ns, FRAME_BYTES_MAX);
    for record in records {
        frame.push(record).expect("room for the record");
    }
    frame.finish(&identity(sender)).expect("at least one record");
    bytes
}

pub(crate) fn cancel_frame(sender: NodeId, timestamp_ns: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let request = Request { request_id: 1, action: RequestAction::Cancel };
    request.encode(timestamp_ns, REPLICA, &identity(sender), &mut bytes).expect("a valid request");
    bytes
}

pub(crate) fn decision(stream: u32, nonce: u64) -> DecisionRecord {
    DecisionRecord {
        stream: StreamId(stream),
        age_us: 1_500_000,
        nonce,
        round: 12,
        decided: true,
        replicas: 4,
        reported: 3,
        value: 50.5,
        confidence: 0.75,
        mean: 50.25,
        sd: 0.5,
        low: 49.5,
        high: 51.5,
        quorum: QuorumBits(0b1011),
    }
}

pub(crate) fn decision_frame(sender: NodeId, decisions: &[DecisionRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frame = DecisionFrameBuilder::begin(&mut bytes, NOW_NS, FRAME_BYTES_MAX);
    for decision in decisions {
        frame.push(decision).expect("room for the decision");
    }
    frame.finish(&identity(sender)).expect("at least one decision");
    bytes
}

pub(crate) fn answer_frame(sender: NodeId, receiver: NodeId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reason = "at most 4 streams, found 9 à la fois";
    let answer = Answer { request_id: 77, outcome: Outcome::Quota, ttl_ns: 0, period_ns: 1_000_000, reason };
    answer.encode(NOW_NS, receiver, &identity(sender), &mut bytes).expect("a valid answer");
    bytes
}

pub(crate) fn sample_frame(sender: NodeId, kind: SampleKind) -> Vec<u8> {
    let mut bytes = Vec::new();
    let sample = Sample { kind, distribution: "room", values: &[1.0, 2.0] };
    sample.encode(NOW_NS, &identity(sender), &mut bytes).expect("a valid sample");
    bytes
}

pub(crate) fn distribution_frame(sender: NodeId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let body = DistributionBody { offset: 0.0, family: DistributionFamily::Poisson { mean: 3.0 } };
    let distribution = Distribution { name: "room", body: &body };
    distribution.encode(NOW_NS, &identity(sender), &mut bytes).expect("a valid distribution");
    bytes
}

/// A verifier that tracks streams 0 to 3 of the source, the replica and the engine.
pub(crate) fn verifier() -> Verifier {
    let mut verifier = Verifier::new(registry(), Limits::default());
    for sender in [SOURCE, REPLICA, ENGINE] {
        for stream in 0..4 {
            verifier.track(sender, StreamId(stream)).expect("room for twelve streams");
        }
    }
    verifier
}

/// Every frame received was accepted or rejected.
pub(crate) fn check_counters_add_up(verifier: &Verifier) {
    let counters = verifier.counters();
    assert_eq!(counters.frames_received, counters.frames_accepted + counters.rejected(), "{counters:?}");
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "whole bytes");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

pub(crate) fn unhex_array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().expect("as many bytes as expected")
}
