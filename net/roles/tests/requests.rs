//! Requests over a simulated network: what is computed on request, what is refused and why, and the decisions that are followed.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use centauri_engine::{
    Distribution, Fleet, ModelSet, OutputSpec, ScalarBackend, Session, StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{NodeId, Outcome, StreamId};
use common::world::{DELAY, S, World};
use common::*;

/// A source of `road/a/1`, `road/a/2` …, with a reading a second that tells which second and whose it is.
fn source(place: usize) -> Source {
    let readings = (0..60).map(move |second| (second * S, 100.0 * place as f64 + second as f64));
    let name = format!("road/a/{place}");
    let config = SourceConfig { name, ..SourceConfig::new(StreamId(5)) };
    Source::new(&config, registry(), identity(SOURCES[place]), Box::new(readings), 0).unwrap()
}

fn catalogue() -> Catalogue {
    let named = |place: usize| NamedStream {
        name: format!("road/a/{place}"),
        node: SOURCES[place],
        stream: StreamId(5),
        address: address(SOURCES[place]),
    };
    Catalogue::new((0..2).map(named).collect()).unwrap()
}

fn replica(subscribers: SubscriberLimits) -> Replica {
    let config = ReplicaConfig { catalogue: catalogue(), subscribers, ..ReplicaConfig::default() };
    Replica::new(&config, registry(), identity(REPLICAS[0]), 0).unwrap()
}

fn roads(subscribers: SubscriberLimits) -> World {
    let mut world = World::new();
    for (place, node) in SOURCES.iter().enumerate().take(2) {
        world.add(*node, source(place), 0);
    }
    world.add(REPLICAS[0], replica(subscribers), 0);
    world
}

const MINUTE: u64 = 60_000_000_000;

#[test]
fn clients_that_ask_the_same_share_the_work_and_it_ends_with_the_last_of_them() {
    let mut world = roads(SubscriberLimits::default());
    let replica = REPLICAS[0];
    let second = 1_000_000_000;
    let query: ComputationQuery = "sum(road/a/*) over 2s by 2300ms".parse().unwrap();
    let stream = query.stream(S, 60 * S);
    world.ask(CLIENT, replica, start(1, "sum(road/a/*) over 2s by 2300ms", 9 * second, second, MINUTE));
    world.ask(
        OTHER_CLIENT,
        replica,
        start(4, "sum(road/a/1,road/a/*,road/a/0) over 2s by 2300ms", MINUTE, second, MINUTE),
    );
    world.run(8 * S);
    // The patterns differ, so the streams do; what the sources are asked for is the same, once.
    assert_eq!(world.count(replica, "computations_begun"), 2);
    world.ask(OTHER_CLIENT, replica, start(4, "sum(road/a/*) over 2000ms by 2300ms", MINUTE, second, MINUTE));
    world.run(20 * S);
    assert_eq!(world.count(replica, "computations_begun"), 2);
    assert_eq!(world.count(replica, "computations_ended"), 1);
    let of = |client, from: i64| -> BTreeMap<i64, f64> {
        let records = world
            .records
            .iter()
            .filter(|(to, record, opens)| *to == client && record.stream == stream && *opens >= from);
        records
            .map(|(_, record, opens)| {
                assert_eq!(*opens, record.round * S, "windows open every second");
                (record.round, record.value)
            })
            .collect()
    };
    let (first, second) = (of(CLIENT, 2 * S), of(OTHER_CLIENT, 8 * S));
    // Two readings of each of the two sources: seconds r and r + 1, and 100 more of the second source.
    for (round, value) in first.iter().chain(&second) {
        assert_eq!(*value, (4 * round + 2 + 200) as f64, "round {round}");
    }
    let rounds = |all: &BTreeMap<i64, f64>| (*all.keys().next().unwrap(), *all.keys().last().unwrap());
    assert_eq!(rounds(&first), (2, 6), "the first asked for nine seconds");
    assert_eq!(rounds(&second), (8, 17));
    assert_eq!(world.count(SOURCES[0], "requests_started"), 1);

    let cancel = centauri_wire::Request { request_id: 4, action: centauri_wire::RequestAction::Cancel };
    world.ask(OTHER_CLIENT, replica, cancel);
    world.run(22 * S);
    assert_eq!(world.count(replica, "computations_ended"), 2);
    assert_eq!(world.count(SOURCES[0], "requests_cancelled"), 1, "nobody needs the source any more");
    let sent = world.count(SOURCES[1], "records_sent");
    world.run(30 * S);
    assert_eq!(world.count(SOURCES[1], "records_sent"), sent);
}

#[test]
fn what_is_not_served_is_refused_with_a_reason() {
    let limits = SubscriberLimits { per_node_max: 2, subscriptions_max: 3, ..SubscriberLimits::default() };
    let mut world = roads(limits);
    let replica = REPLICAS[0];
    let second = 1_000_000_000;
    let cases: [(&str, u64, Outcome, &str); 11] = [
        ("mean(", second, Outcome::Query, "expected stream numbers"),
        ("mean(road/b/*)", second, Outcome::Unknown, "no source is road/b/*"),
        ("mean(road/a/0,river)", second, Outcome::Unknown, "no source is river"),
        ("road/a/0", second, Outcome::Unknown, "no stream here is road/a/0"),
        ("*", second, Outcome::Unknown, "no stream here is *"),
        ("mean(road/a/*)", 1_000, Outcome::Rate, "at least 1000000 ns"),
        ("mean(road/a/*)", 1, Outcome::Rate, "at least 1000000 ns"),
        ("mean(road/a/*) over 9h", second, Outcome::Quota, "kept open for 3600000000000 ns at most"),
        ("mean(road/a/*) over 1h by 1h", 1_000_000, Outcome::Quota, "3600000 windows, at most 128 may"),
        ("mean(road/a/*) over 129s by 130s", second, Outcome::Quota, "129 windows, at most 128 may"),
        // Few overlap, and many are open at a time.
        ("mean(road/a/*) over 1s by 1h", second, Outcome::Quota, "at most 1,024 windows"),
    ];
    for (query, period, outcome, reason) in cases {
        world.ask(CLIENT, replica, start(1, query, MINUTE, period, MINUTE));
        world.run(world.now + 20 * MS);
        let answered = world.answered();
        assert!(
            matches!(&answered[..], [(found, why)] if *found == outcome && why.contains(reason)),
            "{query}: {answered:?}"
        );
    }
    let query = "mean(road/a/*)";
    for (id, from, outcome) in [
        (1, CLIENT, Outcome::Granted),
        (2, CLIENT, Outcome::Granted),
        (3, CLIENT, Outcome::Quota),
        (1, OTHER_CLIENT, Outcome::Granted),
        (2, OTHER_CLIENT, Outcome::Full),
        (1, CLIENT, Outcome::Granted),
    ] {
        world.ask(from, replica, start(id, query, MINUTE, second, MINUTE));
        world.run(world.now + 20 * MS);
        assert_eq!(world.answered()[0].0, outcome, "{id} of {from}");
    }
    assert_eq!(world.count(replica, "computations_begun"), 1);
    assert_eq!(world.count(replica, "requests_renewed"), 1);
}

#[test]
fn readings_that_are_too_old_when_a_window_is_closed_do_not_count() {
    let mut world = roads(SubscriberLimits::default());
    let second = 1_000_000_000;
    // Windows of four seconds are closed 4.3 s after they open: of readings at 0, 1, 2, 3 s those at 2 and 3 s are valid.
    world.ask(
        CLIENT,
        REPLICAS[0],
        start(1, "count(road/a/0 > -1) over 4s by 4300ms", MINUTE, 4 * second, 2_300_000_000),
    );
    world.ask(
        CLIENT,
        REPLICAS[0],
        start(2, "count(road/a/0 > 9.5) over 4s by 4300ms", MINUTE, 4 * second, MINUTE),
    );
    world.run(24 * S);
    let counts = |id: &str, validity: i64| -> Vec<(i64, f64, u32)> {
        let stream = id.parse::<ComputationQuery>().unwrap().stream(4 * S, validity);
        let of = world.records.iter().filter(|(_, record, _)| record.stream == stream && record.round > 0);
        of.map(|(_, record, _)| (record.round, record.value, record.readings)).collect()
    };
    let valid = counts("count(road/a/0 > -1) over 4s by 4300ms", 2_300_000_000);
    assert_eq!(valid, (1..=4).map(|round| (round, 2.0, 2)).collect::<Vec<_>>());
    let high = counts("count(road/a/0 > 9.5) over 4s by 4300ms", 60 * S);
    assert_eq!(high, [(1, 0.0, 4), (2, 2.0, 4), (3, 4.0, 4), (4, 4.0, 4)]);
}

/// A replica of one stream, computed from a stream of another replica.
fn waiting(own: usize, other: usize, names: [&str; 3]) -> Replica {
    let stream = |place: usize| StreamId(u32::try_from(place).unwrap() + 1);
    let logical = ReplicaStream {
        stream: stream(own),
        sources: vec![SourceStream { node: REPLICAS[other], stream: stream(other) }],
        windows: Windows::new(0, S).unwrap(),
        deadline_ns: S,
        computation: centauri_engine::Computation::Last,
        readings_per_source_max: 8,
        latency: None,
        residuals: None,
        steps: None,
    };
    let config = ReplicaConfig {
        streams: vec![logical],
        upstreams: vec![Upstream {
            node: REPLICAS[other],
            address: address(REPLICAS[other]),
            query: StreamQuery::of([stream(other)]),
        }],
        names: [(stream(own), names[own].to_owned())].into(),
        ..ReplicaConfig::default()
    };
    Replica::new(&config, registry(), identity(REPLICAS[own]), 0).unwrap()
}

#[test]
fn a_circle_of_replicas_is_refused_with_its_path_and_a_line_is_not() {
    let names = ["town", "county", "land"];
    let mut world = World::new();
    // town ← county ← land ← town
    for (own, other) in [(0, 1), (1, 2), (2, 0)] {
        world.add(REPLICAS[own], waiting(own, other, names), 0);
    }
    world.run(30 * S);
    let refused: BTreeSet<String> = world
        .notes
        .iter()
        .filter_map(|(_, note)| match note {
            Note::Refused { outcome: Outcome::Cycle, reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .collect();
    assert!(!refused.is_empty(), "{:?}", world.notes);
    for reason in &refused {
        let path: Vec<&str> = reason.strip_prefix("a circle: ").unwrap().split(" → ").collect();
        assert_eq!(path.first(), path.last());
        assert_eq!(path[..3].iter().collect::<BTreeSet<_>>(), names.iter().collect(), "{reason}");
        assert_eq!(path.len(), 4, "{reason}");
    }

    let mut world = World::new();
    world.add(REPLICAS[0], waiting(0, 1, names), 0);
    world.add(REPLICAS[1], waiting(1, 2, names), 0);
    let config = ReplicaConfig { catalogue: catalogue(), ..ReplicaConfig::default() };
    world.add(REPLICAS[2], Replica::new(&config, registry(), identity(REPLICAS[2]), 0).unwrap(), 0);
    world.run(20 * S);
    let cycles =
        world.notes.iter().filter(|(_, note)| matches!(note, Note::Refused { outcome: Outcome::Cycle, .. }));
    assert_eq!(cycles.count(), 0, "{:?}", world.notes);
}

/// A client that decides `road` and `river`, each of the same three replicas.
fn engine(computed: Option<&ComputationQuery>) -> Client {
    let spec = |name: &str| {
        StreamSpec::builder(name, ["a", "b", "c"])
            .faults(1)
            .support(Support::new(0.0, 1.0, 301).unwrap())
            .output(OutputSpec::identity(Distribution::normal(0.0, 2.0).unwrap()))
            .build()
    };
    let set = ModelSet { streams: vec![spec("road"), spec("river")], ..ModelSet::default() };
    let session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
    let windows = Windows::new(0, S).unwrap();
    let number = computed.map_or(StreamId(1), |query| query.stream(S, 60 * S));
    let stream = |name: &str, stream| ClientStream {
        name: name.into(),
        stream,
        replicas: REPLICAS[..3].to_vec(),
        timing: RoundTiming { windows, close_after_ns: 1_400 * MS },
        first_round: 0,
    };
    let computations = computed.map_or_else(Vec::new, |query| {
        let of = |node: &NodeId| ComputationUpstream {
            node: *node,
            address: address(*node),
            query: query.clone(),
            every_ns: S,
            validity_ns: 60 * S,
        };
        REPLICAS[..3].iter().map(of).collect()
    });
    let config = ClientConfig {
        streams: vec![stream("road", number), stream("river", StreamId(2))],
        computations,
        ..ClientConfig::default()
    };
    Client::new(&config, registry(), identity(ENGINE), session, 0).unwrap()
}

#[test]
fn a_computation_asked_for_is_decided_and_the_decisions_are_followed() {
    let query: ComputationQuery = "mean(road/a/*)".parse().unwrap();
    let mut world = World::new();
    for (place, node) in SOURCES.iter().enumerate().take(2) {
        world.add(*node, source(place), 0);
    }
    for node in &REPLICAS[..3] {
        let config = ReplicaConfig { catalogue: catalogue(), ..ReplicaConfig::default() };
        world.add(*node, Replica::new(&config, registry(), identity(*node), 0).unwrap(), 0);
    }
    world.add(ENGINE, engine(Some(&query)), 0);
    world.ask(CLIENT, ENGINE, start(1, "ro*", MINUTE, 1, MINUTE));
    world.ask(OTHER_CLIENT, ENGINE, start(1, "*", MINUTE, 3_000_000_000, MINUTE));
    world.run(20 * S);
    assert_eq!(world.answered().iter().filter(|(outcome, _)| *outcome == Outcome::Granted).count(), 2);
    let road = query.stream(S, 60 * S);
    let of_client: Vec<_> = world.decisions.iter().filter(|(to, _)| *to == CLIENT).map(|(_, d)| *d).collect();
    assert!(of_client.iter().all(|decision| decision.stream == road));
    let settled: Vec<_> = of_client.iter().filter(|decision| decision.round >= 1).collect();
    assert!(settled.len() >= 16, "{}", settled.len());
    for decision in settled {
        assert_eq!((decision.decided, decision.replicas, decision.reported), (true, 3, 3), "{decision:?}");
        assert_eq!(decision.value, (decision.round + 50) as f64);
        assert_eq!(decision.quorum.positions().count(), 2);
    }
    let of_other: BTreeSet<_> = world
        .decisions
        .iter()
        .filter(|(to, _)| *to == OTHER_CLIENT)
        .map(|(_, d)| (d.stream, d.round))
        .collect();
    let expected: BTreeSet<_> =
        (0..6).flat_map(|third| [(road, 3 * third), (StreamId(2), 3 * third)]).collect();
    assert!(of_other.is_superset(&expected) && of_other.len() <= expected.len() + 2, "{of_other:?}");
    // A client may not ask for what the engine does not decide.
    world.ask(CLIENT, ENGINE, start(2, "sea", MINUTE, 1, MINUTE));
    world.run(world.now + 20 * MS);
    assert!(matches!(&world.answered()[..], [(Outcome::Unknown, reason)] if reason.contains("sea")));
}

#[test]
fn a_node_whose_clock_is_off_is_named() {
    let mut world = World::new();
    let query: ComputationQuery = "mean(road/a/*)".parse().unwrap();
    for (place, node) in SOURCES.iter().enumerate().take(2) {
        world.add(*node, source(place), 0);
    }
    let ahead = [0, 250 * MS, -30 * MS];
    for (node, ahead) in REPLICAS.iter().zip(ahead) {
        let config = ReplicaConfig { catalogue: catalogue(), ..ReplicaConfig::default() };
        world.add(*node, Replica::new(&config, registry(), identity(*node), ahead).unwrap(), ahead);
    }
    world.add(ENGINE, engine(Some(&query)), 0);
    world.run(10 * S);
    let off: Vec<_> = world
        .notes
        .iter()
        .filter_map(|(by, note)| match note {
            Note::ClockOff { node, offset_ns, error_ns } if *by == ENGINE => {
                Some((*node, *offset_ns, *error_ns))
            }
            _ => None,
        })
        .collect();
    assert!(
        matches!(off[..], [(node, offset, error)] if node == REPLICAS[1]
        && (offset - 250 * MS).abs() <= error && error <= DELAY + 1),
        "{off:?}"
    );
    assert_eq!(world.count(ENGINE, "clocks_off"), 1);
    assert_eq!(world.count(ENGINE, "clock_offset_max_ns"), 250 * MS as u64);
}

#[test]
fn a_request_for_another_node_is_refused_by_its_receiver() {
    let mut world = roads(SubscriberLimits::default());
    let mut bytes = Vec::new();
    start(1, "mean(road/a/*)", MINUTE, 1_000_000_000, MINUTE)
        .encode(0, REPLICAS[1], &identity(CLIENT), &mut bytes)
        .unwrap();
    world.send(CLIENT, REPLICAS[0], &bytes);
    world.run(S);
    assert_eq!(world.count(REPLICAS[0], "rejected_wrong_receiver"), 1);
    assert_eq!(world.count(REPLICAS[0], "requests_started"), 0);
}

/// Two computations that share a number: their digests have 31 bits.
fn of_one_number() -> (String, String) {
    let number = |text: &str| text.parse::<ComputationQuery>().unwrap().stream(S, 60 * S);
    let low = |at: u32| format!("count(road/a/0 > -{at}.5) over 1s by 100ms");
    let known: BTreeMap<StreamId, u32> = (0..150_000).map(|at| (number(&low(at)), at)).collect();
    let high = (100..).map(|at| format!("count(road/a/0 > {at}.5) over 1s by 900ms"));
    let mut found = high.filter_map(|text| Some((low(*known.get(&number(&text))?), text)));
    found.next().unwrap()
}

#[test]
fn computations_of_one_number_do_not_convict_the_replica_that_did_both() {
    let (low, high) = of_one_number();
    let mut world = roads(SubscriberLimits::default());
    let (replica, second) = (REPLICAS[0], 1_000_000_000);
    world.run(4_500 * MS);
    world.ask(CLIENT, replica, start(1, &low, MINUTE, second, MINUTE));
    world.run(5_200 * MS);
    let cancel = centauri_wire::Request { request_id: 1, action: centauri_wire::RequestAction::Cancel };
    world.ask(CLIENT, replica, cancel);
    world.run(5_250 * MS);
    world.ask(CLIENT, replica, start(2, &high, MINUTE, second, MINUTE));
    world.run(9 * S);
    assert_eq!(world.count(replica, "computations_begun"), 2);
    let mut said: BTreeMap<(StreamId, i64), BTreeSet<u64>> = BTreeMap::new();
    for (_, record, _) in &world.records {
        said.entry((record.stream, record.round)).or_default().insert(record.value.to_bits());
    }
    assert!(said.len() >= 3 && said.keys().all(|(stream, _)| stream.0 >> 31 == 1));
    assert!(said.values().all(|values| values.len() == 1), "{said:?}");
}

#[test]
fn who_asks_for_everything_keeps_no_computation_running() {
    let mut world = roads(SubscriberLimits::default());
    let (replica, second) = (REPLICAS[0], 1_000_000_000);
    world.ask(CLIENT, replica, start(1, "sum(road/a/*)", 3 * second, second, MINUTE));
    world.run(S);
    world.ask(OTHER_CLIENT, replica, start(1, "*", MINUTE, 1, MINUTE));
    world.run(6 * S);
    assert!(world.answered().iter().all(|(outcome, _)| *outcome == Outcome::Granted));
    assert!(world.records.iter().any(|(to, ..)| *to == OTHER_CLIENT), "it sees what others ask for");
    assert_eq!(world.count(replica, "computations_ended"), 1);
}

#[test]
fn a_computation_without_results_ends_when_nobody_asks_for_it() {
    let (replica, second) = (REPLICAS[0], 1_000_000_000);
    // Windows without readings have no mean; and of windows that are closed in a year none is ever due.
    for period in [second, 365 * 86_400 * second] {
        let mut world = World::new();
        world.add(replica, self::replica(SubscriberLimits::default()), 0);
        world.run(100 * MS);
        world.ask(CLIENT, replica, start(1, "mean(road/a/*) over 1s", 3 * second, period, MINUTE));
        world.run(2 * S);
        assert_eq!(world.count(replica, "computations_begun"), 1);
        world.run(8 * S);
        assert!(world.records.is_empty());
        assert_eq!(world.count(replica, "requests_expired"), 1, "{period}");
        assert_eq!(world.count(replica, "computations_ended"), 1, "{period}");
    }
}

/// land → county → a computation that a client asks for, pretending that land waits for it.
#[test]
fn a_client_cannot_close_a_circle_between_replicas() {
    let names = ["town", "county", "land"];
    let mut world = World::new();
    let county = NamedStream {
        name: "county".into(),
        node: REPLICAS[1],
        stream: StreamId(2),
        address: address(REPLICAS[1]),
    };
    let config =
        ReplicaConfig { catalogue: Catalogue::new(vec![county]).unwrap(), ..ReplicaConfig::default() };
    world.add(REPLICAS[0], Replica::new(&config, registry(), identity(REPLICAS[0]), 0).unwrap(), 0);
    world.add(REPLICAS[1], waiting(1, 2, names), 0);
    world.add(REPLICAS[2], waiting(2, 3, names), 0);
    world.run(S);
    let second = 1_000_000_000;
    world.ask(CLIENT, REPLICAS[0], start(1, "last(county) via land", MINUTE, second, MINUTE));
    world.run(40 * S);
    assert_eq!(world.answered()[0].0, Outcome::Granted);
    assert_eq!(world.count(REPLICAS[1], "requests_started"), 1, "the computation is fed");
    assert_eq!(world.count(REPLICAS[2], "requests_refused_cycle"), 0);
}

#[test]
fn patterns_fit_names_only_and_each_stream_counts_once() {
    let names = ["town", "", ""];
    let mut world = World::new();
    world.add(REPLICAS[0], waiting(0, 1, names), 0);
    world.add(REPLICAS[1], waiting(1, 2, names), 0);
    let cases = [
        (REPLICAS[0], "**", Outcome::Granted),
        (REPLICAS[0], "t*,*n,town", Outcome::Granted),
        (REPLICAS[0], "t*,x*", Outcome::Unknown),
        (REPLICAS[1], "**", Outcome::Unknown),
        (REPLICAS[1], "9,1-3,2", Outcome::Granted),
    ];
    for (node, query, outcome) in cases {
        world.ask(CLIENT, node, start(1, query, MINUTE, 1, MINUTE));
        world.run(world.now + 20 * MS);
        assert_eq!(world.answered()[0].0, outcome, "{query}");
    }
}
