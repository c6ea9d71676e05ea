//! A client divided among shards decides and counts what one client does.

mod common;

use centauri_engine::{ScalarBackend, Session};
use centauri_roles::*;
use centauri_wire::{Limits, NodeId, Record, StreamId};
use common::traffic::{PERIOD_NS, Sent, fleet, sent};
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 18] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"];
const CLOSE_AFTER_NS: i64 = 1_500;

/// Not the number itself, so that nothing depends on neighbours being in neighbouring shards.
fn shard_of(number: u32, count: usize) -> usize {
    (number.wrapping_mul(0x9e37_79b1) >> 16) as usize % count
}

fn sharding(count: usize, queue_records: usize) -> Sharding {
    Sharding { count, shard_of, queue_records }
}

fn config() -> ClientConfig {
    let stream = |(number, name): (u32, &&str)| ClientStream {
        name: (*name).to_owned(),
        stream: StreamId(number),
        replicas: REPLICAS.to_vec(),
        timing: RoundTiming { windows: Windows::new(0, PERIOD_NS).unwrap(), close_after_ns: CLOSE_AFTER_NS },
        first_round: i64::MIN,
    };
    let upstream = |node| Upstream { node, address: address(node), query: StreamQuery::of([StreamId(1)]) };
    ClientConfig {
        streams: (1..).zip(&NAMES).map(stream).collect(),
        upstreams: REPLICAS.map(upstream).to_vec(),
        limits: Limits { past_ns: 3_000, future_ns: 1_500, ..Limits::default() },
        latencies: REPLICAS.iter().map(|node| (*node, format!("link {node}"))).collect(),
        samples: Some(everything(8, 700)),
        ..ClientConfig::default()
    }
}

fn session() -> Session {
    Session::new(fleet(NAMES), Box::new(ScalarBackend::new()))
}

fn whole() -> Client {
    Client::new(&config(), registry(), identity(CLIENT), session(), 0).unwrap()
}

fn shards(sharding: Sharding) -> Vec<ClientShard> {
    let sessions = (0..sharding.count).map(|_| session()).collect();
    ClientShard::group(&config(), &registry(), &identity(CLIENT), sessions, 0, sharding).unwrap()
}

/// Everything but the frames sent, which have timestamps of their own: decisions and notes in an order that does not depend on
/// who was first.
fn seen<'a>(all: impl IntoIterator<Item = &'a Effects>) -> Vec<String> {
    let mut seen: Vec<String> = all
        .into_iter()
        .flat_map(Effects::iter)
        .filter(|effect| !matches!(effect, Effect::Send { .. }))
        .map(|effect| format!("{effect:?}"))
        .collect();
    seen.sort_unstable();
    seen
}

fn sums<'a>(roles: impl IntoIterator<Item = &'a dyn Role>) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for (name, count) in roles.into_iter().flat_map(Role::counters) {
        let sum: &mut u64 = sums.entry(name).or_default();
        *sum = if name.contains("_max_") { count.max(*sum) } else { *sum + count };
    }
    sums
}

fn shard_sums(shards: &[ClientShard]) -> BTreeMap<&'static str, u64> {
    sums(shards.iter().map(|shard| shard as &dyn Role))
}

/// The datagrams of each batch: one may come again, in the batch or in the next one.
fn frames(batches: &[Vec<(Sent, bool)>]) -> Vec<Vec<(NodeId, Vec<u8>)>> {
    let mut before: Option<(NodeId, Vec<u8>)> = None;
    let mut frames = Vec::new();
    for (now_ns, batch) in (0..).step_by(300).zip(batches) {
        let frame = |(sent, again): &(Sent, bool)| {
            let frame = before.take().filter(|_| *again).unwrap_or_else(|| (sent.node, sent.bytes(now_ns)));
            before = Some(frame.clone());
            frame
        };
        frames.push(batch.iter().map(frame).collect());
    }
    frames
}

fn received<'a>(frames: impl IntoIterator<Item = &'a (NodeId, Vec<u8>)>) -> Vec<Received<'a>> {
    frames.into_iter().map(|(node, bytes)| Received { from: address(*node), bytes }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn shards_together_are_one_client(
        batches in proptest::collection::vec(
            proptest::collection::vec((sent(prop_oneof![60 => 1_u32..19, 1 => Just(19)]), prop::bool::weighted(0.2)), 0..100),
            1..8,
        ),
        turns in proptest::collection::vec((0_usize..8, 1_usize..70, any::<bool>()), 1..12),
    ) {
        let (mut client, mut alone) = (whole(), Effects::new());
        let mut groups = [1, 2, 3, 7].map(|count| {
            let sharding = sharding(count, 8_192);
            (sharding, shards(sharding), vec![Effects::new(); count])
        });
        let mut turns = turns.into_iter().cycle();
        for (now_ns, batch) in (0..).step_by(300).zip(&frames(&batches)) {
            client.handle_batch(now_ns, &received(batch), &mut alone);
            for (sharding, shards, effects) in &mut groups {
                let mut left: Vec<Vec<Received<'_>>> = (0..shards.len())
                    .map(|own| received(batch.iter().filter(|(_, bytes)| sharding.of_frame(bytes) == own)))
                    .collect();
                // Shards come in any order, with any part of what they have; what is not due may be done at any time.
                while left.iter().any(|left| !left.is_empty()) {
                    let (turn, most, ticks) = turns.next().unwrap();
                    let at = (0..left.len()).map(|n| (n + turn) % left.len()).find(|at| !left[*at].is_empty()).unwrap();
                    let most = most.min(left[at].len());
                    let rest = left[at].split_off(most);
                    shards[at].handle_batch(now_ns, &left[at], &mut effects[at]);
                    left[at] = rest;
                    if ticks {
                        let other = turn % shards.len();
                        shards[other].tick(now_ns, &mut effects[other]);
                    }
                }
                for (shard, effects) in shards.iter_mut().zip(effects) {
                    shard.tick(now_ns + 300, effects);
                }
            }
            client.tick(now_ns + 300, &mut alone);
        }
        let end = 300 * batches.len() as i64;
        client.finish(end, &mut alone);
        let expected = (seen([&alone]), sums([&client as &dyn Role]));
        for (_, shards, effects) in &mut groups {
            for (shard, effects) in shards.iter_mut().zip(effects.iter_mut()) {
                shard.drain(end);
                shard.finish(end, effects);
                prop_assert!(shard.is_drained());
            }
            prop_assert_eq!(&seen(&*effects), &expected.0, "{} shards", shards.len());
            let mut counted = shard_sums(shards);
            prop_assert_eq!(counted.remove("records_shard_overflow"), Some(0));
            prop_assert_eq!(counted.remove("frames_missteered"), Some(0));
            prop_assert!(shards.len() > 1 || counted["records_crossed"] == 0);
            counted.remove("records_crossed");
            prop_assert_eq!(&counted, &expected.1, "{} shards", shards.len());
        }
    }
}

/// A frame of a replica with a record for every stream, and the streams by their numbers.
fn of_all_streams(node: NodeId, now_ns: i64, round: i64, nonce: u64) -> Vec<u8> {
    let record = |(number, _): (u32, &&str)| Record {
        stream: StreamId(number),
        age_us: 0,
        nonce,
        round,
        value: 20.0,
        readings: 1,
    };
    frame(node, now_ns, &(1..).zip(&NAMES).map(record).collect::<Vec<_>>())
}

/// Two shards: that of the first replica, and the other; and how many of the streams are the other's.
fn two(queue_records: usize) -> (ClientShard, ClientShard, u64) {
    let sharding = sharding(2, queue_records);
    let own = sharding.of_sender(REPLICAS[0]);
    let foreign = (0..).zip(NAMES).filter(|(place, _)| sharding.of_stream(*place) != own).count();
    assert!((4..15).contains(&foreign), "both have streams");
    let mut shards = shards(sharding);
    let (mine, other) = (shards.remove(own), shards.remove(0));
    (mine, other, foreign as u64)
}

#[test]
fn a_record_counts_by_when_its_frame_was_received_if_it_comes_out_before_the_round_is_decided() {
    let (mut mine, mut other, foreign) = two(1_024);
    let mut effects = Effects::new();
    let give = |shard: &mut ClientShard, now_ns, nonce| {
        let bytes = of_all_streams(REPLICAS[0], now_ns, 0, nonce);
        assert!(shard.handle(now_ns, address(REPLICAS[0]), &bytes, &mut Effects::new()));
    };
    give(&mut mine, CLOSE_AFTER_NS, 1);
    give(&mut mine, CLOSE_AFTER_NS + 1, 2);
    assert_eq!(other.next_deadline(), Some(0), "it looks into its queues before anything is due");
    other.tick(CLOSE_AFTER_NS + 9, &mut effects);
    let decided: Vec<_> = effects.decisions().collect();
    assert_eq!(decided.len() as u64, foreign);
    let expected = centauri_engine::Report::Value(20.0);
    assert!(decided.iter().all(|decided| decided.round == 0 && decided.reports[0] == expected));
    assert_eq!((count(&other, "records_reported"), count(&other, "records_late")), (foreign, foreign));
    // In time, but nobody had a look before the next round was decided.
    let bytes = of_all_streams(REPLICAS[0], CLOSE_AFTER_NS + 10, 1, 3);
    other.tick(PERIOD_NS + CLOSE_AFTER_NS, &mut effects);
    mine.handle(CLOSE_AFTER_NS + 10, address(REPLICAS[0]), &bytes, &mut effects);
    other.tick(PERIOD_NS + CLOSE_AFTER_NS + 1, &mut effects);
    assert_eq!(count(&other, "records_late"), 2 * foreign);
}

#[test]
fn what_finds_a_queue_full_is_dropped_and_counted() {
    let (mut mine, mut other, foreign) = two(5);
    let mut effects = Effects::new();
    for nonce in 1..=3 {
        let bytes = of_all_streams(REPLICAS[0], 10, 0, nonce);
        assert!(mine.handle(10, address(REPLICAS[0]), &bytes, &mut effects));
    }
    // The first five found room.
    assert_eq!(count(&mine, "records_shard_overflow"), 3 * foreign - 5);
    assert_eq!(count(&mine, "records_crossed"), 5);
    other.tick(20, &mut effects);
    let bytes = of_all_streams(REPLICAS[0], 30, 0, 4);
    mine.handle(30, address(REPLICAS[0]), &bytes, &mut effects);
    other.finish(40, &mut effects);
    assert_eq!(count(&mine, "records_crossed"), 10, "there is room again");
    let taken = count(&other, "records_reported") + count(&other, "records_repeated");
    assert_eq!(taken, 10);
    assert_eq!(count(&mine, "records_reported"), NAMES.len() as u64 - foreign);
}

#[test]
fn frames_that_belong_to_another_shard_are_not_taken_in() {
    let (mut mine, mut other, _) = two(1_024);
    let sharding = sharding(2, 1_024);
    let other_node = *REPLICAS
        .iter()
        .find(|node| sharding.of_sender(**node) != sharding.of_sender(REPLICAS[0]))
        .expect("replicas are not all of one shard");
    let frames: Vec<(NodeId, Vec<u8>)> = (1..)
        .zip([REPLICAS[0], other_node, other_node, REPLICAS[0], other_node])
        .map(|(nonce, node)| (node, of_all_streams(node, 10, 0, nonce)))
        .collect();
    let mut effects = Effects::new();
    let accepted = |set: AcceptedSet| (0..5).filter(|place| set.contains(*place)).collect::<Vec<usize>>();
    let taken = mine.handle_batch(10, &received(&frames), &mut effects);
    assert_eq!(accepted(taken), [0, 3]);
    let taken = other.handle_batch(10, &received(&frames), &mut effects);
    assert_eq!(accepted(taken), [1, 2, 4]);
    assert_eq!((count(&mine, "frames_missteered"), count(&other, "frames_missteered")), (3, 2));
    assert_eq!((count(&mine, "frames_received"), count(&other, "frames_received")), (2, 3));
}

#[test]
fn what_no_group_can_be_made_of_is_refused() {
    let group = |sessions: usize, sharding| {
        let sessions = (0..sessions).map(|_| session()).collect();
        let group = ClientShard::group(&config(), &registry(), &identity(CLIENT), sessions, 0, sharding);
        group.map(|group| group.len()).map_err(|error| error.to_string())
    };
    assert_eq!(group(1, sharding(1, 1)), Ok(1));
    let refused = |sessions, count, records| group(sessions, sharding(count, records)).unwrap_err();
    assert!(refused(0, 0, 1).contains("shards: found 0, expected 1 to 256"));
    assert!(refused(2, 257, 1).contains("shards: found 257"));
    assert!(refused(2, 2, 0).contains("queue_records: found 0"));
    assert!(refused(2, 3, 1).contains("sessions: found 2, expected one for each shard"));
}
