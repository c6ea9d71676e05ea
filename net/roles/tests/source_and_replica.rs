//! Sources and replicas one by one, at the edges of subscriptions and windows.

mod common;

use centauri_engine::Computation;
use centauri_roles::*;
use centauri_wire::{Limits, NodeId, Record, Request, RequestAction, StreamId};
use common::*;

const ALWAYS: u64 = i64::MAX as u64;

fn wide() -> Limits {
    Limits { past_ns: u64::MAX, future_ns: u64::MAX, ..Limits::default() }
}

/// Four subscriptions a node, as often as they like.
fn subscribers() -> SubscriberLimits {
    SubscriberLimits { per_node_max: 4, period_min_ns: 1, ..SubscriberLimits::default() }
}

fn source(readings: Vec<(i64, f64)>, start_ns: i64) -> Source {
    let config =
        SourceConfig { limits: wide(), subscribers: subscribers(), ..SourceConfig::new(StreamId(5)) };
    Source::new(&config, registry(), identity(SOURCES[0]), Box::new(readings.into_iter()), start_ns).unwrap()
}

#[test]
fn a_subscription_ends_to_the_nanosecond_and_renewals_extend_it() {
    let readings = vec![(999, 1.0), (1_000, 2.0), (1_400, 3.0), (1_499, 4.0), (1_500, 5.0)];
    let (mut source, mut effects) = (source(readings, 0), Effects::new());
    ask(SOURCES[0], &mut source, 0, CLIENT, start(1, "5", 1_000, 1, ALWAYS), &mut effects);
    ask(SOURCES[0], &mut source, 0, OTHER_CLIENT, start(1, "4", 1_000, 1, ALWAYS), &mut effects);
    run_until(&mut source, 1_000, &mut effects);
    ask(SOURCES[0], &mut source, 1_100, CLIENT, start(1, "*", 400, 1, ALWAYS), &mut effects);
    run_until(&mut source, i64::MAX, &mut effects);
    let seen: Vec<_> = records(&effects).iter().map(|(to, r, at)| (*to, r.round, r.value, *at)).collect();
    let to = address(CLIENT);
    assert_eq!(seen, [(to, 0, 1.0, 999), (to, 2, 3.0, 1_400), (to, 3, 4.0, 1_499)]);
    assert_eq!(count(&source, "requests_refused_unknown"), 1);
    assert_eq!(count(&source, "requests_expired"), 2);
    assert!(source.is_finished() && source.next_deadline().is_none());
}

#[test]
fn a_readings_time_survives_to_the_nanosecond() {
    let readings = vec![(1_000_000_001, 1.0), (1_000_000_777, 2.0), (-3_000_000_123, 3.0)];
    let (mut source, mut effects) = (source(readings, -4_000_000_000), Effects::new());
    ask(SOURCES[0], &mut source, -4_000_000_000, CLIENT, start(1, "*", ALWAYS, 1, ALWAYS), &mut effects);
    source.tick(1_000_123_456, &mut effects);
    let times: Vec<i64> = records(&effects).iter().map(|(_, _, at)| *at).collect();
    assert_eq!(times, [1_000_000_001, 1_000_000_777, -3_000_000_123]);
}

#[test]
fn period_validity_cancel_and_bounds_are_respected() {
    let readings = (0..10).map(|at| (at * 100, at as f64)).collect();
    let (mut source, mut effects) = (source(readings, 0), Effects::new());
    ask(SOURCES[0], &mut source, 0, CLIENT, start(1, "*", ALWAYS, 300, 50), &mut effects);
    ask(SOURCES[0], &mut source, 0, OTHER_CLIENT, start(1, "*", ALWAYS, 1, ALWAYS), &mut effects);
    run_until(&mut source, 400, &mut effects);
    let cancel = Request { request_id: 1, action: RequestAction::Cancel };
    ask(SOURCES[0], &mut source, 450, OTHER_CLIENT, cancel, &mut effects);
    // An overtaken older request is no reason to begin anew under the old terms.
    source.tick(650, &mut effects);
    source.tick(900, &mut effects);
    let of = |node| -> Vec<i64> {
        let mine = records(&effects).into_iter().filter(|(to, ..)| *to == address(node));
        mine.map(|(_, record, _)| record.round).collect()
    };
    // Spans of 300 begin with readings 0, 3, 6 and 9; at 650 reading 6 is 50 old, just young enough, and
    // at 900 reading 7 is not, nor 8, in whose span 6 was sent anyway.
    assert_eq!(of(CLIENT), [0, 3, 6, 9]);
    assert_eq!(of(OTHER_CLIENT), [0, 1, 2, 3, 4]);
    for request_id in 2..9 {
        ask(
            SOURCES[0],
            &mut source,
            1_000 + request_id as i64,
            CLIENT,
            start(request_id, "*", 1, 1, 1),
            &mut effects,
        );
    }
    assert_eq!(count(&source, "requests_expired"), 6, "each of ttl 1 had run out when the next came");
    for request_id in 2..9 {
        ask(
            SOURCES[0],
            &mut source,
            2_000 + request_id as i64,
            CLIENT,
            start(request_id, "*", 99, 1, 1),
            &mut effects,
        );
    }
    assert_eq!(count(&source, "requests_refused_quota"), 4, "a node has four subscriptions at most");
}

#[test]
fn nobody_subscribes_by_forgery_or_out_of_role() {
    let (mut source, mut effects) = (source(vec![(10, 1.0)], 0), Effects::new());
    let mut bytes = Vec::new();
    start(1, "*", ALWAYS, 1, 1).encode(0, SOURCES[0], &identity(CLIENT), &mut bytes).unwrap();
    let at = bytes.len() - 64 + 33;
    bytes[at] ^= 1;
    source.handle(0, address(CLIENT), &bytes, &mut effects);
    ask(SOURCES[0], &mut source, 0, MONITOR, start(1, "*", ALWAYS, 1, 1), &mut effects);
    source.tick(10, &mut effects);
    assert!(effects.is_empty());
    assert_eq!((count(&source, "rejected_forged"), count(&source, "rejected_wrong_role")), (1, 1));
}

fn stream(number: u32, computation: Computation) -> ReplicaStream {
    ReplicaStream {
        stream: StreamId(number),
        sources: SOURCES.map(|node| SourceStream { node, stream: StreamId(5) }).to_vec(),
        windows: Windows::new(0, 1_000).unwrap(),
        deadline_ns: 1_500,
        computation,
        readings_per_source_max: 4,
        latency: Some("uplink".into()),
        residuals: Some("reading".into()),
        steps: Some("step".into()),
    }
}

fn replica(streams: Vec<ReplicaStream>, behaviour: Behaviour) -> Replica {
    let subscribers = subscribers();
    let config =
        ReplicaConfig { streams, behaviour, subscribers, limits: wide(), ..ReplicaConfig::default() };
    Replica::new(&config, registry(), identity(REPLICAS[0]), 0).unwrap()
}

fn reading(from: NodeId, sequence: i64, at_ns: i64, value: f64) -> Vec<u8> {
    let nonce = (sequence + 1_000) as u64;
    let record = Record { stream: StreamId(5), age_us: 0, nonce, round: sequence, value, readings: 1 };
    frame(from, at_ns, &[record])
}

fn give(replica: &mut Replica, now_ns: i64, bytes: &[u8], effects: &mut Effects) {
    replica.handle(now_ns, address(SOURCES[0]), bytes, effects);
}

#[test]
fn a_replica_that_starts_after_a_windows_deadline_sends_nothing_for_it() {
    // Before it went down it had sent a sum; an empty one now would be another value for the same round.
    for (start_ns, first) in [(3_499, 3), (3_500, 4), (3_999, 4), (4_000, 4)] {
        let sum = ReplicaStream { deadline_ns: 500, ..stream(1, Computation::Sum) };
        let config = ReplicaConfig { streams: vec![sum], limits: wide(), ..ReplicaConfig::default() };
        let mut replica = Replica::new(&config, registry(), identity(REPLICAS[0]), start_ns).unwrap();
        let mut effects = Effects::new();
        ask(REPLICAS[0], &mut replica, start_ns, CLIENT, start(1, "*", ALWAYS, 1, ALWAYS), &mut effects);
        run_until(&mut replica, 5_500, &mut effects);
        let rounds: Vec<i64> = records(&effects).iter().map(|(_, record, _)| record.round).collect();
        assert_eq!(rounds, (first..=5).collect::<Vec<_>>(), "started at {start_ns}");
    }
}

#[test]
fn all_computations_of_a_window_share_a_frame() {
    let streams = Computation::ALL.into_iter().zip(1..).map(|(c, n)| stream(n, c)).collect();
    let (mut replica, mut effects) = (replica(streams, Behaviour::Honest), Effects::new());
    ask(REPLICAS[0], &mut replica, 0, CLIENT, start(1, "*", ALWAYS, 1, ALWAYS), &mut effects);
    ask(REPLICAS[0], &mut replica, 0, OTHER_CLIENT, start(1, "3-4", ALWAYS, 1, ALWAYS), &mut effects);
    give(&mut replica, 100, &reading(SOURCES[1], 7, 0, 4.0), &mut effects);
    give(&mut replica, 1_500, &reading(SOURCES[0], 2, 999, -1.0), &mut effects);
    give(&mut replica, 1_500, &reading(SOURCES[2], 0, 1_000, 50.0), &mut effects);
    effects.clear();
    replica.tick(1_500, &mut effects);
    assert_eq!(effects.sends().count(), 2, "one frame for each subscriber");
    let of = |effects: &Effects, node| -> Vec<(u32, i64, f64, u32)> {
        let mine = records(effects).into_iter().filter(|(to, ..)| *to == address(node));
        mine.map(|(_, r, _)| (r.stream.0, r.round, r.value, r.readings)).collect()
    };
    let values = [-1.0, 1.0, 3.0, 1.5, -1.0, -1.0, 4.0];
    let expected: Vec<_> = (1..).zip(values).map(|(stream, value)| (stream, 0, value, 2)).collect();
    assert_eq!(of(&effects, CLIENT), expected);
    assert_eq!(of(&effects, OTHER_CLIENT), expected[2..4]);
    effects.clear();
    run_until(&mut replica, 3_500, &mut effects);
    let empty: Vec<_> = of(&effects, CLIENT).into_iter().filter(|(_, round, ..)| *round == 2).collect();
    assert_eq!(empty, [(2, 2, 0.0, 0), (3, 2, 0.0, 0)], "only count and sum report on no readings");
}

#[test]
fn late_and_repeated_readings_do_not_count() {
    let (mut replica, mut effects) =
        (replica(vec![stream(1, Computation::Sum)], Behaviour::Honest), Effects::new());
    ask(REPLICAS[0], &mut replica, 0, CLIENT, start(1, "*", ALWAYS, 1, ALWAYS), &mut effects);
    let first = reading(SOURCES[0], 0, 500, 1.0);
    give(&mut replica, 600, &first, &mut effects);
    give(&mut replica, 601, &first, &mut effects);
    let record = Record { stream: StreamId(5), age_us: 0, nonce: 9_000, round: 0, value: 64.0, readings: 1 };
    give(&mut replica, 602, &frame(SOURCES[0], 500, &[record]), &mut effects);
    let stranger = Record { stream: StreamId(6), ..record };
    give(&mut replica, 603, &frame(SOURCES[0], 500, &[stranger]), &mut effects);
    give(&mut replica, 1_501, &reading(SOURCES[1], 0, 999, 8.0), &mut effects);
    run_until(&mut replica, 1_501, &mut effects);
    give(&mut replica, 1_502, &reading(SOURCES[2], 0, 998, 16.0), &mut effects);
    let sums: Vec<f64> = records(&effects).iter().map(|(_, r, _)| r.value).collect();
    assert_eq!(sums, [1.0]);
    for (name, expected) in [
        ("readings_counted", 1),
        ("readings_late", 2),
        ("readings_duplicate", 1),
        ("rejected_replayed", 1),
        ("rejected_unknown_stream", 1),
    ] {
        assert_eq!(count(&replica, name), expected, "{name}");
    }
}

#[test]
fn an_equivocator_signs_two_values_under_two_nonces() {
    let liar = Behaviour::Equivocate { by: 2.0 };
    let (mut replica, mut effects) = (replica(vec![stream(1, Computation::Sum)], liar), Effects::new());
    ask(REPLICAS[0], &mut replica, 0, CLIENT, start(1, "*", ALWAYS, 1, ALWAYS), &mut effects);
    run_until(&mut replica, 2_500, &mut effects);
    let told: Vec<_> = records(&effects).iter().map(|(_, r, _)| (r.round, r.value, r.nonce)).collect();
    assert_eq!(told, [(0, 0.0, 0), (0, 2.0, 1), (1, 0.0, 2), (1, 2.0, 3)]);
}

#[test]
fn a_period_longer_than_the_window_picks_the_same_rounds_at_any_time() {
    for asked_at in [0, 1_700, 3_100] {
        let (mut replica, mut effects) =
            (replica(vec![stream(1, Computation::Count)], Behaviour::Honest), Effects::new());
        run_until(&mut replica, asked_at, &mut effects);
        ask(REPLICAS[0], &mut replica, asked_at, CLIENT, start(1, "*", ALWAYS, 3_000, ALWAYS), &mut effects);
        run_until(&mut replica, 11_000, &mut effects);
        let rounds: Vec<i64> = records(&effects).iter().map(|(_, r, _)| r.round).collect();
        let expected: Vec<i64> = [0, 3, 6, 9].into_iter().filter(|r| r * 1_000 + 1_500 > asked_at).collect();
        assert_eq!(rounds, expected);
    }
}

#[test]
fn samples_are_batched_and_unbiased() {
    let samples = Some(everything(4, 10_000));
    let streams = vec![stream(1, Computation::Mean)];
    let config = ReplicaConfig { streams, samples, limits: wide(), ..ReplicaConfig::default() };
    let mut replica = Replica::new(&config, registry(), identity(REPLICAS[0]), 0).unwrap();
    let mut effects = Effects::new();
    for window in 0..3 {
        let at = window * 1_000;
        give(
            &mut replica,
            at + 300,
            &reading(SOURCES[0], window, at + 100, window as f64 + 1.0),
            &mut effects,
        );
        give(
            &mut replica,
            at + 300,
            &reading(SOURCES[1], window, at + 100, window as f64 - 1.0),
            &mut effects,
        );
    }
    run_until(&mut replica, 20_000, &mut effects);
    let mut seen = Vec::new();
    for (to, bytes) in effects.sends() {
        let frame = centauri_wire::FrameView::parse(bytes).unwrap();
        let centauri_wire::MessageView::Sample(sample) = frame.message() else { continue };
        assert_eq!(to, address(MONITOR));
        seen.push((sample.distribution.to_owned(), sample.values.iter().collect::<Vec<f64>>()));
    }
    let root = 2.0_f64.sqrt();
    let latency = 200.0 * 1e-9;
    let expected = [
        ("uplink", vec![latency; 4]),
        ("reading", vec![root, -root, root, -root]),
        ("uplink", vec![latency; 2]),
        ("step", vec![1.0, 1.0]),
        ("reading", vec![root, -root]),
    ];
    assert_eq!(seen, expected.map(|(name, values)| (name.to_owned(), values)));
}

#[test]
fn times_and_rounds_at_the_ends_of_their_range_do_no_harm() {
    let streams = vec![stream(1, Computation::Mean), stream(2, Computation::Count)];
    let (mut replica, mut effects) = (replica(streams, Behaviour::Honest), Effects::new());
    ask(REPLICAS[0], &mut replica, 0, CLIENT, start(1, "*", ALWAYS, ALWAYS, 1), &mut effects);
    for (nonce, now) in (0..).zip([i64::MIN, -1, 0, i64::MAX]) {
        for (step, at) in (0..).zip([i64::MIN, 0, i64::MAX]) {
            let age_us = if step == 0 { u32::MAX } else { 0 };
            let nonce = 10 * nonce + step;
            let record =
                Record { stream: StreamId(5), age_us, nonce, round: at, value: f64::MAX, readings: 0 };
            give(&mut replica, now, &frame(SOURCES[0], at, &[record]), &mut effects);
            replica.tick(now, &mut effects);
            effects.clear();
        }
    }
    assert!(
        count(&replica, "windows_left_out") > 1_000_000,
        "what a leap of the clock leaves out is counted"
    );
}
