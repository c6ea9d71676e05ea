//! Batches: however datagrams are put into them, effects and counters are those of one datagram after the other.

mod common;

use centauri_engine::{ScalarBackend, Session};
use centauri_roles::*;
use centauri_wire::{Limits, NodeId, StreamId, VerifierChoice};
use common::traffic::{PERIOD_NS, Sent, fleet, sent};
use common::*;
use proptest::prelude::*;

fn client(verifier: VerifierChoice) -> Client {
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
        samples: Some(everything(8, 700)),
        verifier,
        ..ClientConfig::default()
    };
    let session = Session::new(fleet(["hall", "room"]), Box::new(ScalarBackend::new()));
    Client::new(&config, registry(), identity(CLIENT), session, 0).unwrap()
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
        batches in proptest::collection::vec(proptest::collection::vec((sent(1_u32..4), prop::bool::weighted(0.2)), 0..150), 1..6),
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
