//! Bytes from anybody: nothing panics, and nothing but the signed frame itself is accepted.

mod common;

use centauri_wire::*;
use common::*;
use proptest::prelude::*;

/// One frame of each kind, with the sender that may send it.
fn frames() -> Vec<Vec<u8>> {
    let mut start = Vec::new();
    let action = RequestAction::Start { query: "mean(x)", validity_ns: 1, ttl_ns: 2, period_ns: 3 };
    Request { request_id: 3, action }.encode(NOW_NS, REPLICA, &identity(CLIENT), &mut start).expect("valid");
    vec![
        start,
        cancel_frame(CLIENT, NOW_NS),
        stream_frame(SOURCE, NOW_NS, &[record(1, 1), record(2, 1)]),
        sample_frame(REPLICA, SampleKind::Output),
        sample_frame(REPLICA, SampleKind::Latency),
        distribution_frame(MONITOR),
    ]
}

#[test]
fn every_bit_counts() {
    for frame in frames() {
        let mut verifier = verifier();
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verifier.check(NOW_NS, &flipped).is_err(), "bit {bit} of {} bytes", frame.len());
        }
        check_counters_add_up(&verifier);
        // None of it was remembered.
        assert!(verifier.check(NOW_NS, &frame).is_ok());
    }
}

#[test]
fn every_bit_of_a_long_frame_counts() {
    let records: Vec<Record> = (0..57).map(|nonce| record(1, nonce)).collect();
    let frame = stream_frame(SOURCE, NOW_NS, &records);
    assert!(frame.len() > DIRECT_SIGNED_BYTES_MAX + SIGNATURE_BYTES);
    let mut verifier = verifier();
    // A step prime to eight goes through every bit of a byte.
    for bit in (0..frame.len() * 8).step_by(13) {
        let mut flipped = frame.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verifier.check(NOW_NS, &flipped).is_err(), "bit {bit}");
    }
    assert!(verifier.check(NOW_NS, &frame).is_ok());
}

#[test]
fn truncated_and_lengthened_frames_are_refused_by_length() {
    for frame in frames() {
        for len in 0..frame.len() {
            let error = FrameView::parse(&frame[..len]).err();
            assert!(
                matches!(
                    error,
                    Some(MalformedReason::FrameLength { .. } | MalformedReason::LengthMismatch { .. })
                ),
                "{len}: {error:?}"
            );
        }
        let mut longer = frame.clone();
        longer.push(0);
        assert!(matches!(FrameView::parse(&longer), Err(MalformedReason::LengthMismatch { .. })));
    }
    let too_long = vec![0; FRAME_BYTES_MAX + 1];
    assert!(matches!(FrameView::parse(&too_long), Err(MalformedReason::FrameLength { .. })));
}

/// A body cut short with the body length made to agree, so that the body's own checks see it.
#[test]
fn truncated_bodies_are_refused() {
    for frame in frames() {
        let body_len = frame.len() - HEADER_BYTES - SIGNATURE_BYTES;
        for left in 0..body_len {
            let mut cut = frame[..HEADER_BYTES + left].to_vec();
            cut[12..16].copy_from_slice(&u32::try_from(left).expect("small").to_le_bytes());
            cut.extend_from_slice(&[0; SIGNATURE_BYTES]);
            assert!(FrameView::parse(&cut).is_err(), "{left} of {body_len}");
        }
    }
}

fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut patched = frame.to_vec();
    patched[at..at + bytes.len()].copy_from_slice(bytes);
    patched
}

#[test]
fn each_field_has_its_refusal() {
    use MalformedReason as M;
    let [start, cancel, stream, sample, _, distribution] = <[Vec<u8>; 6]>::try_from(frames()).expect("six");
    let nan = f64::NAN.to_le_bytes();
    let check = |frame: Vec<u8>, expected: fn(&M) -> bool| {
        let error = FrameView::parse(&frame).expect_err("a field is wrong");
        assert!(expected(&error), "{error:?}");
        assert_eq!(error.to_string().lines().count(), 1);
    };
    check(patched(&stream, 0, b"c"), |e| *e == M::Magic);
    check(patched(&stream, 7, &[2]), |e| *e == M::Version { found: 2 });
    check(patched(&stream, 8, &[0]), |e| *e == M::Type { found: 0 });
    check(patched(&stream, 8, &[7]), |e| *e == M::Type { found: 7 });
    check(patched(&stream, 9, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&stream, 10, &[0]), |e| matches!(e, M::Count { .. }));
    check(patched(&stream, 10, &[1]), |e| *e == M::BodyTooLong { left: 36 });
    check(patched(&stream, 10, &[3]), |e| matches!(e, M::BodyTooShort { .. }));
    check(patched(&stream, 10, &[0xff, 0xff]), |e| matches!(e, M::Count { .. }));
    check(patched(&stream, 20, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&stream, HEADER_BYTES + 36 + 24, &nan), |e| matches!(e, M::NotFinite { .. }));

    let decisions = decision_frame(ENGINE, &[decision(1, 1), decision(1, 2)]);
    let second = HEADER_BYTES + DECISION_BYTES;
    check(patched(&decisions, 10, &[1]), |e| *e == M::BodyTooLong { left: DECISION_BYTES });
    check(patched(&decisions, 10, &[3]), |e| matches!(e, M::BodyTooShort { .. }));
    check(patched(&decisions, 20, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&decisions, second + 24, &[2]), |e| matches!(e, M::Count { max: 1, .. }));
    check(patched(&decisions, second + 24, &[0]), |e| matches!(e, M::Impossible { .. }));
    check(patched(&decisions, second + 25, &[2]), |e| matches!(e, M::Impossible { .. }));
    check(patched(&decisions, second + 26, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&decisions, second + 40, &1.5_f64.to_le_bytes()), |e| matches!(e, M::Impossible { .. }));
    for number in 0..6 {
        check(patched(&decisions, second + 32 + 8 * number, &nan), |e| matches!(e, M::NotFinite { .. }));
    }

    let answer = answer_frame(ENGINE, CLIENT);
    check(patched(&answer, HEADER_BYTES + 24, &[8]), |e| matches!(e, M::Code { .. }));
    check(patched(&answer, HEADER_BYTES + 25, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&answer, HEADER_BYTES + 26, &[1, 2]), |e| matches!(e, M::Count { max: 512, .. }));
    check(patched(&answer, HEADER_BYTES + 28, b"\x1b"), |e| matches!(e, M::ControlCharacter { .. }));

    check(patched(&start, 10, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    for (at, width) in [(8, 8), (16, 8), (24, 8)] {
        check(patched(&start, HEADER_BYTES + at, &vec![0; width]), |e| matches!(e, M::Count { min: 1, .. }));
        check(patched(&start, HEADER_BYTES + at, &vec![0xff; width]), |e| matches!(e, M::Count { .. }));
        check(patched(&cancel, HEADER_BYTES + at, &[1]), |e| matches!(e, M::Count { max: 0, .. }));
    }
    check(patched(&start, HEADER_BYTES + 32, &[3]), |e| matches!(e, M::Code { .. }));
    check(patched(&start, HEADER_BYTES + 33, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&start, HEADER_BYTES + 34, &[0, 0]), |e| matches!(e, M::Count { .. }));
    check(patched(&start, HEADER_BYTES + 34, &[1, 4]), |e| matches!(e, M::Count { max: 1024, .. }));
    check(patched(&start, HEADER_BYTES + 36, &[0xff]), |e| matches!(e, M::NotUtf8 { .. }));
    check(patched(&start, HEADER_BYTES + 36, b"\x1b"), |e| matches!(e, M::ControlCharacter { .. }));

    check(patched(&sample, HEADER_BYTES, &[0]), |e| matches!(e, M::Code { .. }));
    check(patched(&sample, HEADER_BYTES + 1, &[0]), |e| matches!(e, M::Count { .. }));
    check(patched(&sample, HEADER_BYTES + 1, &[65]), |e| matches!(e, M::Count { .. }));
    check(patched(&sample, HEADER_BYTES + 3, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&sample, HEADER_BYTES + 8, &nan), |e| matches!(e, M::NotFinite { .. }));
    check(patched(&sample, 10, &[1, 2]), |e| matches!(e, M::Count { max: 512, .. }));

    check(patched(&distribution, HEADER_BYTES, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&distribution, HEADER_BYTES + 8, &[0]), |e| matches!(e, M::Code { .. }));
    check(patched(&distribution, HEADER_BYTES + 8, &[16]), |e| matches!(e, M::Code { .. }));
    check(patched(&distribution, HEADER_BYTES + 9, &[1]), |e| matches!(e, M::ReservedNotZero { .. }));
    check(patched(&distribution, HEADER_BYTES + 10, &[2]), |e| matches!(e, M::Count { .. }));
    check(patched(&distribution, HEADER_BYTES + 12, &nan), |e| matches!(e, M::NotFinite { .. }));
    check(patched(&distribution, HEADER_BYTES + 20, &nan), |e| matches!(e, M::NotFinite { .. }));
}

/// A tree of mixtures as a hostile sender would write it, without this crate's limits.
#[test]
fn trees_too_deep_or_too_large_are_refused() {
    let head = |code: u8, count: u16| {
        let mut bytes = vec![code, 0];
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&0_f64.to_le_bytes());
        bytes
    };
    let frame = |tree: &[u8]| {
        let mut frame = distribution_frame(MONITOR)[..HEADER_BYTES + 8].to_vec();
        frame.extend_from_slice(tree);
        let body_len = u32::try_from(frame.len() - HEADER_BYTES).expect("small");
        frame[12..16].copy_from_slice(&body_len.to_le_bytes());
        frame.extend_from_slice(&[0; SIGNATURE_BYTES]);
        frame
    };
    let deep: Vec<u8> = std::iter::repeat_n([head(15, 1), vec![0; 8]].concat(), 3_000).flatten().collect();
    assert_eq!(FrameView::parse(&frame(&deep)).err(), Some(MalformedReason::MixtureDepth));

    let leaf = [vec![0; 8], head(12, 1), vec![0; 8]].concat();
    let wide = [head(15, 64), leaf.repeat(64)].concat();
    assert_eq!(FrameView::parse(&frame(&wide)).err(), Some(MalformedReason::DistributionNodes));
    let fits = [head(15, 63), leaf.repeat(63)].concat();
    assert!(FrameView::parse(&frame(&fits)).is_ok());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), now_ns: i64) {
        prop_assert!(FrameView::parse(&bytes).is_err());
        prop_assert!(verifier().check(now_ns, &bytes).is_err());
    }

    /// Random bodies behind a header that is right: the body's own checks see them.
    #[test]
    fn random_bodies_never_panic(
        type_code in 0_u8..8,
        count in prop_oneof![0_u16..20, any::<u16>()],
        sender in 0_u32..8,
        body in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 0_u8..20, 1 => any::<u8>()], 0..400),
        signature in proptest::collection::vec(any::<u8>(), 64),
        now_ns: i64,
    ) {
        let mut frame = MAGIC.to_vec();
        frame.extend_from_slice(&[type_code, 0]);
        frame.extend_from_slice(&count.to_le_bytes());
        frame.extend_from_slice(&u32::try_from(body.len()).expect("small").to_le_bytes());
        frame.extend_from_slice(&sender.to_le_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&now_ns.to_le_bytes());
        frame.extend_from_slice(&body);
        frame.extend_from_slice(&signature);
        let mut verifier = verifier();
        prop_assert!(verifier.check(now_ns, &frame).is_err());
        check_counters_add_up(&verifier);
        if let Ok(view) = FrameView::parse(&frame)
            && let MessageView::Distribution(distribution) = view.message()
        {
            prop_assert!(distribution.to_body().is_ok(), "a checked tree can be built");
        }
    }

    /// A frame that parses is the one encoding of what it says.
    #[test]
    fn a_changed_frame_that_parses_says_something_else(which in 0_usize..6, at: proptest::sample::Index, byte: u8) {
        let frame = frames().swap_remove(which);
        let at = at.index(frame.len() - SIGNATURE_BYTES);
        let changed = patched(&frame, at, &[byte]);
        if let (Ok(old), Ok(new)) = (FrameView::parse(&frame), FrameView::parse(&changed)) {
            // Debug shows every field and its bits; signed bytes and signature are shown alike, so compare content.
            let says = |view: &FrameView<'_>| (view.header(), content(view));
            prop_assert_eq!(says(&old) == says(&new), frame == changed);
        }
    }
}

fn content(view: &FrameView<'_>) -> String {
    match view.message() {
        MessageView::Decision(decisions) => {
            let bits =
                |d: DecisionRecord| [d.value, d.confidence, d.mean, d.sd, d.low, d.high].map(f64::to_bits);
            decisions.iter().map(|d| format!("{d:?} {:x?};", bits(d))).collect()
        }
        MessageView::Answer(answer) => format!("{answer:?}"),
        MessageView::Request(request) => format!("{request:?}"),
        MessageView::Stream(records) => {
            records.iter().map(|r| format!("{r:?} {:x};", r.value.to_bits())).collect()
        }
        MessageView::Sample(sample) => {
            let bits: Vec<u64> = sample.values.iter().map(f64::to_bits).collect();
            format!("{:?} {} {bits:?}", sample.kind, sample.distribution)
        }
        MessageView::Distribution(distribution) => {
            format!("{} {:?}", distribution.name, distribution.to_body())
        }
    }
}
