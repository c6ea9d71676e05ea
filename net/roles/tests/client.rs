//! The client alone, at the edges of rounds.

mod common;

use centauri_engine::{
    Distribution, Fleet, Link, ModelSet, OutputSpec, PriorSpec, Report, ScalarBackend, Session, Status,
    StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{DistributionBody, DistributionFamily, Limits, NodeId, Record, StreamId};
use common::*;

fn spec(name: &str, prior: PriorSpec) -> StreamSpec {
    let mut output = OutputSpec::identity(Distribution::normal(0.0, 1.0).unwrap());
    output.noise = Some("noise".into());
    StreamSpec::builder(name, ["a", "b", "c", "d"])
        .faults(1)
        .support(Support::new(0.0, 0.5, 101).unwrap())
        .prior(prior)
        .output(output)
        .link(Link::OnTime(0.9))
        .build()
}

fn model_set(streams: Vec<StreamSpec>) -> ModelSet {
    let noise = Distribution::normal(0.0, 1.0).unwrap();
    ModelSet { distributions: [("noise".to_owned(), noise)].into(), streams }
}

fn timing() -> RoundTiming {
    RoundTiming { windows: Windows::new(0, 1_000).unwrap(), close_after_ns: 1_500 }
}

fn config(streams: &[StreamSpec], pacing: Pacing) -> ClientConfig {
    ClientConfig {
        streams: (1..)
            .zip(streams)
            .map(|(number, spec)| ClientStream {
                name: spec.name.clone(),
                stream: StreamId(number),
                replicas: REPLICAS.to_vec(),
                timing: timing(),
                first_round: i64::MIN,
            })
            .collect(),
        limits: Limits { past_ns: u64::MAX, future_ns: u64::MAX, ..Limits::default() },
        pacing,
        ..ClientConfig::default()
    }
}

fn client_with(config: &ClientConfig, streams: Vec<StreamSpec>) -> Client {
    let session = Session::new(Fleet::compile(&model_set(streams)).unwrap(), Box::new(ScalarBackend::new()));
    Client::new(config, registry(), identity(CLIENT), session, 0).unwrap()
}

fn client_of(streams: Vec<StreamSpec>, pacing: Pacing) -> Client {
    client_with(&config(&streams, pacing), streams)
}

fn client() -> Client {
    client_of(vec![spec("room", PriorSpec::Uniform)], Pacing::default())
}

fn result(stream: u32, round: i64, nonce: u64, value: f64) -> Record {
    Record { stream: StreamId(stream), age_us: 0, nonce, round, value, readings: 1 }
}

fn give(client: &mut Client, now_ns: i64, from: NodeId, record: Record, effects: &mut Effects) {
    client.handle(now_ns, address(from), &frame(from, now_ns, &[record]), effects);
}

#[test]
fn a_round_is_decided_at_its_deadline_on_whatever_has_come() {
    let (mut client, mut effects) = (client(), Effects::new());
    for (node, value) in REPLICAS.into_iter().zip([20.0, 20.5, 21.0, 40.0]) {
        give(&mut client, 1_500, node, result(1, 0, 1, value), &mut effects);
    }
    client.tick(1_499, &mut effects);
    assert_eq!(effects.decisions().count(), 0);
    run_until(&mut client, 2_500, &mut effects);
    let decided: Vec<_> = effects.decisions().collect();
    assert_eq!(decided.len(), 2);
    assert_eq!((decided[0].round, decided[0].deadline_ns, decided[0].closed_ns), (0, 1_500, 1_500));
    assert_eq!(decided[0].decision.value, 20.5);
    assert!(decided[0].honest.unwrap()[3] < 0.01);
    assert_eq!(decided[0].reports[3], Report::Value(40.0));
    assert_eq!(decided[1].reports, [Report::Missing; 4], "a round of silence is decided too");
    assert_eq!((count(&client, "rounds_decided"), count(&client, "rounds_missed")), (2, 0));
}

#[test]
fn two_values_under_fresh_nonces_convict_and_one_value_twice_does_not() {
    let (mut client, mut effects) = (client(), Effects::new());
    let told = [(0, 1, 20.0), (0, 2, 20.0), (1, 1, 20.0), (1, 2, 25.0), (1, 3, 25.0), (2, 1, 20.0)];
    for (replica, nonce, value) in told {
        give(&mut client, 10, REPLICAS[replica], result(1, 0, nonce, value), &mut effects);
    }
    client.tick(1_500, &mut effects);
    let note = Note::Equivocated { stream: centauri_engine::StreamId(0), round: 0, node: REPLICAS[1] };
    assert_eq!(effects.iter().filter(|effect| *effect == Effect::Note(&note)).count(), 1);
    let decided = effects.decisions().next().unwrap();
    let expected = [Report::Value(20.0), Report::Equivocated, Report::Value(20.0), Report::Missing];
    assert_eq!(decided.reports, expected);
    assert_eq!((decided.honest.unwrap()[1], decided.decision.quorum.contains(1)), (0.0, false));
    assert_eq!((count(&client, "records_equivocating"), count(&client, "records_repeated")), (1, 2));
}

#[test]
fn what_does_not_belong_is_counted_by_cause() {
    let (mut client, mut effects) = (client(), Effects::new());
    let mut at = |now, from, record| give(&mut client, now, from, record, &mut effects);
    at(0, REPLICAS[0], result(1, 1, 1, 1.0));
    at(0, REPLICAS[0], result(1, 2, 2, 1.0));
    at(0, REPLICAS[0], result(1, i64::MAX, 3, 1.0));
    at(0, REPLICAS[0], result(1, -1, 4, 1.0));
    at(0, REPLICAS[0], result(1, i64::MIN, 5, 1.0));
    at(1_501, REPLICAS[0], result(1, 0, 6, 1.0));
    at(0, REPLICAS[0], result(2, 0, 7, 1.0));
    at(0, SOURCES[0], result(1, 0, 8, 1.0));
    at(0, CLIENT, result(1, 0, 9, 1.0));
    let twice = frame(REPLICAS[1], 0, &[result(1, 0, 1, 1.0)]);
    for _ in 0..3 {
        client.handle(0, address(REPLICAS[1]), &twice, &mut effects);
    }
    for (name, expected) in [
        ("records_reported", 2),
        ("records_early", 2),
        ("records_late", 3),
        ("rejected_unknown_stream", 2),
        ("rejected_wrong_role", 1),
        ("rejected_replayed", 2),
    ] {
        assert_eq!(count(&client, name), expected, "{name}");
    }
}

#[test]
fn draining_decides_open_rounds_at_their_deadlines_and_finishing_at_once() {
    let mut effects = Effects::new();
    let mut drained = client();
    run_until(&mut drained, 3_200, &mut effects);
    effects.clear();
    drained.drain(3_200);
    assert!(!drained.is_drained());
    run_until(&mut drained, i64::MAX, &mut effects);
    let rounds: Vec<_> = effects.decisions().map(|decided| (decided.round, decided.closed_ns)).collect();
    assert_eq!(rounds, [(2, 3_500), (3, 4_500)]);
    assert!(drained.is_drained() && drained.next_deadline().is_none());

    let mut finished = client();
    effects.clear();
    give(&mut finished, 3_100, REPLICAS[0], result(1, 3, 1, 20.0), &mut effects);
    finished.finish(3_200, &mut effects);
    let rounds: Vec<_> = effects.decisions().map(|decided| (decided.round, decided.closed_ns)).collect();
    assert_eq!(rounds, [(0, 3_200), (1, 3_200), (2, 3_200), (3, 3_200)]);
    assert!(finished.is_drained());
}

#[test]
fn a_standstill_is_made_up_for_as_far_as_asked_and_told() {
    let pacing = Pacing { catch_up_rounds_max: 3, miss_ns: 1_000, ..Pacing::default() };
    let mut client = client_of(vec![spec("room", PriorSpec::Uniform)], pacing);
    let mut effects = Effects::new();
    client.tick(1_000_000_000_001_499, &mut effects);
    let rounds: Vec<i64> = effects.decisions().map(|decided| decided.round).collect();
    let last = 999_999_999_999;
    assert_eq!(rounds, [0, last - 2, last - 1, last]);
    assert_eq!(count(&client, "rounds_skipped"), last as u64 - 3);
    assert_eq!(count(&client, "rounds_missed"), 3);
    assert_eq!(count(&client, "close_late_max_ns"), 999_999_999_999_999);
    assert_eq!(client.next_deadline(), Some((last + 1) * 1_000 + 1_500));
}

#[test]
fn following_streams_are_decided_alike_however_rounds_fall_into_ticks() {
    let streams = || {
        let step = Distribution::normal(0.0, 0.5).unwrap();
        let following = PriorSpec::following(step);
        vec![spec("a", following.clone()), spec("b", PriorSpec::Uniform), spec("c", following)]
    };
    let run = |ticks: &[i64]| {
        let pacing = Pacing { batch_rounds_max: 2, rounds_per_tick_max: 4, ..Pacing::default() };
        let (mut client, mut effects) = (client_of(streams(), pacing), Effects::new());
        for stream in 1..=3 {
            for round in 0..2 {
                let value = 20.0 + f64::from(stream) + round as f64;
                let record = result(stream, round, round as u64, value);
                give(&mut client, 1_000, REPLICAS[0], record, &mut effects);
            }
        }
        for &now in ticks {
            while client.next_deadline().is_some_and(|due| due <= now) {
                client.tick(now, &mut effects);
            }
        }
        let decided = effects.decisions();
        decided.map(|d| (d.deadline_ns, d.stream, d.round, *d.decision)).collect::<Vec<_>>()
    };
    let one_by_one = run(&[1_500, 2_500, 3_500, 4_500]);
    assert_eq!(one_by_one.len(), 12);
    assert!(one_by_one.iter().map(|(due, stream, ..)| (due, stream)).is_sorted());
    assert_eq!(run(&[4_500]), one_by_one);
}

#[test]
fn only_distributions_of_the_model_set_from_a_monitor_are_published_and_fleets_are_swapped() {
    let (mut client, mut effects) = (client(), Effects::new());
    let mut tell = |client: &mut Client, now: i64, from: NodeId, name: &str, sd: f64| {
        let body = DistributionBody { offset: 0.0, family: DistributionFamily::Normal { mean: 0.0, sd } };
        let mut bytes = Vec::new();
        let message = centauri_wire::Distribution { name, body: &body };
        message.encode(now, &identity(from), &mut bytes).unwrap();
        client.handle(now, address(from), &bytes, &mut effects);
    };
    tell(&mut client, 0, MONITOR, "noise", 5.0);
    tell(&mut client, 1, MONITOR, "else", 5.0);
    tell(&mut client, 2, MONITOR, "noise", -1.0);
    tell(&mut client, 3, REPLICAS[0], "noise", 7.0);
    let published: Vec<_> = effects.iter().collect();
    let wide = Distribution::normal(0.0, 5.0).unwrap();
    assert_eq!(published, [Effect::Published { name: "noise", distribution: &wide }]);
    for (name, expected) in [
        ("distributions_published", 1),
        ("distributions_unused", 1),
        ("distributions_invalid", 1),
        ("rejected_wrong_role", 1),
    ] {
        assert_eq!(count(&client, name), expected, "{name}");
    }

    let decide = |client: &mut Client, round: i64| {
        let mut effects = Effects::new();
        give(client, round * 1_000, REPLICAS[0], result(1, round, round as u64, 25.0), &mut effects);
        run_until(client, round * 1_000 + 1_500, &mut effects);
        effects.decisions().last().unwrap().decision.sd
    };
    let before = decide(&mut client, 0);
    let fleet = client.fleet().published(&[("noise".to_owned(), wide)].into()).unwrap();
    client.install(fleet).unwrap();
    let after = decide(&mut client, 1);
    assert!(after > before * 1.1, "a wider noise leaves more doubt: {before} {after}");
    let other = Fleet::compile(&model_set(vec![spec("hall", PriorSpec::Uniform)])).unwrap();
    assert!(matches!(client.install(other), Err(InstallError::Stream { .. })));
    assert!(matches!(client.install(Fleet::default()), Err(InstallError::Streams { .. })));
}

#[test]
fn thousands_of_streams_are_decided_in_one_tick() {
    let streams = (0..5_000).map(|n| spec(&format!("room/{n}"), PriorSpec::Uniform)).collect();
    let (mut client, mut effects) = (client_of(streams, Pacing::default()), Effects::new());
    let records: Vec<Record> = (1..=1_800).map(|stream| result(stream, 0, 1, 30.0)).collect();
    client.handle(10, address(REPLICAS[2]), &frame(REPLICAS[2], 10, &records), &mut effects);
    client.tick(1_500, &mut effects);
    let decided: Vec<_> = effects.decisions().collect();
    assert_eq!(decided.len(), 5_000);
    assert!(decided.iter().all(|d| d.decision.status == Status::Decided));
    let heard = decided.iter().filter(|d| d.reports[2] == Report::Value(30.0)).count();
    assert_eq!((heard, count(&client, "records_reported")), (1_800, 1_800));
}

#[test]
fn bytes_from_anywhere_do_no_harm() {
    let (mut client, mut effects) = (client(), Effects::new());
    let mut rng = SplitMix64::new(5);
    let good = frame(REPLICAS[0], 0, &[result(1, 0, 1, 1.0)]);
    for _ in 0..2_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + rng.bits() % 4 {
            let at = (rng.bits() % bytes.len() as u64) as usize;
            bytes[at] = rng.bits() as u8;
        }
        bytes.truncate((rng.bits() % 200) as usize);
        client.handle(rng.bits() as i64, address(REPLICAS[0]), &bytes, &mut effects);
    }
    assert!(effects.is_empty());
    assert_eq!(count(&client, "frames_accepted"), 0);
}

#[test]
fn configurations_that_contradict_the_model_are_refused() {
    let refused = |change: &dyn Fn(&mut ClientConfig)| {
        let stream = ClientStream {
            name: "room".into(),
            stream: StreamId(1),
            replicas: REPLICAS.to_vec(),
            timing: timing(),
            first_round: 0,
        };
        let mut config = ClientConfig { streams: vec![stream], ..ClientConfig::default() };
        change(&mut config);
        let fleet = Fleet::compile(&model_set(vec![spec("room", PriorSpec::Uniform)])).unwrap();
        let session = Session::new(fleet, Box::new(ScalarBackend::new()));
        Client::new(&config, registry(), identity(CLIENT), session, 0).map(|_| ())
    };
    assert_eq!(refused(&|_| ()), Ok(()));
    assert!(matches!(
        refused(&|c| c.streams[0].name = "hall".into()),
        Err(ConfigError::UnknownStream { .. })
    ));
    assert!(matches!(refused(&|c| c.streams[0].replicas.truncate(3)), Err(ConfigError::ReplicaSet { .. })));
    assert!(matches!(
        refused(&|c| c.streams[0].replicas[1] = NodeId(99)),
        Err(ConfigError::UnknownNode { .. })
    ));
    assert!(matches!(refused(&|c| c.streams[0].replicas[1] = REPLICAS[0]), Err(ConfigError::Twice { .. })));
    assert!(matches!(refused(&|c| c.streams[0].timing.close_after_ns = -1), Err(ConfigError::Number { .. })));
    assert!(matches!(refused(&|c| c.request.ttl_ns = 0), Err(ConfigError::Number { .. })));
}

#[test]
fn two_values_for_one_round_leave_a_proof_that_anybody_can_check() {
    let mut config = config(&[spec("room", PriorSpec::Uniform)], Pacing::default());
    config.evidence_bytes = 4_096;
    let mut client = client_with(&config, vec![spec("room", PriorSpec::Uniform)]);
    let mut effects = Effects::new();
    let mut give = |now: i64, bytes: &[u8], client: &mut Client| {
        effects.clear();
        client.handle(now, address(REPLICAS[0]), bytes, &mut effects);
        let proofs = effects.iter().filter_map(|effect| match effect {
            Effect::Proof { node, proof } => Some((node, proof.encode())),
            _ => None,
        });
        proofs.collect::<Vec<_>>()
    };
    assert!(give(10, &frame(REPLICAS[0], 10, &[result(1, 0, 1, 20.0)]), &mut client).is_empty());
    assert!(give(20, &frame(REPLICAS[1], 20, &[result(1, 0, 1, 30.0)]), &mut client).is_empty());
    let proofs = give(30, &frame(REPLICAS[0], 30, &[result(1, 0, 2, 25.0)]), &mut client);
    let [(node, bytes)] = &proofs[..] else { panic!("one proof: {proofs:?}") };
    let proven = centauri_wire::EquivocationProof::parse(bytes).unwrap().verify(&registry()).unwrap();
    assert_eq!(
        (*node, proven.node, proven.round, proven.values),
        (REPLICAS[0], REPLICAS[0], 0, [20.0, 25.0])
    );
    // One a minute is enough of one node; another's is another's.
    assert!(give(1_010, &frame(REPLICAS[0], 1_010, &[result(1, 1, 3, 1.0)]), &mut client).is_empty());
    assert!(give(1_020, &frame(REPLICAS[0], 1_020, &[result(1, 1, 4, 2.0)]), &mut client).is_empty());
    let both = frame(REPLICAS[2], 1_030, &[result(1, 1, 1, 1.0), result(1, 1, 2, 2.0)]);
    assert_eq!(give(1_030, &both, &mut client).len(), 1, "in one frame");
    assert_eq!(count(&client, "equivocations_proven"), 2);
}
