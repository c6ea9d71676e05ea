//! Every message that can be encoded is read back as it was, and is refused when it cannot be sent.

mod common;

use centauri_wire::*;
use common::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::MIN_POSITIVE / 4.0), Just(f64::MAX), Just(f64::MIN)],
    ]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = (any::<u32>(), any::<u32>(), any::<u64>(), any::<i64>(), finite(), any::<u32>()).prop_map(
        |(stream, age_us, nonce, round, value, readings)| Record {
            stream: StreamId(stream),
            age_us,
            nonce,
            round,
            value,
            readings,
        },
    );
    vec(record, 1..100)
}

fn text(bytes_max: usize) -> impl Strategy<Value = String> {
    "\\PC{1,40}".prop_filter("short and plain", move |text| {
        text.len() <= bytes_max && !text.chars().any(char::is_control)
    })
}

fn duration() -> impl Strategy<Value = u64> {
    prop_oneof![1..=i64::MAX as u64, Just(1), Just(i64::MAX as u64)]
}

fn plain_family() -> impl Strategy<Value = DistributionFamily> {
    use DistributionFamily as F;
    (0..14_u8, finite(), finite(), finite(), vec((finite(), finite()), 1..20)).prop_map(
        |(code, a, b, c, bins)| match code {
            0 => F::Normal { mean: a, sd: b },
            1 => F::Lognormal { mu: a, sigma: b },
            2 => F::Exponential { mean: a },
            3 => F::Gamma { shape: a, scale: b },
            4 => F::Weibull { shape: a, scale: b },
            5 => F::Uniform { low: a, high: b },
            6 => F::Laplace { mean: a, scale: b },
            7 => F::Logistic { mean: a, scale: b },
            8 => F::StudentT { df: a, mean: b, scale: c },
            9 => F::Poisson { mean: a },
            10 => F::Binomial { trials: a, p: b },
            11 => F::Geometric { p: a },
            12 => F::NegativeBinomial { r: a, p: b },
            _ => {
                let (mut edges, counts): (Vec<_>, Vec<_>) = bins.into_iter().unzip();
                edges.push(c);
                F::Empirical { edges, counts }
            }
        },
    )
}

fn distribution() -> impl Strategy<Value = DistributionBody> {
    let leaf = (finite(), plain_family()).prop_map(|(offset, family)| DistributionBody { offset, family });
    leaf.prop_recursive(4, 40, 4, |inner| {
        (finite(), vec((finite(), inner), 1..4)).prop_map(|(offset, components)| DistributionBody {
            offset,
            family: DistributionFamily::Mixture { components },
        })
    })
}

fn nodes(body: &DistributionBody) -> usize {
    match &body.family {
        DistributionFamily::Mixture { components } => {
            1 + components.iter().map(|(_, inner)| nodes(inner)).sum::<usize>()
        }
        _ => 1,
    }
}

/// A mixture of mixtures … of a Poisson.
fn nested(depth: usize) -> DistributionBody {
    let mut body = DistributionBody { offset: 0.0, family: DistributionFamily::Poisson { mean: 1.0 } };
    for _ in 0..depth {
        body = DistributionBody {
            offset: 0.0,
            family: DistributionFamily::Mixture { components: vec![(1.0, body)] },
        };
    }
    body
}

fn encode_distribution(body: &DistributionBody) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = vec![1, 2, 3];
    match (Distribution { name: "d", body }).encode(0, &identity(MONITOR), &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            assert!(bytes.is_empty(), "nothing is left to send by mistake");
            Err(error)
        }
    }
}

fn bits(values: impl Iterator<Item = f64>) -> Vec<u64> {
    values.map(f64::to_bits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stream_frames(records in records(), timestamp_ns: i64) {
        let bytes = stream_frame(REPLICA, timestamp_ns, &records);
        let view = FrameView::parse(&bytes).expect("parses");
        prop_assert_eq!(view.header(), Header { sender: REPLICA, receiver: None, timestamp_ns });
        let MessageView::Stream(read) = view.message() else { panic!("a stream frame") };
        prop_assert_eq!(read.len(), records.len());
        prop_assert!(read.iter().eq(records.iter().copied()));
        prop_assert_eq!(bits(read.iter().map(|record| record.value)), bits(records.iter().map(|record| record.value)));
    }

    #[test]
    fn requests(request_id: u64, query in text(1024), validity_ns in duration(), ttl_ns in duration(), period_ns in duration()) {
        let action = RequestAction::Start { query: &query, validity_ns, ttl_ns, period_ns };
        for action in [action, RequestAction::Cancel] {
            let request = Request { request_id, action };
            let mut bytes = Vec::new();
            prop_assert_eq!(request.encode(5, NodeId(9), &identity(CLIENT), &mut bytes), Ok(()));
            let view = FrameView::parse(&bytes).expect("parses");
            prop_assert_eq!(view.header().receiver, Some(NodeId(9)));
            let MessageView::Request(read) = view.message() else { panic!("a request") };
            prop_assert_eq!(*read, request);
        }
    }

    #[test]
    fn decisions(
        ids in (any::<u32>(), any::<u32>(), any::<u64>(), any::<i64>(), any::<u32>()),
        replicas in 0_u8..=128,
        numbers in (finite(), 0.0_f64..=1.0, finite(), 0.0_f64..1e300),
        interval in (finite(), finite()),
        quorum: u128,
        count in 1_usize..20,
    ) {
        let within = if replicas == 128 { u128::MAX } else { (1 << replicas) - 1 };
        let quorum = QuorumBits(quorum & within);
        let (stream, age_us, nonce, round, reported) = ids;
        let (value, confidence, mean, sd) = numbers;
        let (low, high) = (interval.0.min(interval.1), interval.0.max(interval.1));
        let stream = StreamId(stream);
        let decided = quorum.0 != 0;
        let record = DecisionRecord {
            stream, age_us, nonce, round, decided, replicas, reported, value, confidence, mean, sd, low, high, quorum,
        };
        let bytes = decision_frame(ENGINE, &vec![record; count]);
        let view = FrameView::parse(&bytes).expect("parses");
        let MessageView::Decision(read) = view.message() else { panic!("decisions") };
        prop_assert_eq!(read.len(), count);
        prop_assert!(read.iter().all(|read| read == record));
        let positions: QuorumBits = quorum.positions().collect();
        prop_assert_eq!(positions, quorum);
    }

    #[test]
    fn answers(request_id: u64, ttl_ns: u64, period_ns: u64, reason in text(512), empty: bool, which in 0_usize..8) {
        let reason = if empty { "" } else { reason.as_str() };
        let answer = Answer { request_id, outcome: Outcome::ALL[which], ttl_ns, period_ns, reason };
        let mut bytes = Vec::new();
        prop_assert_eq!(answer.encode(5, CLIENT, &identity(ENGINE), &mut bytes), Ok(()));
        let view = FrameView::parse(&bytes).expect("parses");
        prop_assert_eq!(view.header().receiver, Some(CLIENT));
        let MessageView::Answer(read) = view.message() else { panic!("an answer") };
        prop_assert_eq!(*read, answer);
    }

    #[test]
    fn samples(name in text(64), values in vec(finite(), 1..=512), latency: bool) {
        let kind = if latency { SampleKind::Latency } else { SampleKind::Output };
        let mut bytes = Vec::new();
        let sample = Sample { kind, distribution: &name, values: &values };
        prop_assert_eq!(sample.encode(5, &identity(REPLICA), &mut bytes), Ok(()));
        let view = FrameView::parse(&bytes).expect("parses");
        let MessageView::Sample(read) = view.message() else { panic!("a sample") };
        prop_assert_eq!((read.kind, read.distribution, read.values.len()), (kind, name.as_str(), values.len()));
        prop_assert_eq!(bits(read.values.iter()), bits(values.iter().copied()));
    }

    #[test]
    fn distributions(body in distribution()) {
        match encode_distribution(&body) {
            Ok(bytes) => {
                let view = FrameView::parse(&bytes).expect("parses");
                let MessageView::Distribution(read) = view.message() else { panic!("a distribution") };
                prop_assert_eq!(read.to_body(), Ok(body));
            }
            Err(EncodeError::DistributionNodes { .. }) => prop_assert!(nodes(&body) > 64),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn source_timestamps_come_back_to_the_microsecond(frame_ns in 0_i64.., age_ns in 0_i64..4_294_967_295_000) {
        let source_ns = frame_ns.saturating_sub(age_ns);
        let age_us = Record::age_us_between(frame_ns, source_ns).expect("below 71 minutes");
        let read = Record { age_us, ..record(0, 0) }.source_timestamp_ns(frame_ns);
        prop_assert!((0..1_000).contains(&(read - source_ns)));
    }
}

#[test]
fn mixtures_nest_four_deep_and_no_deeper() {
    assert!(encode_distribution(&nested(4)).is_ok_and(|bytes| FrameView::parse(&bytes).is_ok()));
    assert_eq!(encode_distribution(&nested(5)), Err(EncodeError::MixtureDepth));
}

#[test]
fn a_distribution_has_64_nodes_at_most() {
    let mixture = |leaves: usize| DistributionBody {
        offset: 0.0,
        family: DistributionFamily::Mixture { components: vec![(1.0, nested(0)); leaves] },
    };
    assert!(encode_distribution(&mixture(63)).is_ok_and(|bytes| FrameView::parse(&bytes).is_ok()));
    assert!(matches!(encode_distribution(&mixture(64)), Err(EncodeError::DistributionNodes { .. })));
    assert!(matches!(encode_distribution(&mixture(0)), Err(EncodeError::DistributionNodes { .. })));
}

#[test]
fn histograms_have_one_edge_more_than_counts_and_512_at_most() {
    let histogram = |edges: usize, counts: usize| DistributionBody {
        offset: 0.0,
        family: DistributionFamily::Empirical { edges: vec![0.0; edges], counts: vec![1.0; counts] },
    };
    assert!(encode_distribution(&histogram(513, 512)).is_ok_and(|bytes| FrameView::parse(&bytes).is_ok()));
    for (edges, counts) in [(514, 513), (1, 0), (0, 0), (4, 4), (3, 4)] {
        assert_eq!(
            encode_distribution(&histogram(edges, counts)),
            Err(EncodeError::EmpiricalBins { edges, counts })
        );
    }
    // Each part within its limits, together too long for a datagram.
    let components = vec![(1.0, histogram(513, 512)); 8];
    let body = DistributionBody { offset: 0.0, family: DistributionFamily::Mixture { components } };
    assert!(matches!(encode_distribution(&body), Err(EncodeError::FrameTooLong { .. })));
}

#[test]
fn what_a_receiver_would_refuse_cannot_be_sent() {
    let mut bytes = vec![1];
    let sign = identity(CLIENT);
    let long_name = "n".repeat(65);
    for name in ["", &long_name, "a\nb", "\u{7f}"] {
        let sample = Sample { kind: SampleKind::Output, distribution: name, values: &[1.0] };
        assert!(sample.encode(0, &sign, &mut bytes).is_err() && bytes.is_empty());
    }
    for values in [&[][..], &[0.0; 513], &[f64::NAN], &[1.0, f64::INFINITY]] {
        let sample = Sample { kind: SampleKind::Output, distribution: "d", values };
        assert!(sample.encode(0, &sign, &mut bytes).is_err() && bytes.is_empty());
    }
    let long_query = "q".repeat(1025);
    for query in ["", &long_query, "a\tb"] {
        let action = RequestAction::Start { query, validity_ns: 1, ttl_ns: 1, period_ns: 1 };
        assert!(
            Request { request_id: 1, action }.encode(0, REPLICA, &sign, &mut bytes).is_err()
                && bytes.is_empty()
        );
    }
    for (validity_ns, ttl_ns, period_ns) in
        [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1 << 63, 1, 1), (1, 1 << 63, 1)]
    {
        let action = RequestAction::Start { query: "q", validity_ns, ttl_ns, period_ns };
        assert!(
            Request { request_id: 1, action }.encode(0, REPLICA, &sign, &mut bytes).is_err()
                && bytes.is_empty()
        );
    }
    for reason in ["r".repeat(513), "a\u{7}".to_owned()] {
        let answer =
            Answer { request_id: 1, outcome: Outcome::Full, ttl_ns: 0, period_ns: 0, reason: &reason };
        assert!(answer.encode(0, CLIENT, &sign, &mut bytes).is_err() && bytes.is_empty());
    }
    let good = decision(1, 1);
    for bad in [
        DecisionRecord { confidence: 1.5, ..good },
        DecisionRecord { sd: -1.0, ..good },
        DecisionRecord { low: 2.0, high: 1.0, ..good },
        DecisionRecord { quorum: QuorumBits(0b1_0000), ..good },
        DecisionRecord { quorum: QuorumBits(0), ..good },
        DecisionRecord { decided: false, ..good },
        DecisionRecord { mean: f64::NAN, ..good },
    ] {
        let mut frame = DecisionFrameBuilder::begin(&mut bytes, 0, FRAME_BYTES_MAX);
        assert!(frame.push(&bad).is_err(), "{bad:?}");
        assert_eq!(frame.finish(&sign), Err(EncodeError::Empty));
        assert!(bytes.is_empty());
    }
    let mut frame = StreamFrameBuilder::begin(&mut bytes, 0, FRAME_BYTES_MAX);
    let not_finite = Record { value: f64::NEG_INFINITY, ..record(1, 1) };
    assert!(matches!(frame.push(&not_finite), Err(EncodeError::NotFinite { .. })));
    assert_eq!(frame.finish(&sign), Err(EncodeError::Empty));
    assert!(bytes.is_empty());
}
