//! Two stages: replicas compute on readings, relays decide on what they report and pass it on, and a client decides on that.

mod common;

use centauri_engine::{
    Computation, Distribution, Fleet, ModelSet, OutputSpec, ScalarBackend, Session, StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{NodeId, StreamId};
use common::world::{S, World};
use common::*;

/// Results of the first stage and of the second.
const FIRST: StreamId = StreamId(3);
const SECOND: StreamId = StreamId(9);

fn session(name: &str, replicas: usize) -> Session {
    let names: Vec<String> = (0..replicas).map(|place| format!("r{place}")).collect();
    let spec = StreamSpec::builder(name, names)
        .faults(1)
        .support(Support::new(0.0, 0.5, 401).unwrap())
        .output(OutputSpec::identity(Distribution::normal(0.0, 2.0).unwrap()))
        .build();
    let set = ModelSet { streams: vec![spec], ..ModelSet::default() };
    Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()))
}

fn client(name: &str, stream: StreamId, replicas: &[NodeId], close_after_ns: i64) -> ClientConfig {
    let upstream = |node: &NodeId| Upstream { node: *node, address: address(*node), query: StreamQuery::All };
    ClientConfig {
        streams: vec![ClientStream {
            name: name.into(),
            stream,
            replicas: replicas.to_vec(),
            timing: RoundTiming { windows: Windows::new(0, S).unwrap(), close_after_ns },
            first_round: 0,
        }],
        upstreams: replicas.iter().map(upstream).collect(),
        ..ClientConfig::default()
    }
}

fn stream(
    stream: StreamId,
    source: SourceStream,
    computation: Computation,
    deadline_ns: i64,
) -> ReplicaStream {
    ReplicaStream {
        stream,
        sources: vec![source],
        windows: Windows::new(0, S).unwrap(),
        deadline_ns,
        computation,
        readings_per_source_max: 8,
        latency: None,
        residuals: None,
        steps: None,
    }
}

/// A reading a second, which tells the second.
fn source() -> Source {
    let readings = (0..40).map(|second| (second * S + 100 * MS, 50.0 + second as f64));
    Source::new(&SourceConfig::new(StreamId(5)), registry(), identity(SOURCES[0]), Box::new(readings), 0)
        .unwrap()
}

fn first_stage(node: NodeId, behaviour: Behaviour) -> Replica {
    let from = SourceStream { node: SOURCES[0], stream: StreamId(5) };
    let config = ReplicaConfig {
        streams: vec![stream(FIRST, from, Computation::Last, 1_200 * MS)],
        upstreams: vec![Upstream { node: SOURCES[0], address: address(SOURCES[0]), query: StreamQuery::All }],
        behaviour,
        ..ReplicaConfig::default()
    };
    Replica::new(&config, registry(), identity(node), 0).unwrap()
}

fn relay(node: NodeId, behaviour: Behaviour) -> Relay {
    let from = SourceStream { node, stream: FIRST };
    let replica = ReplicaConfig {
        streams: vec![stream(SECOND, from, Computation::Last, 1_600 * MS)],
        behaviour,
        ..ReplicaConfig::default()
    };
    let client = client("first", FIRST, &REPLICAS, 1_400 * MS);
    Relay::new(&client, &replica, &registry(), &identity(node), session("first", 4), 0).unwrap()
}

#[test]
fn a_liar_in_each_stage_changes_nothing_and_certainty_is_passed_on() {
    let mut world = World::new();
    world.add(SOURCES[0], source(), 0);
    for (place, node) in REPLICAS.iter().enumerate() {
        let lie = if place == 2 { Behaviour::Offset { by: 40.0 } } else { Behaviour::Honest };
        world.add(*node, first_stage(*node, lie), 0);
    }
    for (place, node) in RELAYS.iter().enumerate() {
        let lie = if place == 0 { Behaviour::Offset { by: -25.0 } } else { Behaviour::Honest };
        world.add(*node, relay(*node, lie), 0);
    }
    let second = client("second", SECOND, &RELAYS, 1_800 * MS);
    world.add(
        ENGINE,
        Client::new(&second, registry(), identity(ENGINE), session("second", 3), 0).unwrap(),
        0,
    );
    let minute = 60_000_000_000;
    for to in [RELAYS[1], ENGINE] {
        world.ask(CLIENT, to, start(1, "*", minute, 1, minute));
    }
    world.run(30 * S);
    let (passed_on, last): (Vec<_>, Vec<_>) =
        world.decisions.iter().map(|(_, d)| *d).filter(|d| d.round >= 2).partition(|d| d.replicas == 1);
    assert!(passed_on.len() >= 25 && last.len() >= 25, "{} and {}", passed_on.len(), last.len());
    for decision in passed_on {
        assert_eq!((decision.stream, decision.value), (SECOND, 50.0 + decision.round as f64));
        // Three honest reports with noise of 2 each: the relay knows the value to 2/√3 or so, and says it.
        assert!((1.0..1.5).contains(&decision.sd), "{decision:?}");
        assert!((decision.high - decision.low - 2.0 * 1.96 * decision.sd).abs() < 1e-3);
        assert!((0.1..0.3).contains(&decision.confidence), "a grid of half a unit: {decision:?}");
    }
    for decision in last {
        assert!((decision.value - (50.0 + decision.round as f64)).abs() <= 0.5, "{decision:?}");
        assert_eq!(decision.quorum.positions().collect::<Vec<_>>(), [1, 2], "{decision:?}");
    }
    assert_eq!(world.count(RELAYS[1], "decisions_without_quorum"), 0);
    assert_eq!(world.count(RELAYS[1], "frames_unexpected"), 0);
}

#[test]
fn the_spread_that_is_reported_is_added_to_the_noise() {
    let mut world = World::new();
    world.add(SOURCES[0], source(), 0);
    for node in &REPLICAS {
        world.add(*node, first_stage(*node, Behaviour::Honest), 0);
    }
    for node in &RELAYS {
        world.add(*node, relay(*node, Behaviour::Honest), 0);
    }
    let noise = Distribution::normal(0.0, 0.5).unwrap();
    let mut output = OutputSpec::identity(noise.clone());
    output.noise = Some("noise".into());
    let spec = StreamSpec::builder("second", ["a", "b", "c"])
        .faults(1)
        .support(Support::new(0.0, 0.5, 401).unwrap())
        .output(output)
        .build();
    let set = ModelSet { distributions: [("noise".to_owned(), noise)].into(), streams: vec![spec] };
    let session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
    let mut config = client("second", SECOND, &RELAYS, 1_800 * MS);
    config.spreads = vec![("second".into(), "noise".into())];
    world.add(ENGINE, Client::new(&config, registry(), identity(ENGINE), session, 0).unwrap(), 0);
    world.run(20 * S);
    let (_, last) = world.published.last().expect("the relays say how sure they are");
    // Four reports with noise of 2 each: the relays know the value to 1 or a little more, which goes into 0.5² + sd².
    assert!((1.1..1.6).contains(&last.variance().sqrt()), "{last:?}");
    assert!(world.published.iter().all(|(name, _)| name == "noise") && world.published.len() < 4);
}

#[test]
fn a_node_cannot_be_listened_to_in_two_ways() {
    let from = SourceStream { node: REPLICAS[0], stream: StreamId(8) };
    let replica = ReplicaConfig {
        streams: vec![stream(SECOND, from, Computation::Last, S)],
        ..ReplicaConfig::default()
    };
    let client = client("first", FIRST, &REPLICAS, S);
    let made = Relay::new(&client, &replica, &registry(), &identity(RELAYS[0]), session("first", 4), 0);
    assert_eq!(made.err(), Some(ConfigError::Twice { node: REPLICAS[0], stream: StreamId(8) }));
}

/// A relay that is not called for what is due from one time to another, as a process that gets no processor.
struct CalledLate {
    relay: Relay,
    from_ns: i64,
    until_ns: i64,
}

impl Role for CalledLate {
    fn handle(&mut self, now: i64, from: std::net::SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        self.relay.handle(now, from, bytes, effects)
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.relay.tick(now_ns, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        let is_late = |due: &i64| (self.from_ns..self.until_ns).contains(due);
        let due = self.relay.next_deadline();
        due.filter(is_late).map(|_| self.until_ns).or(due)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.relay.counters()
    }
}

#[test]
fn a_relay_that_is_called_late_passes_on_every_round_that_it_makes_up_for() {
    let mut world = World::new();
    world.add(SOURCES[0], source(), 0);
    for node in &REPLICAS {
        world.add(*node, first_stage(*node, Behaviour::Honest), 0);
    }
    let node = RELAYS[0];
    let from = SourceStream { node, stream: FIRST };
    let replica = ReplicaConfig {
        streams: vec![stream(SECOND, from, Computation::Last, 1_600 * MS)],
        ..ReplicaConfig::default()
    };
    // It keeps reports of more rounds than it has windows open.
    let pacing = Pacing { rounds_ahead_max: 6, ..Pacing::default() };
    let first = ClientConfig { pacing, ..client("first", FIRST, &REPLICAS, 1_400 * MS) };
    let relay = Relay::new(&first, &replica, &registry(), &identity(node), session("first", 4), 0).unwrap();
    world.add(node, CalledLate { relay, from_ns: 10 * S, until_ns: 16 * S }, 0);
    let minute = 60_000_000_000;
    world.ask(CLIENT, node, start(1, "*", minute, 1, minute));
    world.run(25 * S);
    let passed_on: Vec<_> = world.decisions.iter().map(|(_, decision)| *decision).collect();
    let rounds: Vec<i64> = passed_on.iter().map(|decision| decision.round).collect();
    assert_eq!(rounds, (0..=rounds.len() as i64 - 1).collect::<Vec<_>>(), "each once, in order");
    assert!(rounds.len() >= 23, "{rounds:?}");
    for decision in passed_on.iter().filter(|decision| decision.round >= 2) {
        assert_eq!(decision.value, 50.0 + decision.round as f64, "{decision:?}");
    }
    assert_eq!(world.count(node, "readings_early") + world.count(node, "readings_late"), 0);
}
