//! Batches: however datagrams are put into them, effects and counters are those of one datagram after the other.

mod common;

use centauri_engine::{
    Distribution, Fleet, Link, ModelSet, OutputSpec, PriorSpec, ScalarBackend, Session, StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{
    Distribution as Published, DistributionBody, DistributionFamily, Limits, NodeId, Record, StreamId,
    VerifierChoice,
};
use common::*;
use proptest::prelude::*;

const PERIOD_NS: i64 = 1_000;

fn client(verifier: VerifierChoice) -> Client {
    let mut output = OutputSpec::identity(Distribution::normal(0.0, 1.0).unwrap());
    output.noise = Some("noise".into());
    let spec = |name: &str| {
        StreamSpec::builder(name, ["a", "b", "c", "d"])
            .faults(1)
            .support(Support::new(0.0, 0.5, 101).unwrap())
            .prior(PriorSpec::Uniform)
            .output(output.clone())
            .link(Link::OnTime(0.9))
            .build()
    };
    let noise = Distribution::normal(0.0, 1.0).unwrap();
    let streams = vec![spec("hall"), spec("room")];
    let set = ModelSet { distributions: [("noise".to_owned(), noise)].into(), streams };
    let stream = |number, name: &str| ClientStream {
        name: name.to_owned(),
        stream: StreamId(number),
        replicas: REPLICAS.to_vec(),
        timing: RoundTiming { windows: Windows::new(0, PERIOD_NS).unwrap(), close_after_ns: 1_500 },
        first_round: i64::MIN,
    };
    let config = ClientConfig {
        streams: vec![stream(1, "hall"), stream(2, "room")],
        // A frame of a round that is closed is stale, one of the round after the next from the future.
        limits: Limits { past_ns: 3_000, future_ns: 1_500, ..Limits::default() },
        latencies: vec![(REPLICAS[0], "link".to_owned())],
        samples: Some(SamplePolicy { monitor: address(MONITOR), values_max: 8, every_ns: 700 }),
        verifier,
        ..ClientConfig::default()
    };
    let session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
    Client::new(&config, registry(), identity(CLIENT), session, 0).unwrap()
}

/// What is done to a frame before it is sent.
#[derive(Debug, Clone, Copy)]
enum Spoilt {
    Not,
    Forged,
    BadS,
    BadR,
    Cut,
    Version,
    Sender,
}

#[derive(Debug, Clone)]
struct Sent {
    node: NodeId,
    age_ns: i64,
    /// Streams, rounds after the clock's, nonces and values: few of each, so that frames collide.
    records: Vec<(u32, i64, u64, u8)>,
    spoilt: Spoilt,
}

fn sent() -> impl Strategy<Value = Sent> {
    let node = prop_oneof![
        20 => (0_usize..4).prop_map(|at| REPLICAS[at]),
        1 => Just(SOURCES[0]),
        1 => Just(CLIENT),
        2 => Just(MONITOR),
    ];
    let age = prop_oneof![12 => 0_i64..900, 1 => 3_000_i64..3_003, 1 => -1_502_i64..-1_498];
    let record = (1_u32..4, -2_i64..3, 0_u64..12, 0_u8..2);
    let records = prop_oneof![
        4 => proptest::collection::vec(record.clone(), 1..3),
        1 => proptest::collection::vec(record, 57..60),
    ];
    let spoilt = prop_oneof![
        8 => Just(Spoilt::Not),
        3 => Just(Spoilt::Forged),
        2 => Just(Spoilt::BadS),
        1 => Just(Spoilt::BadR),
        1 => Just(Spoilt::Cut),
        1 => Just(Spoilt::Version),
        1 => Just(Spoilt::Sender),
    ];
    (node, age, records, spoilt).prop_map(|(node, age_ns, records, spoilt)| Sent {
        node,
        age_ns,
        records,
        spoilt,
    })
}

impl Sent {
    fn bytes(&self, now_ns: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let timestamp_ns = now_ns - self.age_ns;
        if self.node == MONITOR {
            let family = DistributionFamily::Normal { mean: 0.0, sd: 2.0 };
            let body = DistributionBody { offset: 0.0, family };
            Published { name: "noise", body: &body }
                .encode(timestamp_ns, &identity(MONITOR), &mut bytes)
                .unwrap();
        } else {
            let record = |&(stream, ahead, nonce, value): &(u32, i64, u64, u8)| Record {
                stream: StreamId(stream),
                age_us: 0,
                nonce,
                round: now_ns / PERIOD_NS + ahead,
                value: 20.0 + f64::from(value),
                readings: 1,
            };
            bytes = frame(self.node, timestamp_ns, &self.records.iter().map(record).collect::<Vec<_>>());
        }
        let signature = bytes.len() - 64;
        match self.spoilt {
            Spoilt::Not => {}
            Spoilt::Forged => bytes[signature + 32] ^= 1,
            Spoilt::BadS => bytes[signature + 32..].fill(0xff),
            Spoilt::BadR => bytes[signature..signature + 32].fill(0xff),
            Spoilt::Cut => bytes.truncate(signature),
            Spoilt::Version => bytes[7] = 2,
            Spoilt::Sender => bytes[16] = 99,
        }
        bytes
    }
}

/// Effects and counters after every batch.
fn outcome(
    client: &mut Client,
    batches: &[Vec<(Sent, bool)>],
    mut take: impl FnMut(&mut Client, i64, &[Received<'_>], &mut Effects),
) -> Vec<(Effects, Vec<(&'static str, u64)>)> {
    let mut outcomes = Vec::new();
    let mut now_ns = 0;
    for batch in batches {
        let mut frames: Vec<(NodeId, Vec<u8>)> = Vec::new();
        for (sent, again) in batch {
            // A datagram may come again, in the batch or in the next one.
            match frames.last().filter(|_| *again).cloned() {
                Some(before) => frames.push(before),
                None => frames.push((sent.node, sent.bytes(now_ns))),
            }
        }
        let received: Vec<Received<'_>> =
            frames.iter().map(|(node, bytes)| Received { from: address(*node), bytes }).collect();
        let mut effects = Effects::new();
        take(client, now_ns, &received, &mut effects);
        now_ns += 300;
        if client.next_deadline().is_some_and(|due| due <= now_ns) {
            client.tick(now_ns, &mut effects);
        }
        outcomes.push((effects, client.counters()));
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn batches_change_neither_effects_nor_counters(
        batches in proptest::collection::vec(proptest::collection::vec((sent(), prop::bool::weighted(0.2)), 0..150), 1..6),
        cuts in proptest::collection::vec(1_usize..100, 1..8),
    ) {
        let alone = outcome(&mut client(VerifierChoice::Strict), &batches, |client, now_ns, received, effects| {
            for datagram in received {
                client.handle(now_ns, datagram.from, datagram.bytes, effects);
            }
        });
        for verifier in [VerifierChoice::Auto, VerifierChoice::Strict] {
            let mut cuts = cuts.iter().copied().cycle();
            let cut = outcome(&mut client(verifier), &batches, |client, now_ns, mut received, effects| {
                while !received.is_empty() {
                    let (batch, rest) = received.split_at(cuts.next().unwrap().min(received.len()));
                    client.handle_batch(now_ns, batch, effects);
                    received = rest;
                }
            });
            for (at, (alone, cut)) in alone.iter().zip(&cut).enumerate() {
                prop_assert_eq!(&alone.1, &cut.1, "counters after batch {}", at);
                prop_assert!(alone.0 == cut.0, "effects of batch {}", at);
            }
        }
        let counters = &alone.last().unwrap().1;
        let sum = |prefix: &str| counters.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| count).sum::<u64>();
        prop_assert_eq!(sum("frames_received"), sum("frames_accepted") + sum("rejected_"));
    }
}
