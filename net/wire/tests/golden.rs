//! Frames of protocol version 1, written by another program from the byte tables, stay readable and are
//! what this crate writes.

mod common;

use centauri_wire::*;
use common::*;

fn check(name: &str, written: &[u8]) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let golden = unhex(&std::fs::read_to_string(&path).expect("a committed fixture"));
    assert_eq!(written, golden, "{name}: the encoding differs from the golden frame");
    let view = FrameView::parse(&golden).expect("golden frames parse");
    let sender = view.header().sender;
    let key = identity(sender).public_key();
    assert!(key.verify(view.signed_message().as_bytes(), view.signature()), "{name}: the signature is good");
    golden
}

fn encode_request(request: Request<'_>, timestamp_ns: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(timestamp_ns, REPLICA, &identity(CLIENT), &mut bytes).expect("valid");
    bytes
}

#[test]
fn request_frames() {
    let start = RequestAction::Start {
        query: "mean(température)",
        validity_ns: 4_000_000_000,
        ttl_ns: 3_600_000_000_000,
        period_ns: 250_000_000,
    };
    check("request_start", &encode_request(Request { request_id: 77, action: start }, NOW_NS));
    let cancel = Request { request_id: 77, action: RequestAction::Cancel };
    check("request_cancel", &encode_request(cancel, NOW_NS + 1));
}

#[test]
fn a_stream_frame() {
    let records = [
        Record { stream: StreamId(1), age_us: 0, nonce: 1, round: -5, value: 21.5, readings: 8 },
        Record { stream: StreamId(1), age_us: 250, nonce: 2, round: -4, value: -0.0, readings: 0 },
        Record {
            stream: StreamId(u32::MAX),
            age_us: u32::MAX,
            nonce: u64::MAX,
            round: i64::MAX,
            value: f64::MAX,
            readings: u32::MAX,
        },
    ];
    check("stream", &stream_frame(REPLICA, NOW_NS, &records));
}

#[test]
fn a_long_stream_frame_is_signed_by_its_digest() {
    let records: Vec<Record> = (0..90_u32)
        .map(|i| Record {
            stream: StreamId(i % 3),
            age_us: i,
            nonce: u64::from(i),
            round: i64::from(i / 3),
            value: f64::from(i) / 8.0,
            readings: 1,
        })
        .collect();
    let golden = check("stream_long", &stream_frame(REPLICA, NOW_NS, &records));
    let view = FrameView::parse(&golden).expect("parses");
    assert_eq!(view.signed_message().as_bytes().len(), 64);
    assert!(view.signed_message().as_bytes().starts_with(&DIGEST_TAG));
}

#[test]
fn sample_frames() {
    let mut bytes = Vec::new();
    let output = Sample { kind: SampleKind::Output, distribution: "room", values: &[1.25, -3.5] };
    output.encode(NOW_NS, &identity(SOURCE), &mut bytes).expect("valid");
    check("sample_output", &bytes);
    let latency = Sample { kind: SampleKind::Latency, distribution: "uplink", values: &[0.034] };
    latency.encode(NOW_NS, &identity(REPLICA), &mut bytes).expect("valid");
    check("sample_latency", &bytes);
}

#[test]
fn a_distribution_frame() {
    use DistributionFamily as F;
    let plain = |offset, family| DistributionBody { offset, family };
    let inner =
        F::Mixture { components: vec![(1.0, plain(0.0, F::StudentT { df: 4.0, mean: 0.0, scale: 2.0 }))] };
    let bins = F::Empirical { edges: vec![0.0, 1.0, 2.5], counts: vec![7.0, 3.0] };
    let components = vec![
        (0.5, plain(0.0, F::Normal { mean: 20.0, sd: 1.5 })),
        (0.3, plain(-1.0, bins)),
        (0.2, plain(0.25, inner)),
    ];
    let body = plain(0.0, F::Mixture { components });
    let mut bytes = Vec::new();
    Distribution { name: "room", body: &body }.encode(NOW_NS, &identity(MONITOR), &mut bytes).expect("valid");
    check("distribution", &bytes);
}

#[test]
fn decision_and_answer_frames() {
    let none = DecisionRecord {
        stream: StreamId(u32::MAX),
        age_us: 0,
        nonce: 3,
        round: -7,
        decided: false,
        reported: 0,
        quorum: QuorumBits(0),
        ..decision(2, 1)
    };
    check("decision", &decision_frame(ENGINE, &[decision(2, 1), none]));
    check("answer", &answer_frame(ENGINE, CLIENT));
}

#[test]
fn thirty_seven_records_fit_a_datagram_and_1816_fit_a_frame() {
    let records: Vec<Record> = (0..1816).map(|nonce| record(1, nonce)).collect();
    assert_eq!(stream_frame(SOURCE, 0, &records[..37]).len(), 1428);
    const { assert!(1428 <= FRAME_BYTES_DATAGRAM && FRAME_BYTES_DATAGRAM <= 1472) };
    let longest = stream_frame(SOURCE, 0, &records);
    assert_eq!(longest.len(), 65_472);
    assert!(FrameView::parse(&longest).is_ok());

    let mut bytes = Vec::new();
    let mut frame = StreamFrameBuilder::begin(&mut bytes, 0, usize::MAX);
    for record in &records {
        assert_eq!(frame.push(record), Ok(()));
    }
    assert_eq!(frame.push(&records[0]), Err(EncodeError::Full { records: 1816 }));
}

#[test]
fn the_length_decides_what_is_signed() {
    let short = [7; DIRECT_SIGNED_BYTES_MAX];
    assert_eq!(SignedMessage::of_frame(&short).as_bytes(), short);
    let long = [7; DIRECT_SIGNED_BYTES_MAX + 1];
    assert_eq!(SignedMessage::of_frame(&long).as_bytes().len(), 64);
}
