//! A whole system over a simulated network: three sources, four replicas, the monitor and the client.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use centauri_engine::{
    Computation, Decision, Distribution, Fleet, Link, ModelSet, OutputSpec, Report, ScalarBackend, Session,
    StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{FrameView, MessageView, NodeId, SampleKind, StreamId};
use common::*;

const PERIOD: i64 = 100 * MS;
const REPLICA_DEADLINE: i64 = 80 * MS;
const CLOSE_AFTER: i64 = 120 * MS;
const LATENCY_MEAN: f64 = 0.008;
const ROUNDS: i64 = 300;
/// Offsets of a window's readings at each source.
const OFFSETS: [i64; 2] = [10 * MS, 50 * MS];

/// What the network and the fourth replica do.
#[derive(Clone)]
struct Weather {
    seed: u64,
    loss: f64,
    duplication: f64,
    liar: Behaviour,
    liar_sample_offset: f64,
    /// Every so many frames from a replica to the client are preceded by a forgery.
    forge_every: u64,
}

/// What the harness saw by itself, with nothing but the frames and the clock.
#[derive(Debug, Default, PartialEq)]
struct Witness {
    forged: u64,
    replayed: u64,
    late: u64,
    reported: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    round: i64,
    deadline_ns: i64,
    closed_ns: i64,
    decision: Decision,
    honest: Option<Vec<f64>>,
    reports: Vec<Report>,
}

struct World {
    sources: Vec<Source>,
    replicas: Vec<Replica>,
    monitor: Monitor,
    client: Client,
    weather: Weather,
    rng: SplitMix64,
    /// Datagrams under way, by time of arrival and number.
    sky: BTreeMap<(i64, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    to_client: u64,
    seen: BTreeSet<Vec<u8>>,
    witness: Witness,
    outcomes: Vec<Outcome>,
    published: BTreeMap<String, Distribution>,
}

/// Truth of a round, and its readings by source and offset.
fn truth(round: i64) -> f64 {
    20.0 + 3.0 * (round as f64 / 15.0).sin()
}

/// All readings of one source.
fn readings_of(source: usize, seed: u64) -> Vec<(i64, f64)> {
    let mut rng = SplitMix64::new(seed ^ (source as u64 + 1) << 32);
    let mut all = Vec::new();
    for round in 0..ROUNDS + 5 {
        for offset in OFFSETS {
            let at = round * PERIOD + offset + source as i64 * MS;
            all.push((at, truth(round) + normal(&mut rng)));
        }
    }
    all
}

/// The ideal output: the mean of all readings of a round, as if none had been late.
fn ideal(round: i64, seed: u64) -> f64 {
    let of_round = |source| readings_of(source, seed).into_iter().skip(2 * round as usize).take(2);
    (0..3).flat_map(of_round).map(|(_, value)| value).sum::<f64>() / 6.0
}

fn model() -> ModelSet {
    let mut output = OutputSpec::new(Computation::Mean);
    let offsets = OFFSETS.iter().flat_map(|offset| (0..3).map(move |source| offset + source * MS));
    output.messages = offsets.map(|at| at as f64 * 1e-9).collect();
    output.arrival = Some("uplink".into());
    output.deadline = Some(REPLICA_DEADLINE as f64 * 1e-9);
    output.source = Some("reading".into());
    let link =
        Link::Latency { arrival: "link".into(), deadline: (CLOSE_AFTER - REPLICA_DEADLINE) as f64 * 1e-9 };
    let spec = StreamSpec::builder("room", REPLICAS.map(|node| node.to_string()))
        .faults(1)
        .support(Support::new(10.0, 0.05, 401).unwrap())
        .output(output)
        .link(link)
        .build();
    // First guesses, all of them off; the monitor is to correct them.
    let guesses = [
        ("uplink", Distribution::exponential(0.003).unwrap()),
        ("link", Distribution::exponential(0.02).unwrap()),
        ("reading", Distribution::normal(0.0, 3.0).unwrap()),
    ];
    let distributions = guesses.into_iter().map(|(name, d)| (name.to_owned(), d)).collect();
    ModelSet { distributions, streams: vec![spec] }
}

fn replica_of(place: usize, weather: &Weather) -> Replica {
    let node = REPLICAS[place];
    let lies = place == 3;
    let stream = ReplicaStream {
        stream: StreamId(1),
        sources: SOURCES.map(|node| SourceStream { node, stream: StreamId(node.0) }).to_vec(),
        windows: Windows::new(0, PERIOD).unwrap(),
        deadline_ns: REPLICA_DEADLINE,
        computation: Computation::Mean,
        readings_per_source_max: 8,
        latency: Some("uplink".into()),
        residuals: Some("reading".into()),
        steps: None,
    };
    let upstream = |node| Upstream { node, address: address(node), query: StreamQuery::All };
    let config = ReplicaConfig {
        streams: vec![stream],
        upstreams: SOURCES.map(upstream).to_vec(),
        request: RequestPolicy { ttl_ns: 5_000 * MS, ..RequestPolicy::default() },
        samples: Some(everything(64, 2_000 * MS)),
        behaviour: if lies { weather.liar.clone() } else { Behaviour::Honest },
        sample_offset: if lies { weather.liar_sample_offset } else { 0.0 },
        ..ReplicaConfig::default()
    };
    Replica::new(&config, registry(), identity(node), -500 * MS).unwrap()
}

fn monitor() -> Monitor {
    let named = |name: &str, kind, family, centred| Monitored {
        centred,
        samples_min: 100,
        ..Monitored::new(name, kind, family)
    };
    let config = MonitorConfig {
        monitored: vec![
            Monitored {
                senders_min: 3,
                ..named("uplink", SampleKind::Latency, Estimated::Exponential, false)
            },
            named("link", SampleKind::Latency, Estimated::Exponential, false),
            Monitored { senders_min: 3, ..named("reading", SampleKind::Output, Estimated::Normal, true) },
        ],
        targets: vec![address(CLIENT)],
        // Every second, whether it has changed or not.
        publish_every_max_ns: 1_000 * MS,
        ..MonitorConfig::default()
    };
    Monitor::new(&config, registry(), identity(MONITOR), -500 * MS).unwrap()
}

fn client() -> Client {
    let stream = ClientStream {
        name: "room".into(),
        stream: StreamId(1),
        replicas: REPLICAS.to_vec(),
        timing: RoundTiming { windows: Windows::new(0, PERIOD).unwrap(), close_after_ns: CLOSE_AFTER },
        first_round: 0,
    };
    let upstream = |node| Upstream { node, address: address(node), query: StreamQuery::of([StreamId(1)]) };
    let config = ClientConfig {
        streams: vec![stream],
        upstreams: REPLICAS.map(upstream).to_vec(),
        request: RequestPolicy { ttl_ns: 5_000 * MS, ..RequestPolicy::default() },
        latencies: REPLICAS.map(|node| (node, "link".to_owned())).to_vec(),
        samples: Some(everything(64, 2_000 * MS)),
        ..ClientConfig::default()
    };
    let session = Session::new(Fleet::compile(&model()).unwrap(), Box::new(ScalarBackend::new()));
    Client::new(&config, registry(), identity(CLIENT), session, -500 * MS).unwrap()
}

impl World {
    fn new(weather: Weather) -> Self {
        let source = |place: usize| {
            let readings = Box::new(readings_of(place, weather.seed).into_iter());
            let config = SourceConfig::new(StreamId(SOURCES[place].0));
            Source::new(&config, registry(), identity(SOURCES[place]), readings, -500 * MS).unwrap()
        };
        Self {
            sources: (0..3).map(source).collect(),
            replicas: (0..4).map(|place| replica_of(place, &weather)).collect(),
            monitor: monitor(),
            client: client(),
            rng: SplitMix64::new(weather.seed),
            weather,
            sky: BTreeMap::new(),
            sent: 0,
            to_client: 0,
            seen: BTreeSet::new(),
            witness: Witness::default(),
            outcomes: Vec::new(),
            published: BTreeMap::new(),
        }
    }

    fn nodes() -> impl Iterator<Item = NodeId> {
        SOURCES.into_iter().chain(REPLICAS).chain([MONITOR, CLIENT])
    }

    fn role(&mut self, node: NodeId) -> &mut dyn Role {
        if let Some(place) = SOURCES.iter().position(|known| *known == node) {
            return &mut self.sources[place];
        }
        if let Some(place) = REPLICAS.iter().position(|known| *known == node) {
            return &mut self.replicas[place];
        }
        if node == MONITOR { &mut self.monitor } else { &mut self.client }
    }

    /// Runs whatever is due until the time given: datagrams before ticks.
    fn run(mut self, until_ns: i64) -> Self {
        let mut effects = Effects::new();
        loop {
            let arrival = self.sky.first_key_value().map(|((at, _), _)| *at);
            let ticks = Self::nodes().filter_map(|node| Some((self.role(node).next_deadline()?, node)));
            let tick = ticks.min();
            let now = arrival.into_iter().chain(tick.map(|(at, _)| at)).min().unwrap();
            if now > until_ns {
                return self;
            }
            effects.clear();
            let actor = match (self.sky.first_entry(), tick) {
                (Some(first), _) if first.key().0 == now => {
                    let (from, to, bytes) = first.remove();
                    let node = Self::nodes().find(|node| address(*node) == to).unwrap();
                    if node == CLIENT {
                        self.observe(now, &bytes);
                    }
                    self.role(node).handle(now, from, &bytes, &mut effects);
                    node
                }
                (_, Some((_, node))) => {
                    self.role(node).tick(now, &mut effects);
                    node
                }
                _ => return self,
            };
            self.carry_out(now, actor, &effects);
        }
    }

    /// What the client should make of a frame, by an account of our own.
    fn observe(&mut self, now: i64, bytes: &[u8]) {
        let frame = FrameView::parse(bytes).unwrap();
        if !self.seen.insert(bytes.to_vec()) {
            self.witness.replayed += 1;
            return;
        }
        let MessageView::Stream(records) = frame.message() else { return };
        for record in records.iter() {
            let deadline = record.round * PERIOD + CLOSE_AFTER;
            *(if now > deadline { &mut self.witness.late } else { &mut self.witness.reported }) += 1;
        }
    }

    fn carry_out(&mut self, now: i64, actor: NodeId, effects: &Effects) {
        for effect in effects.iter() {
            match effect {
                Effect::Send { to, bytes } => self.send(now, address(actor), to, bytes),
                Effect::Decided(decided) => self.outcomes.push(Outcome {
                    round: decided.round,
                    deadline_ns: decided.deadline_ns,
                    closed_ns: decided.closed_ns,
                    decision: *decided.decision,
                    honest: decided.honest.map(<[f64]>::to_vec),
                    reports: decided.reports.to_vec(),
                }),
                Effect::Published { name, distribution } if actor == CLIENT => {
                    self.published.insert(name.to_owned(), distribution.clone());
                    let news = [(name.to_owned(), distribution.clone())].into();
                    let fleet = self.client.fleet().published(&news).unwrap();
                    self.client.install(fleet).unwrap();
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, now: i64, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        // Answers to requests are neither results nor forged.
        let is_result = to == address(CLIENT) && bytes.get(8) == Some(&2);
        if is_result {
            self.to_client += 1;
            if self.weather.forge_every > 0 && self.to_client.is_multiple_of(self.weather.forge_every) {
                // One bit of the signature's s, on its way before the frame itself.
                let mut forged = bytes.to_vec();
                let at = forged.len() - 32;
                forged[at] ^= 1;
                let entry = (from, to, forged.clone());
                self.witness.forged += 1;
                self.sky.insert((now, self.sent), entry);
                self.sent += 1;
            }
        }
        if self.rng.unit() < self.weather.loss {
            return;
        }
        let copies = 1 + usize::from(self.rng.unit() < self.weather.duplication);
        for _ in 0..copies {
            let delay = LATENCY_MEAN * exponential(&mut self.rng);
            let at = now + 1 + (delay * 1e9) as i64;
            self.sky.insert((at, self.sent), (from, to, bytes.to_vec()));
            self.sent += 1;
        }
    }
}

fn weather(liar: Behaviour) -> Weather {
    Weather { seed: 7, loss: 0.02, duplication: 0.05, liar, liar_sample_offset: 0.0, forge_every: 0 }
}

fn run(weather: Weather) -> World {
    run_rounds(weather, ROUNDS)
}

fn run_rounds(weather: Weather, rounds: i64) -> World {
    World::new(weather).run((rounds - 1) * PERIOD + CLOSE_AFTER)
}

/// Root mean square distance from the ideal output of decisions and of the reports' plain mean.
fn errors(world: &World) -> (f64, f64) {
    let (mut decided, mut plain, mut rounds) = (0.0, 0.0, 0.0);
    for outcome in world.outcomes.iter().skip(50) {
        let values: Vec<f64> = outcome
            .reports
            .iter()
            .filter_map(|report| if let Report::Value(value) = report { Some(*value) } else { None })
            .collect();
        if values.is_empty() {
            continue;
        }
        let ideal = ideal(outcome.round, world.weather.seed);
        decided += (outcome.decision.value - ideal).powi(2);
        plain += (values.iter().sum::<f64>() / values.len() as f64 - ideal).powi(2);
        rounds += 1.0;
    }
    ((decided / rounds).sqrt(), (plain / rounds).sqrt())
}

fn mean_honest(world: &World, place: usize) -> f64 {
    let of: Vec<f64> =
        world.outcomes.iter().skip(50).filter_map(|o| Some(o.honest.as_ref()?[place])).collect();
    of.iter().sum::<f64>() / of.len() as f64
}

#[test]
fn each_round_is_decided_at_its_deadline_and_better_than_by_the_mean() {
    let world = run(weather(Behaviour::Offset { by: 3.0 }));
    let rounds: Vec<i64> = world.outcomes.iter().map(|outcome| outcome.round).collect();
    assert_eq!(rounds, (0..ROUNDS).collect::<Vec<_>>());
    assert!(world.outcomes.iter().all(|o| o.closed_ns == o.deadline_ns));
    assert!(world.outcomes.iter().all(|o| o.deadline_ns == o.round * PERIOD + CLOSE_AFTER));
    let (decided, plain) = errors(&world);
    assert!(decided < plain / 4.0, "decided {decided}, plain mean {plain}");
    assert!(mean_honest(&world, 3) < 0.05, "liar {}", mean_honest(&world, 3));
    assert!((0..3).all(|place| mean_honest(&world, place) > 0.8));
}

#[test]
fn published_distributions_come_near_the_true_ones_whatever_one_replica_samples() {
    for liar_sample_offset in [0.0, 50.0] {
        let world = run(Weather { liar_sample_offset, ..weather(Behaviour::Honest) });
        assert!(count(&world.client, "fleets_installed") > 50);
        assert_eq!(world.client.fleet().distributions(), &world.published);
        let mean = |name: &str| world.published[name].mean();
        assert!((mean("uplink") / LATENCY_MEAN - 1.0).abs() < 0.15, "{}", mean("uplink"));
        assert!((mean("link") / LATENCY_MEAN - 1.0).abs() < 0.15, "{}", mean("link"));
        let sd = world.published["reading"].variance().sqrt();
        assert!((sd - 1.0).abs() < 0.15, "{sd}");
    }
}

#[test]
fn late_forged_and_replayed_frames_are_counted_exactly() {
    let storm = Weather { forge_every: 7, duplication: 0.3, ..weather(Behaviour::Honest) };
    let world = run(storm);
    let witness = &world.witness;
    // The witness took each forgery for a report; what it was made from came after it.
    for (name, expected) in [
        ("rejected_forged", witness.forged),
        ("rejected_replayed", witness.replayed),
        ("records_late", witness.late),
        ("records_reported", witness.reported - witness.forged),
        ("records_early", 0),
    ] {
        assert_eq!(count(&world.client, name), expected, "{name}");
    }
    assert!(witness.forged > 100 && witness.replayed > 200 && witness.late > 3, "{witness:?}");
}

#[test]
fn an_equivocator_is_excluded_wherever_both_values_came() {
    let world = run(weather(Behaviour::Equivocate { by: 0.5 }));
    let convicted: Vec<_> = world.outcomes.iter().filter(|o| o.reports[3] == Report::Equivocated).collect();
    assert!(convicted.len() > 250, "{}", convicted.len());
    for outcome in convicted {
        assert!(!outcome.decision.quorum.contains(3));
        assert!(outcome.honest.as_ref().is_none_or(|honest| honest[3] == 0.0));
    }
    let (decided, plain) = errors(&world);
    assert!(decided < 0.2 && plain < 0.2, "{decided} {plain}");
}

#[test]
fn other_liars_are_found_out_and_silence_is_borne() {
    let random = Behaviour::Random { low: 12.0, high: 28.0, rng: SplitMix64::new(3) };
    for liar in [Behaviour::Stuck { value: 25.0 }, random, Behaviour::Collude { target: 14.0 }] {
        let world = run_rounds(weather(liar.clone()), 150);
        let (decided, plain) = errors(&world);
        assert!(decided < plain, "{liar:?}: {decided} {plain}");
        assert!(mean_honest(&world, 3) < 0.2, "{liar:?}: {}", mean_honest(&world, 3));
    }
    let world = run_rounds(weather(Behaviour::Silent), 150);
    assert!(errors(&world).0 < 0.2);
    assert!(world.outcomes.iter().all(|outcome| outcome.reports[3] == Report::Missing));
}

#[test]
fn a_seed_gives_the_same_run_to_the_last_bit() {
    let once = |seed| {
        let storm = Weather { seed, forge_every: 11, ..weather(Behaviour::Offset { by: 1.0 }) };
        let mut world = run_rounds(storm, 120);
        let counters: Vec<_> = World::nodes().map(|node| world.role(node).counters()).collect();
        (world.outcomes, world.witness, world.published, counters)
    };
    let (first, again, other) = (once(1), once(1), once(2));
    assert!(first == again);
    assert!(first.0 != other.0);
}
