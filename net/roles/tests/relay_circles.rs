//! Circles through what relays decide: whoever would wait for itself is refused, with the way round.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use centauri_engine::{
    Computation, Distribution, Fleet, ModelSet, OutputSpec, ScalarBackend, Session, StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{NodeId, Outcome, StreamId};
use common::world::{S, World};
use common::*;

const NAMES: [&str; 3] = ["town", "county", "land"];

fn number(place: usize) -> StreamId {
    StreamId(u32::try_from(place).unwrap() + 1)
}

fn session(names: &[&str]) -> Session {
    let spec = |name: &&str| {
        StreamSpec::builder(*name, ["r"])
            .support(Support::new(0.0, 0.5, 401).unwrap())
            .output(OutputSpec::identity(Distribution::normal(0.0, 2.0).unwrap()))
            .build()
    };
    let set = ModelSet { streams: names.iter().map(spec).collect(), ..ModelSet::default() };
    Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()))
}

fn logical(stream: StreamId, sources: &[SourceStream], deadline_ns: i64) -> ReplicaStream {
    ReplicaStream {
        stream,
        sources: sources.to_vec(),
        windows: Windows::new(0, S).unwrap(),
        deadline_ns,
        computation: Computation::Last,
        readings_per_source_max: 8,
        latency: None,
        residuals: None,
        steps: None,
    }
}

fn decided(name: &str, stream: StreamId, node: NodeId) -> ClientStream {
    ClientStream {
        name: name.into(),
        stream,
        replicas: vec![node],
        timing: RoundTiming { windows: Windows::new(0, S).unwrap(), close_after_ns: S },
        first_round: 0,
    }
}

fn upstream(node: NodeId) -> Upstream {
    Upstream { node, address: address(node), query: StreamQuery::All }
}

/// A relay that decides on the stream of another node, and computes its own from that.
fn deciding(own: usize, other: usize, deadline_ns: i64) -> Relay {
    let node = REPLICAS[own];
    let client = ClientConfig {
        streams: vec![decided(NAMES[other], number(other), REPLICAS[other])],
        upstreams: vec![upstream(REPLICAS[other])],
        ..ClientConfig::default()
    };
    let replica = ReplicaConfig {
        streams: vec![logical(number(own), &[SourceStream { node, stream: number(other) }], deadline_ns)],
        names: [(number(own), NAMES[own].to_owned())].into(),
        ..ReplicaConfig::default()
    };
    Relay::new(&client, &replica, &registry(), &identity(node), session(&[NAMES[other]]), 0).unwrap()
}

/// A replica whose stream is computed from that of another, without a decision.
fn waiting(own: usize, other: usize) -> Replica {
    let from = SourceStream { node: REPLICAS[other], stream: number(other) };
    let config = ReplicaConfig {
        streams: vec![logical(number(own), &[from], S)],
        upstreams: vec![upstream(REPLICAS[other])],
        names: [(number(own), NAMES[own].to_owned())].into(),
        ..ReplicaConfig::default()
    };
    Replica::new(&config, registry(), identity(REPLICAS[own]), 0).unwrap()
}

/// The ways round that were told.
fn circles(world: &World) -> BTreeSet<Vec<String>> {
    let of = |(_, note): &(NodeId, Note)| match note {
        Note::Refused { outcome: Outcome::Cycle, reason, .. } => {
            let way = reason.strip_prefix("a circle: ").expect("the way round");
            Some(way.split(" → ").map(str::to_owned).collect())
        }
        _ => None,
    };
    world.notes.iter().filter_map(of).collect()
}

/// Each way is town ← county ← land ← town, from wherever it was found.
fn check_way(ways: &BTreeSet<Vec<String>>) {
    for way in ways {
        assert_eq!((way.len(), way.first()), (4, way.last()), "{way:?}");
        for pair in way.windows(2) {
            let place = |name: &String| NAMES.iter().position(|known| known == name).unwrap();
            assert_eq!(place(&pair[0]), (place(&pair[1]) + 1) % 3, "{way:?}");
        }
    }
}

#[test]
fn a_circle_of_three_relays_is_refused_with_its_path() {
    let mut world = World::new();
    for (own, other) in [(0, 1), (1, 2), (2, 0)] {
        world.add(REPLICAS[own], deciding(own, other, 2 * S), 0);
    }
    world.run(40 * S);
    let found = circles(&world);
    assert!(!found.is_empty(), "{:?}", world.notes);
    check_way(&found);
    let refused: u64 = REPLICAS[..3].iter().map(|node| world.count(*node, "requests_refused_cycle")).sum();
    assert!(refused > 0);
    // However they refuse each other, nobody asks more than four times a second.
    let asked = REPLICAS[..3].iter().map(|node| world.count(*node, "requests_sent")).max();
    assert!(asked <= Some(4 * 40 + 1), "{asked:?}");
}

#[test]
fn a_circle_through_one_relay_and_two_plain_replicas_is_refused_too() {
    for relay in 0..3 {
        let mut world = World::new();
        for (own, other) in [(0, 1), (1, 2), (2, 0)] {
            if own == relay {
                world.add(REPLICAS[own], deciding(own, other, 2 * S), 0);
            } else {
                world.add(REPLICAS[own], waiting(own, other), 0);
            }
        }
        world.run(40 * S);
        let found = circles(&world);
        assert!(!found.is_empty(), "{relay}: {:?}", world.notes);
        check_way(&found);
    }
}

/// town ← county ← land ← a source: three stages, and no circle.
#[test]
fn a_line_of_relays_is_no_circle_and_what_the_first_sends_comes_out_of_the_last() {
    let mut world = World::new();
    let readings = (0..40).map(|second| (second * S + 100 * MS, 50.0 + second as f64));
    let source = SourceConfig::new(StreamId(5));
    let source = Source::new(&source, registry(), identity(SOURCES[0]), Box::new(readings), 0).unwrap();
    world.add(SOURCES[0], source, 0);
    let config = ReplicaConfig {
        streams: vec![logical(
            number(2),
            &[SourceStream { node: SOURCES[0], stream: StreamId(5) }],
            600 * MS,
        )],
        upstreams: vec![upstream(SOURCES[0])],
        names: [(number(2), NAMES[2].to_owned())].into(),
        ..ReplicaConfig::default()
    };
    world.add(REPLICAS[2], Replica::new(&config, registry(), identity(REPLICAS[2]), 0).unwrap(), 0);
    world.add(REPLICAS[1], deciding(1, 2, 1_200 * MS), 0);
    // One round later than it is decided by the relay before.
    world.add(REPLICAS[0], relay_of_two(), 0);
    let minute = 60_000_000_000;
    world.ask(CLIENT, REPLICAS[0], start(1, "town", minute, 1, minute));
    world.run(30 * S);
    assert_eq!(circles(&world), BTreeSet::new());
    let values: BTreeMap<i64, f64> =
        world.decisions.iter().map(|(_, decision)| (decision.round, decision.value)).collect();
    for round in 5..25 {
        assert_eq!(values.get(&round), Some(&(50.0 + round as f64)), "round {round}: {values:?}");
    }
    // Whom it asks on behalf of what: one request for what `town` needs, and one for what nothing waits for.
    assert_eq!(world.count(REPLICAS[1], "requests_started"), 1);
    assert_eq!(world.count(REPLICAS[2], "requests_started"), 2);
}

/// It decides on `county`, from which it computes `town`, and on `land`, from which it computes nothing.
fn relay_of_two() -> Relay {
    let node = REPLICAS[0];
    let county = ClientStream {
        timing: RoundTiming { windows: Windows::new(0, S).unwrap(), close_after_ns: 1_500 * MS },
        ..decided("county", number(1), REPLICAS[1])
    };
    let client = ClientConfig {
        streams: vec![county, decided("land", number(2), REPLICAS[2])],
        upstreams: vec![upstream(REPLICAS[1]), upstream(REPLICAS[2])],
        ..ClientConfig::default()
    };
    let replica = ReplicaConfig {
        streams: vec![logical(number(0), &[SourceStream { node, stream: number(1) }], 2 * S)],
        names: [(number(0), NAMES[0].to_owned())].into(),
        ..ReplicaConfig::default()
    };
    let session = session(&["county", "land"]);
    Relay::new(&client, &replica, &registry(), &identity(node), session, 0).unwrap()
}

/// A relay asks another for a computation over what that one gets from it.
#[test]
fn a_circle_through_a_computation_that_a_relay_asks_for_is_refused() {
    let query: ComputationQuery = "last(town) by 600ms".parse().unwrap();
    let asked = ComputationUpstream {
        node: REPLICAS[1],
        address: address(REPLICAS[1]),
        query,
        every_ns: S,
        validity_ns: 60 * S,
    };
    let (node, computed) = (REPLICAS[0], asked.stream());
    let client = ClientConfig {
        streams: vec![decided("asked", computed, REPLICAS[1])],
        computations: vec![asked],
        ..ClientConfig::default()
    };
    let replica = ReplicaConfig {
        streams: vec![logical(number(0), &[SourceStream { node, stream: computed }], 2 * S)],
        names: [(number(0), NAMES[0].to_owned())].into(),
        ..ReplicaConfig::default()
    };
    let relay = Relay::new(&client, &replica, &registry(), &identity(node), session(&["asked"]), 0).unwrap();
    let town = NamedStream { name: "town".into(), node, stream: number(0), address: address(node) };
    let config = ReplicaConfig { catalogue: Catalogue::new(vec![town]).unwrap(), ..ReplicaConfig::default() };
    let mut world = World::new();
    world.add(node, relay, 0);
    world.add(REPLICAS[1], Replica::new(&config, registry(), identity(REPLICAS[1]), 0).unwrap(), 0);
    world.run(5 * S);
    let found = circles(&world);
    assert_eq!(found, [vec!["town".to_owned(), "town".to_owned()]].into(), "{:?}", world.notes);
    assert_eq!(world.count(REPLICAS[1], "computations_begun"), 0);
}
