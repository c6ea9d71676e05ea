//! The shards of a client serve those who follow its decisions, and know the health of its replicas, as one client does.

mod common;

use centauri_engine::{ScalarBackend, Session};
use centauri_roles::health::HealthPolicy;
use centauri_roles::*;
use centauri_wire::{FrameView, Limits, MessageView, NodeId, Record, Request, RequestAction, StreamId};
use common::traffic::fleet;
use common::world::{S, World};
use common::*;
use std::collections::BTreeMap;

const STREAMS: u32 = 24;
/// They may ask, and are of several shards.
const ASKING: [NodeId; 6] = [REPLICAS[0], REPLICAS[1], RELAYS[0], RELAYS[1], OTHER_CLIENT, ENGINE];

fn shard_of(number: u32, count: usize) -> usize {
    (number.wrapping_mul(0x9e37_79b1) >> 16) as usize % count
}

fn sharding(count: usize) -> Sharding {
    Sharding { count, shard_of, queue_records: 4_096 }
}

fn name(number: u32) -> String {
    let road = if number.is_multiple_of(2) { "even" } else { "odd" };
    format!("{road}/{number}")
}

fn config(followers: SubscriberLimits) -> ClientConfig {
    let stream = |number| ClientStream {
        name: name(number),
        stream: StreamId(number),
        replicas: REPLICAS.to_vec(),
        timing: RoundTiming { windows: Windows::new(0, S).unwrap(), close_after_ns: S / 2 },
        first_round: 0,
    };
    ClientConfig {
        streams: (0..STREAMS).map(stream).collect(),
        followers,
        health: Some(HealthPolicy { rounds_between_false_alarms: 400.0, ..HealthPolicy::default() }),
        limits: Limits { past_ns: 2_000_000_000, future_ns: 1_000_000_000, ..Limits::default() },
        ..ClientConfig::default()
    }
}

fn session() -> Session {
    let names: Vec<String> = (0..STREAMS).map(name).collect();
    Session::new(fleet(names.iter().map(String::as_str)), Box::new(ScalarBackend::new()))
}

fn whole(limits: SubscriberLimits) -> Client {
    Client::new(&config(limits), registry(), identity(CLIENT), session(), 0).unwrap()
}

fn group(count: usize, limits: SubscriberLimits) -> Vec<ClientShard> {
    let sessions = (0..count).map(|_| session()).collect();
    let (config, registry, identity) = (config(limits), registry(), identity(CLIENT));
    ClientShard::group(&config, &registry, &identity, sessions, 0, sharding(count)).unwrap()
}

/// What came to a node.
#[derive(Debug, PartialEq, Clone, PartialOrd)]
enum Told {
    /// The outcome's name and the reason.
    Answer(String, String),
    /// Stream, round, value and how many reported.
    Decision(u32, i64, f64, u32),
}

/// All that was sent, in an order that does not depend on who was first.
fn told(effects: &Effects) -> Vec<(NodeId, Told)> {
    let mut all = Vec::new();
    for (to, bytes) in effects.sends() {
        let to = World::node_at(to);
        match FrameView::parse(bytes).unwrap().message() {
            MessageView::Answer(answer) => {
                all.push((to, Told::Answer(format!("{:?}", answer.outcome), answer.reason.to_owned())));
            }
            MessageView::Decision(decisions) => all.extend(
                decisions.iter().map(|d| (to, Told::Decision(d.stream.0, d.round, d.value, d.reported))),
            ),
            _ => {}
        }
    }
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all
}

/// A client, whole or divided.
struct Served {
    parts: Vec<Box<dyn Role>>,
    sharding: Option<Sharding>,
    effects: Effects,
}

impl Served {
    fn take(&mut self, now_ns: i64, from: NodeId, bytes: &[u8]) {
        let place = self.sharding.map_or(0, |sharding| sharding.of_frame(bytes));
        let accepted = self.parts[place].handle(now_ns, address(from), bytes, &mut self.effects);
        assert!(accepted, "{from}");
    }

    fn ask(&mut self, now_ns: i64, from: NodeId, request: Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(now_ns, CLIENT, &identity(from), &mut bytes).unwrap();
        self.take(now_ns, from, &bytes);
    }

    /// Shards look twice: what one tells the other sees then at the latest.
    fn tick(&mut self, now_ns: i64) {
        for part in &mut self.parts {
            part.tick(now_ns - 1, &mut self.effects);
        }
        for part in &mut self.parts {
            part.tick(now_ns, &mut self.effects);
        }
    }

    fn told(&mut self) -> Vec<(NodeId, Told)> {
        let all = told(&self.effects);
        self.effects.clear();
        all
    }

    fn sums(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for (name, count) in self.parts.iter().flat_map(|part| part.counters()) {
            let sum = sums.entry(name).or_default();
            *sum = count_of_both(name, *sum, count);
        }
        // A node may be in several ledgers.
        sums.retain(|name, _| {
            !name.starts_with("nodes_") && !name.contains("shard") && !name.contains("steered")
        });
        sums.remove("records_crossed");
        sums
    }
}

fn both(count: usize, limits: SubscriberLimits) -> [Served; 2] {
    let boxed = |shard| Box::new(shard) as Box<dyn Role>;
    [
        Served { parts: vec![Box::new(whole(limits))], sharding: None, effects: Effects::new() },
        Served {
            parts: group(count, limits).into_iter().map(boxed).collect(),
            sharding: Some(sharding(count)),
            effects: Effects::new(),
        },
    ]
}

/// A round's reports of all replicas on all streams; the last of them lies.
fn reports(round: i64, nonce: u64) -> Vec<(NodeId, Vec<u8>)> {
    let of = |(place, node): (usize, &NodeId)| {
        let value = |number: u32| if place == 3 { 45.0 } else { 10.0 + f64::from(number % 5) };
        let record = |number: u32| Record {
            stream: StreamId(number),
            age_us: 0,
            nonce,
            round,
            value: value(number),
            readings: 1,
        };
        let records: Vec<Record> = (0..STREAMS).map(record).collect();
        (*node, frame(*node, round * S + 100 + place as i64, &records))
    };
    REPLICAS.iter().enumerate().map(of).collect()
}

const HOUR: u64 = 3_600_000_000_000;

#[test]
fn shards_answer_once_and_send_what_one_client_would() {
    for count in [2, 3, 7] {
        let mut served = both(count, SubscriberLimits::default());
        let cancel = Request { request_id: 2, action: RequestAction::Cancel };
        let asked: [(i64, NodeId, Request<'_>); 9] = [
            (0, OTHER_CLIENT, start(1, "*", HOUR, 1, HOUR)),
            (1, ENGINE, start(1, "even/*", HOUR, 1, HOUR)),
            (1, ENGINE, start(2, "3,5,9-11", HOUR, 1, HOUR)),
            (2, RELAYS[1], start(1, "odd/3,even/2*", HOUR, 2_000_000_000, HOUR)),
            (2, REPLICAS[0], start(1, "sea/*", HOUR, 1, HOUR)),
            (3, REPLICAS[1], start(1, "7", 2_000_000_000, 1, HOUR)),
            (4, RELAYS[0], start(1, "mean(odd/*)", HOUR, 1_000_000_000, HOUR)),
            (5, ENGINE, start(1, "odd/1", HOUR, 1, HOUR)),
            (7, ENGINE, cancel),
        ];
        for round in 0..10 {
            for (place, (_, node, request)) in (0..).zip(asked.iter().filter(|(at, _, _)| *at == round)) {
                served.iter_mut().for_each(|one| one.ask(round * S + 50 + place, *node, *request));
            }
            for (node, bytes) in reports(round, round.unsigned_abs() + 1) {
                served.iter_mut().for_each(|one| one.take(round * S + 200, node, &bytes));
            }
            served.iter_mut().for_each(|one| one.tick(round * S + S / 2));
            let [one, divided] = served.each_mut().map(Served::told);
            assert_eq!(one, divided, "round {round} of {count} shards");
            assert!(one.len() >= STREAMS as usize, "the first asks for everything");
        }
        let [one, divided] = served.each_ref().map(Served::sums);
        assert_eq!(one, divided, "{count} shards");
        assert_eq!((one["requests_cancelled"], one["requests_expired"], one["requests_renewed"]), (1, 1, 1));
        assert_eq!((one["requests_refused_unknown"], one["rounds_decided"]), (2, 240));
    }
}

#[test]
fn bounds_hold_for_all_shards_together() {
    let limits = SubscriberLimits {
        per_node_max: 3,
        subscriptions_max: 10,
        streams_per_node_max: 50,
        ..Default::default()
    };
    for count in [2, 3, 7] {
        let mut served = both(count, limits);
        let mut at = 0;
        for node in ASKING {
            for (query, id) in [("*", 1), ("1-3", 2), ("*", 3), ("1-3", 4), ("4", 5), ("*", 1)] {
                at += 1;
                served.iter_mut().for_each(|one| one.ask(at, node, start(id, query, HOUR, 1, HOUR)));
                let [one, divided] = served.each_mut().map(Served::told);
                assert_eq!(one, divided, "{query} of {node}, {count} shards");
            }
        }
        let [one, divided] = served.each_ref().map(Served::sums);
        assert_eq!(one, divided);
        assert_eq!((one["requests_started"], one["requests_renewed"]), (10, 4));
        assert!(one["requests_refused_quota"] > 0 && one["requests_refused_full"] > 0);
    }
}

#[test]
fn ledgers_and_requests_of_shards_are_those_of_one_client_and_go_on_in_any_number_of_shards() {
    let (mut one, mut effects) = (whole(SubscriberLimits::default()), Effects::new());
    let mut shards = group(3, SubscriberLimits::default());
    let divided = sharding(3);
    for (node, query) in ASKING.into_iter().zip(["*", "even/*", "5", "odd/3", "1-9", "odd/*,even/*"]) {
        let mut bytes = Vec::new();
        start(1, query, HOUR, 1, HOUR).encode(10, CLIENT, &identity(node), &mut bytes).unwrap();
        assert!(one.handle(10, address(node), &bytes, &mut effects));
        assert!(shards[divided.of_frame(&bytes)].handle(10, address(node), &bytes, &mut effects));
    }
    for round in 0..40 {
        for (node, bytes) in reports(round, round.unsigned_abs() + 1) {
            one.handle(round * S + 200, address(node), &bytes, &mut effects);
            shards[divided.of_frame(&bytes)].handle(round * S + 200, address(node), &bytes, &mut effects);
        }
        one.tick(round * S + S / 2, &mut effects);
        shards.iter_mut().for_each(|shard| shard.tick(round * S + S / 2, &mut effects));
        effects.clear();
    }
    let mut together = shards[0].health().unwrap().clone();
    shards.iter().for_each(|shard| together.take_over(shard.health().unwrap()));
    let expected = one.health().unwrap();
    assert_eq!(together.snapshot(), expected.snapshot());
    assert_eq!((together.node_counts(), together.counts()), (expected.node_counts(), expected.counts()));
    assert_eq!(expected.node_counts(), [3, 0, 0, 1], "the liar is found");
    let kept = |all: &mut dyn Iterator<Item = ((NodeId, u64), Vec<u8>)>| all.collect::<BTreeMap<_, _>>();
    let requests = kept(&mut one.kept_requests());
    assert_eq!(kept(&mut shards.iter().flat_map(ClientShard::kept_requests)), requests);
    assert_eq!(requests.len(), ASKING.len());

    let now = 41 * S;
    for count in [1, 2, 5] {
        let mut next = group(count, SubscriberLimits::default());
        let restored = |shard: &mut ClientShard| {
            shard.restore_health(&together.snapshot()).unwrap();
            requests.values().filter(|bytes| shard.restore_request(now, bytes)).count()
        };
        assert_eq!(next.iter_mut().map(restored).sum::<usize>(), requests.len(), "each by one");
        let mut again = next[0].health().unwrap().clone();
        next.iter().for_each(|shard| again.take_over(shard.health().unwrap()));
        assert_eq!((again.snapshot(), again.node_counts()), (together.snapshot(), together.node_counts()));
        assert_eq!(kept(&mut next.iter().flat_map(ClientShard::kept_requests)).len(), requests.len());
    }
}
