//! The verifier: the order of its checks, what it remembers and what it counts.

mod common;

use std::collections::BTreeSet;

use centauri_wire::*;
use common::*;
use proptest::prelude::*;

fn rejected(verifier: &mut Verifier, frame: &[u8]) -> Option<Rejected> {
    verifier.check(NOW_NS, frame).err()
}

fn forge(mut frame: Vec<u8>) -> Vec<u8> {
    // The lowest byte of s: the form stays right.
    let at = frame.len() - 32;
    frame[at] ^= 1;
    frame
}

#[test]
fn roles_send_what_the_table_says_and_nothing_else() {
    use MessageKind as K;
    let table = [
        (SOURCE, vec![K::Stream, K::SampleOutput, K::Answer]),
        (REPLICA, vec![K::Request, K::Stream, K::SampleOutput, K::SampleLatency, K::Decision, K::Answer]),
        (MONITOR, vec![K::Distribution]),
        (CLIENT, vec![K::Request, K::SampleLatency]),
        (ENGINE, vec![K::Request, K::SampleLatency, K::Decision, K::Answer]),
    ];
    for (sender, allowed) in table {
        let frames = [
            (K::Request, cancel_frame(sender, NOW_NS)),
            (K::Stream, stream_frame(sender, NOW_NS, &[record(1, 1)])),
            (K::SampleOutput, sample_frame(sender, SampleKind::Output)),
            (K::SampleLatency, sample_frame(sender, SampleKind::Latency)),
            (K::Distribution, distribution_frame(sender)),
            (K::Decision, decision_frame(sender, &[decision(2, 1)])),
            (K::Answer, answer_frame(sender, CLIENT)),
        ];
        let mut verifier = verifier();
        for (kind, frame) in frames {
            match verifier.check(NOW_NS, &frame) {
                Ok(accepted) => {
                    assert_eq!((accepted.message().kind(), accepted.header().sender), (kind, sender));
                    assert!(allowed.contains(&kind), "{sender} {kind:?}");
                }
                Err(error) => {
                    assert!(
                        matches!(error, Rejected::WrongRole { kind: found, .. } if found == kind),
                        "{error}"
                    );
                    assert!(!allowed.contains(&kind), "{sender} {kind:?}");
                }
            }
        }
        assert_eq!(verifier.counters().rejected_wrong_role, 7 - allowed.len() as u64);
        check_counters_add_up(&verifier);
    }
}

#[test]
fn requests_and_answers_are_for_their_receiver_alone() {
    let (request, answer) = (cancel_frame(CLIENT, NOW_NS), answer_frame(ENGINE, CLIENT));
    for (own, takes_request, takes_answer) in
        [(REPLICA, true, false), (CLIENT, false, true), (SOURCE, false, false)]
    {
        let mut verifier = verifier().for_node(own);
        let other = |receiver, takes: bool| (!takes).then_some(Rejected::WrongReceiver { receiver });
        assert_eq!(rejected(&mut verifier, &request), other(REPLICA, takes_request));
        assert_eq!(rejected(&mut verifier, &answer), other(CLIENT, takes_answer));
        let refused = u64::from(!takes_request) + u64::from(!takes_answer);
        assert_eq!(verifier.counters().rejected_wrong_receiver, refused);
        assert_eq!(rejected(&mut verifier, &decision_frame(ENGINE, &[decision(1, 1)])), None);
        check_counters_add_up(&verifier);
    }
    // A frame for another, with the receiver's number written over, is a forgery.
    let mut turned = request;
    turned[20..24].copy_from_slice(&SOURCE.0.to_le_bytes());
    assert_eq!(rejected(&mut verifier().for_node(SOURCE), &turned), Some(Rejected::Forged));
}

#[test]
fn decisions_are_accepted_once_by_their_nonces() {
    let mut verifier = verifier();
    let frame = decision_frame(ENGINE, &[decision(1, 5), decision(1, 5), decision(2, 1), decision(9, 1)]);
    let accepted = verifier.check(NOW_NS, &frame).expect("two of them are fresh");
    let nonces: Vec<_> = accepted.decisions().map(|decision| (decision.stream.0, decision.nonce)).collect();
    assert_eq!(nonces, [(1, 5), (2, 1)]);
    assert_eq!(accepted.records().count(), 0);
    assert_eq!(rejected(&mut verifier, &frame), Some(Rejected::Replayed));
    let unknown = decision_frame(ENGINE, &[decision(9, 1)]);
    assert_eq!(rejected(&mut verifier, &unknown), Some(Rejected::UnknownStream));
    assert_eq!(verifier.counters().records_accepted, 2);
    assert_eq!(verifier.counters().records_replayed, 1);
    assert_eq!(verifier.counters().records_unknown_stream, 1);
    check_counters_add_up(&verifier);
}

#[test]
fn a_forged_frame_moves_no_nonce_and_no_timestamp() {
    let mut verifier = verifier();
    let far = stream_frame(SOURCE, NOW_NS, &[record(1, u64::MAX)]);
    let near = stream_frame(SOURCE, NOW_NS, &[record(1, 1)]);
    let cancel = cancel_frame(CLIENT, NOW_NS);
    assert_eq!(rejected(&mut verifier, &forge(far.clone())), Some(Rejected::Forged));
    assert_eq!(rejected(&mut verifier, &forge(near.clone())), Some(Rejected::Forged));
    assert_eq!(rejected(&mut verifier, &forge(cancel.clone())), Some(Rejected::Forged));
    for frame in [&near, &cancel, &far] {
        assert_eq!(rejected(&mut verifier, frame), None);
        assert_eq!(rejected(&mut verifier, frame), Some(Rejected::Replayed));
    }
    assert_eq!(verifier.counters().rejected_forged, 3);
    check_counters_add_up(&verifier);
}

#[test]
fn replays_cost_no_curve_arithmetic() {
    let mut verifier = verifier();
    let frame = stream_frame(SOURCE, NOW_NS, &[record(1, 1)]);
    assert_eq!(rejected(&mut verifier, &frame), None);
    // Forged and replayed: the cheap check speaks first.
    assert_eq!(rejected(&mut verifier, &forge(frame)), Some(Rejected::Replayed));
}

#[test]
fn the_checks_come_in_their_order() {
    // Each frame is wrong in one way fewer; the first check that fails is the one reported.
    let mut verifier = verifier();
    let stale = NOW_NS - 6_000_000_000;
    let mut bytes = distribution_frame(SOURCE);
    bytes[7] = 9;
    assert!(matches!(
        rejected(&mut verifier, &bytes),
        Some(Rejected::Malformed(MalformedReason::Version { found: 9 }))
    ));
    let mut unknown = stream_frame(SOURCE, stale, &[record(9, 1)]);
    unknown[16] = 99;
    assert_eq!(rejected(&mut verifier, &unknown), Some(Rejected::UnknownSender(NodeId(99))));
    let mut role = stream_frame(SOURCE, stale, &[record(9, 1)]);
    role[16] = 4;
    assert!(matches!(rejected(&mut verifier, &role), Some(Rejected::WrongRole { role: Role::Client, .. })));
    let old = stream_frame(SOURCE, stale, &[record(9, 1)]);
    assert_eq!(rejected(&mut verifier, &old), Some(Rejected::Stale { timestamp_ns: stale }));
    let mut stream = stream_frame(SOURCE, NOW_NS, &[record(9, 1)]);
    let end = stream.len();
    stream[end - 1] = 0xff;
    assert_eq!(rejected(&mut verifier, &stream), Some(Rejected::UnknownStream));
    let mut shape = stream_frame(SOURCE, NOW_NS, &[record(1, 1)]);
    let signature = shape.len() - SIGNATURE_BYTES;
    shape[signature..signature + 32].fill(0xff);
    shape[end - 1] = 0xff;
    assert_eq!(
        rejected(&mut verifier, &shape),
        Some(Rejected::SignatureShape(SignatureShapeError::ScalarNotReduced))
    );
    shape[end - 1] = 0;
    assert_eq!(
        rejected(&mut verifier, &shape),
        Some(Rejected::SignatureShape(SignatureShapeError::PointNotCanonical))
    );
    let counters = verifier.counters();
    let ones = [
        counters.rejected_version,
        counters.rejected_unknown_sender,
        counters.rejected_wrong_role,
        counters.rejected_stale,
        counters.rejected_unknown_stream,
        counters.rejected_bad_s,
        counters.rejected_bad_r,
    ];
    assert_eq!(ones, [1; 7]);
    check_counters_add_up(&verifier);
}

#[test]
fn the_freshness_window_includes_its_ends() {
    let limits = Limits { past_ns: 10, future_ns: 20, not_before_ns: NOW_NS - 5, tracked_pairs_max: 1 };
    let check = |limits: Limits, timestamp_ns: i64| {
        let mut verifier = Verifier::new(registry(), limits);
        verifier.check(NOW_NS, &cancel_frame(CLIENT, timestamp_ns)).err()
    };
    let open = Limits { not_before_ns: i64::MIN, ..limits };
    assert_eq!(check(open, NOW_NS - 10), None);
    assert_eq!(check(open, NOW_NS - 11), Some(Rejected::Stale { timestamp_ns: NOW_NS - 11 }));
    assert_eq!(check(open, NOW_NS + 20), None);
    assert_eq!(check(open, NOW_NS + 21), Some(Rejected::Future { timestamp_ns: NOW_NS + 21 }));
    assert_eq!(check(limits, NOW_NS - 5), None);
    assert_eq!(check(limits, NOW_NS - 6), Some(Rejected::Stale { timestamp_ns: NOW_NS - 6 }));
}

#[test]
fn ahead_of_the_clock_the_reservation_is_a_bound_to_the_nanosecond() {
    let check = |reserved_ns: i64, timestamp_ns: i64| {
        let limits = Limits { past_ns: 10, future_ns: 20, ..Limits::default() };
        let mut verifier = Verifier::new(registry(), limits);
        verifier.reserve_until(reserved_ns);
        let rejected = verifier.check(NOW_NS, &cancel_frame(CLIENT, timestamp_ns)).err();
        let newest = rejected.is_none().then_some(timestamp_ns);
        assert_eq!(verifier.newest_accepted_ns(), newest, "only what was accepted is remembered");
        rejected
    };
    let future = |timestamp_ns| Some(Rejected::Future { timestamp_ns });
    assert_eq!(check(NOW_NS + 7, NOW_NS + 7), None);
    assert_eq!(check(NOW_NS + 7, NOW_NS + 8), future(NOW_NS + 8));
    assert_eq!(check(NOW_NS + 90, NOW_NS + 21), future(NOW_NS + 21));
    // One that has lapsed leaves what is not ahead of the clock.
    assert_eq!(check(NOW_NS - 7, NOW_NS), None);
    assert_eq!(check(i64::MIN, NOW_NS + 1), future(NOW_NS + 1));
}

#[test]
fn times_at_the_ends_of_the_clock_do_not_overflow() {
    let limits = Limits { past_ns: u64::MAX, future_ns: u64::MAX, ..Limits::default() };
    let mut verifier = Verifier::new(registry(), limits);
    for (now_ns, timestamp_ns) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MIN + 1)] {
        let frame = cancel_frame(CLIENT, timestamp_ns);
        assert!(verifier.check(now_ns, &frame).is_ok());
    }
    let oldest = Record { age_us: u32::MAX, ..record(1, 1) };
    assert_eq!(oldest.source_timestamp_ns(i64::MIN), i64::MIN);
}

#[test]
fn of_a_mixed_frame_the_fresh_records_are_accepted() {
    let mut verifier = verifier();
    let first = stream_frame(SOURCE, NOW_NS, &[record(1, 10), record(2, 10)]);
    assert_eq!(rejected(&mut verifier, &first), None);
    // A replay, a fresh one, the same again within the frame, a stream not tracked, a fresh one.
    let records = [record(1, 10), record(1, 11), record(1, 11), record(77, 1), record(2, 9)];
    let mixed = stream_frame(SOURCE, NOW_NS, &records);
    let accepted = verifier.check(NOW_NS, &mixed).expect("two are fresh");
    assert!(accepted.records().eq([record(1, 11), record(2, 9)]));
    let counters = *verifier.counters();
    assert_eq!(
        (counters.records_accepted, counters.records_replayed, counters.records_unknown_stream),
        (4, 2, 1)
    );
    assert_eq!(rejected(&mut verifier, &mixed), Some(Rejected::Replayed));
    check_counters_add_up(&verifier);
}

#[test]
fn nonces_are_kept_apart_by_sender_and_stream() {
    let mut verifier = verifier();
    for sender in [SOURCE, REPLICA] {
        for stream in 0..4 {
            assert_eq!(rejected(&mut verifier, &stream_frame(sender, NOW_NS, &[record(stream, 5)])), None);
        }
    }
}

#[test]
fn twice_in_one_batch_is_accepted_once() {
    let mut verifier = verifier();
    for frame in [stream_frame(SOURCE, NOW_NS, &[record(1, 1)]), cancel_frame(CLIENT, NOW_NS)] {
        let first = verifier.precheck(NOW_NS, &frame).expect("fresh");
        let second = verifier.precheck(NOW_NS, &frame).expect("nothing is remembered yet");
        let verdicts = [verifier.verify(&first), verifier.verify(&second)];
        assert_eq!(verdicts, [SignatureVerdict::Good; 2]);
        assert!(verifier.commit(&first, verdicts[0]).is_ok());
        assert_eq!(verifier.commit(&second, verdicts[1]).err(), Some(Rejected::Replayed));
    }
    check_counters_add_up(&verifier);
}

#[test]
fn a_bad_signature_on_a_frame_that_became_a_replay_is_a_replay() {
    let mut verifier = verifier();
    let good = stream_frame(SOURCE, NOW_NS, &[record(1, 1)]);
    let signature = good.len() - 64;
    let (mut forged, mut bad_s) = (good.clone(), good.clone());
    forged[signature + 32] ^= 1;
    bad_s[signature + 32..].fill(0xff);
    let frames =
        [&bad_s, &good, &forged, &bad_s].map(|frame| verifier.precheck(NOW_NS, frame).expect("fresh"));
    let found = frames.map(|pending| {
        let verdict = verifier.verify(&pending);
        verifier.commit(&pending, verdict).err()
    });
    let shape = Rejected::SignatureShape(SignatureShapeError::ScalarNotReduced);
    assert_eq!(found, [Some(shape), None, Some(Rejected::Replayed), Some(Rejected::Replayed)]);
    let mut fresh = stream_frame(SOURCE, NOW_NS, &[record(1, 2)]);
    fresh[signature + 32..].fill(0xff);
    let pending = verifier.precheck(NOW_NS, &fresh).expect("fresh");
    let found = verifier.commit(&pending, SignatureVerdict::Good).err();
    assert_eq!(found, Some(shape), "whatever a verifier says of it");
    check_counters_add_up(&verifier);
}

#[test]
fn tracked_pairs_are_bounded() {
    let mut verifier = Verifier::new(registry(), Limits { tracked_pairs_max: 2, ..Limits::default() });
    assert_eq!(verifier.track(SOURCE, StreamId(1)), Ok(()));
    assert_eq!(verifier.track(SOURCE, StreamId(1)), Ok(()));
    assert_eq!(verifier.track(REPLICA, StreamId(1)), Ok(()));
    assert_eq!(verifier.track(SOURCE, StreamId(2)), Err(TrackError::Full { tracked: 2 }));
    assert_eq!(verifier.track(NodeId(99), StreamId(2)), Err(TrackError::UnknownSender(NodeId(99))));
    assert!(verifier.untrack(SOURCE, StreamId(1)) && !verifier.untrack(SOURCE, StreamId(1)));
    assert_eq!((verifier.tracked(), verifier.track(SOURCE, StreamId(2))), (1, Ok(())));
    assert_eq!(
        rejected(&mut verifier, &stream_frame(SOURCE, NOW_NS, &[record(1, 1)])),
        Some(Rejected::UnknownStream)
    );
    assert_eq!(rejected(&mut verifier, &stream_frame(SOURCE, NOW_NS, &[record(2, 1)])), None);
}

#[test]
fn requests_may_overtake_each_other_within_the_window() {
    let mut verifier = verifier();
    for step in (0..32).rev() {
        assert_eq!(rejected(&mut verifier, &cancel_frame(CLIENT, NOW_NS + step)), None);
    }
    assert_eq!(rejected(&mut verifier, &cancel_frame(CLIENT, NOW_NS - 1)), Some(Rejected::Replayed));
    // Another kind and another sender have windows of their own.
    assert_eq!(rejected(&mut verifier, &sample_frame(CLIENT, SampleKind::Latency)), None);
    assert_eq!(rejected(&mut verifier, &cancel_frame(ENGINE, NOW_NS)), None);
}

#[test]
fn counters_have_stable_names() {
    let names: Vec<&str> = Counters::default().iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.starts_with(&["frames_received", "frames_accepted", "records_accepted"]));
    assert_eq!(names.last(), Some(&"rejected_forged"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Frames of several streams, replayed, reordered and forged, against a set of (stream, nonce).
    #[test]
    fn every_record_is_accepted_exactly_once(
        frames in proptest::collection::vec(
            (proptest::collection::vec((0_u32..6, 0_u64..40), 1..8), 0_u8..5), 1..40),
    ) {
        let mut verifier = verifier();
        let mut seen = BTreeSet::new();
        for (pairs, fate) in frames {
            let records: Vec<Record> = pairs.iter().map(|&(stream, nonce)| record(stream, nonce)).collect();
            let frame = stream_frame(SOURCE, NOW_NS, &records);
            if fate == 0 {
                prop_assert!(verifier.check(NOW_NS, &forge(frame)).is_err());
                continue;
            }
            let is_known = records.iter().any(|r| r.stream.0 < 4);
            let why_none = if is_known { Rejected::Replayed } else { Rejected::UnknownStream };
            let fresh: Vec<Record> =
                records.into_iter().filter(|r| r.stream.0 < 4 && seen.insert((r.stream, r.nonce))).collect();
            verifier.read_ahead([frame.as_slice(), &frame[..20], &[]]);
            match verifier.check(NOW_NS, &frame) {
                Ok(accepted) => prop_assert!(!fresh.is_empty() && accepted.records().eq(fresh)),
                Err(error) => prop_assert!(fresh.is_empty() && error == why_none, "{}", error),
            }
        }
        prop_assert_eq!(verifier.counters().records_accepted, seen.len() as u64);
        check_counters_add_up(&verifier);
    }
}
