//! What outlives a role: the next one goes on with the requests that were kept, without being asked again.

mod common;

use centauri_engine::{
    Computation, Distribution, Fleet, ModelSet, OutputSpec, ScalarBackend, Session, StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{Limits, NodeId, Outcome, Registry, StreamId};
use common::world::{S, World};
use common::*;
use std::sync::Arc;

const MINUTE: u64 = 60_000_000_000;

fn limits(now_ns: i64) -> Limits {
    Limits { not_before_ns: now_ns, ..Limits::default() }
}

fn source(now_ns: i64) -> Source {
    source_among(registry(), now_ns)
}

fn source_among(registry: Arc<Registry>, now_ns: i64) -> Source {
    let readings = (now_ns / S..90).map(|second| (second * S + 100 * MS, 50.0 + second as f64));
    let config = SourceConfig {
        name: "road".into(),
        first_sequence: now_ns,
        limits: limits(now_ns),
        ..SourceConfig::new(StreamId(5))
    };
    Source::new(&config, registry, identity(SOURCES[0]), Box::new(readings), now_ns).unwrap()
}

fn catalogue() -> Catalogue {
    let (node, stream) = (SOURCES[0], StreamId(5));
    Catalogue::new(vec![NamedStream { name: "road".into(), node, stream, address: address(node) }]).unwrap()
}

fn replica(now_ns: i64) -> Replica {
    let config = ReplicaConfig { catalogue: catalogue(), limits: limits(now_ns), ..ReplicaConfig::default() };
    Replica::new(&config, registry(), identity(REPLICAS[0]), now_ns).unwrap()
}

/// It decides on what `REPLICAS[0]` computes because it asks for it, and computes `town` from that.
fn relay(now_ns: i64) -> Relay {
    let asked = ComputationUpstream {
        node: REPLICAS[0],
        address: address(REPLICAS[0]),
        query: "last(road) by 1200ms".parse().unwrap(),
        every_ns: S,
        validity_ns: 60 * S,
    };
    let (own, stream) = (RELAYS[0], asked.stream());
    let windows = Windows::new(0, S).unwrap();
    let spec = StreamSpec::builder("road", ["r"])
        .support(Support::new(0.0, 0.5, 401).unwrap())
        .output(OutputSpec::identity(Distribution::normal(0.0, 2.0).unwrap()))
        .build();
    let set = ModelSet { streams: vec![spec], ..ModelSet::default() };
    let session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
    let client = ClientConfig {
        streams: vec![ClientStream {
            name: "road".into(),
            stream,
            replicas: vec![REPLICAS[0]],
            timing: RoundTiming { windows, close_after_ns: 1_400 * MS },
            first_round: i64::MIN,
        }],
        computations: vec![asked],
        limits: limits(now_ns),
        ..ClientConfig::default()
    };
    let town = ReplicaStream {
        stream: StreamId(9),
        sources: vec![SourceStream { node: own, stream }],
        windows,
        deadline_ns: 1_800 * MS,
        computation: Computation::Last,
        readings_per_source_max: 8,
        latency: None,
        residuals: None,
        steps: None,
    };
    let replica = ReplicaConfig {
        streams: vec![town],
        names: [(StreamId(9), "town".to_owned())].into(),
        limits: limits(now_ns),
        ..ReplicaConfig::default()
    };
    Relay::new(&client, &replica, &registry(), &identity(own), session, now_ns).unwrap()
}

/// What a role keeps, taken up by the next one; says how many requests that were.
fn hand_over(before: &impl Lasting, next: &mut impl Lasting, now_ns: i64) -> usize {
    assert!(before.newest_accepted_ns().is_some_and(|newest| newest < now_ns));
    let kept = before.kept_requests();
    let restored = kept.iter().filter(|(_, bytes)| next.restore_request(now_ns, bytes)).count();
    assert_eq!(next.kept_requests().len(), restored);
    assert!(kept.iter().all(|(_, bytes)| !next.restore_request(now_ns + 3_600 * S, bytes)), "it has expired");
    restored
}

#[test]
fn the_next_of_each_role_goes_on_where_the_one_before_was() {
    // All at once in a world of their own, handed over at ten seconds.
    let mut world = World::new();
    let (mut old_source, mut old_replica, mut old_relay) = (source(0), replica(0), relay(0));
    let mut effects = Effects::new();
    let asked = |role: &mut dyn Role, node, from, query, period, effects: &mut Effects| {
        ask(node, role, 9 * S, from, start(1, query, MINUTE, period, MINUTE), effects);
    };
    asked(&mut old_source, SOURCES[0], REPLICAS[0], "road", 1, &mut effects);
    let computed = "last(road) by 1200ms";
    asked(&mut old_replica, REPLICAS[0], RELAYS[0], computed, 1_000_000_000, &mut effects);
    asked(&mut old_replica, REPLICAS[0], CLIENT, computed, 1_000_000_000, &mut effects);
    asked(&mut old_relay, RELAYS[0], CLIENT, "town", 1, &mut effects);
    let now = 10 * S;
    let (mut source, mut replica, mut relay) = (source(now), replica(now), relay(now));
    assert_eq!(hand_over(&old_source, &mut source, now), 1);
    assert_eq!(hand_over(&old_replica, &mut replica, now), 2);
    assert_eq!(hand_over(&old_relay, &mut relay, now), 1);
    assert_eq!(count(&replica, "computations_begun"), 1, "for both");

    // The client asks nobody anything in this world, and the replica is asked only by the relay.
    world.now = now;
    world.add(SOURCES[0], source, 0);
    world.add(REPLICAS[0], replica, 0);
    world.add(RELAYS[0], relay, 0);
    world.run(30 * S);
    assert!(world.answers.iter().all(|(to, outcome, ..)| *to != CLIENT && *outcome == Outcome::Granted));
    let of_client: Vec<(i64, f64)> =
        world.records.iter().filter(|(to, ..)| *to == CLIENT).map(|(_, r, _)| (r.round, r.value)).collect();
    let expected = |rounds: std::ops::Range<i64>| -> Vec<(i64, f64)> {
        rounds.map(|round| (round, 50.0 + round as f64)).collect()
    };
    // The first window that opens after the hand-over, to the last that is closed.
    assert_eq!(of_client, expected(10..29));
    let towns: Vec<(i64, f64)> = world.decisions.iter().map(|(_, d)| (d.round, d.value)).collect();
    assert_eq!(towns, expected(10..29));
    assert_eq!(
        world.count(SOURCES[0], "requests_started"),
        2,
        "what was restored, and what the replica asks for by now"
    );
}

#[test]
fn a_role_with_a_reservation_accepts_nothing_ahead_of_it() {
    fn check(mut role: impl Lasting, node: NodeId) {
        let (mut effects, query) = (Effects::new(), start(1, "1", MINUTE, 1, MINUTE));
        let mut accepted = |role: &mut dyn Role, stamp| {
            let mut bytes = Vec::new();
            query.encode(stamp, node, &identity(REPLICAS[1]), &mut bytes).unwrap();
            role.handle(20 * S, address(REPLICAS[1]), &bytes, &mut effects)
        };
        role.reserve_until(20 * S + 500);
        assert!(!accepted(&mut role, 20 * S + 501), "{node}");
        assert!(accepted(&mut role, 20 * S + 500), "{node}");
        assert_eq!(role.newest_accepted_ns(), Some(20 * S + 500), "{node}");
    }
    check(source(0), SOURCES[0]);
    check(replica(0), REPLICAS[0]);
    check(relay(0), RELAYS[0]);
}

#[test]
fn a_node_that_has_left_the_registry_is_not_served_again() {
    let mut old = source(0);
    for (at, node) in (0..).zip([REPLICAS[0], REPLICAS[1]]) {
        ask(SOURCES[0], &mut old, 9 * S + at, node, start(1, "road", MINUTE, 1, MINUTE), &mut Effects::new());
    }
    let kept = Lasting::kept_requests(&old);
    let nodes = registry().nodes().iter().filter(|entry| entry.id != REPLICAS[0]).cloned().collect();
    let mut next = source_among(Arc::new(Registry::new(nodes).unwrap()), 10 * S);
    let restored = kept.iter().filter(|(_, bytes)| next.restore_request(10 * S, bytes)).count();
    assert_eq!((kept.len(), restored), (2, 1));
    assert!(Lasting::kept_requests(&next).iter().all(|((node, _), _)| *node == REPLICAS[1]));
}
