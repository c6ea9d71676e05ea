//! The ledger's states, events, snapshots and bounds. Its rates are measured in `health_rates.rs`.

use centauri_engine::{Distribution, Fleet, ModelId, ModelSet, OutputSpec, Quorum, StreamSpec, Support};
use centauri_roles::health::{
    HealthError, HealthEvent, HealthPolicy, HealthState, Ledger, SnapshotError, StreamShape,
};
use proptest::prelude::*;

fn ledger(policy: HealthPolicy, replicas: usize, faults: usize) -> Ledger {
    Ledger::new(policy, &[StreamShape::new(replicas, faults)]).expect("a legal ledger")
}

fn observed(ledger: &mut Ledger, round: i64, honest: &[f64], equivocated: Quorum) -> Vec<HealthEvent> {
    let mut events = Vec::new();
    ledger.observe(0, round, Some(honest), equivocated, |event| events.push(event));
    events
}

fn only(position: usize) -> Quorum {
    Quorum::EMPTY.with(position)
}

#[test]
fn the_statistic_is_the_one_that_is_stated() {
    let policy = HealthPolicy { temper: 0.7, share: 0.4, cap: 8.0, ..HealthPolicy::default() };
    let mut ledger = ledger(policy, 5, 2);
    let mut m: f64 = 1.0;
    for (round, p) in [0.3, 0.9, 0.99, 0.02, 0.5, 0.999].into_iter().enumerate() {
        observed(&mut ledger, round as i64, &[p; 5], Quorum::EMPTY);
        // Prior P(honest): one of five is faulty on average of 0, 1 and 2.
        let prior: f64 = 1.0 - 1.0 / 5.0;
        let e: f64 = ((1.0 - p) / p) / ((1.0 - prior) / prior);
        let leak = 1e6_f64.sqrt().ln() / 10_000.0;
        m = (m * (1.0 - 0.4 + 0.4 * e.powf(0.7)).min(8.0) * (-leak).exp()).max(1.0);
        let found = ledger.statistic(0, 2).expect("there");
        assert!((found / m - 1.0).abs() < 1e-5, "round {round}: {found} {m}");
    }
}

#[test]
fn a_liar_goes_through_suspect_and_an_honest_one_stays() {
    let mut ledger = ledger(HealthPolicy::default(), 4, 1);
    let events: Vec<HealthEvent> = (0..12)
        .flat_map(|round| observed(&mut ledger, round, &[0.99, 0.97, 1.0, 0.0], Quorum::EMPTY))
        .collect();
    let seen: Vec<_> = events.iter().map(|e| (e.position, e.round, e.from, e.to, e.proven)).collect();
    // One round counts ten at most: a thousand after three (a leak later), a million after six.
    let expected = [
        (3, 3, HealthState::Healthy, HealthState::Suspect, false),
        (3, 6, HealthState::Suspect, HealthState::Faulty, false),
    ];
    assert_eq!(seen, expected);
    assert!((events[1].statistic / 1e6 - 1.0).abs() < 1e-4, "{}", events[1].statistic);
    assert_eq!(ledger.counts(), [3, 0, 0, 1]);
}

#[test]
fn proof_is_enough_and_the_proven_come_back() {
    let mut ledger = ledger(HealthPolicy::default(), 4, 1);
    let events = observed(&mut ledger, 7, &[1.0, 1.0, 1.0, 0.0], only(3));
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].position, events[0].round, events[0].to), (3, 7, HealthState::Faulty));
    assert!(events[0].proven);
    // Once more changes nothing; proof counts in a round without a quorum too.
    assert!(observed(&mut ledger, 8, &[1.0, 1.0, 1.0, 0.0], only(3)).is_empty());
    let mut events = Vec::new();
    ledger.observe(0, 9, None, only(0), |event| events.push(event));
    assert_eq!((events.len(), events[0].position, events[0].proven), (1, 0, true));
    let back: Vec<_> =
        (10..200).flat_map(|round| observed(&mut ledger, round, &[0.99; 4], Quorum::EMPTY)).collect();
    let to: Vec<_> = back.iter().filter(|e| e.position == 3).map(|e| e.to).collect();
    assert_eq!(to, [HealthState::Recovering, HealthState::Healthy]);
    assert_eq!(ledger.counts(), [4, 0, 0, 0]);
}

#[test]
fn a_round_that_says_nothing_changes_nothing() {
    let mut ledger = ledger(HealthPolicy::default(), 4, 1);
    observed(&mut ledger, 0, &[0.1; 4], Quorum::EMPTY);
    let before = ledger.snapshot();
    ledger.observe(0, 1, None, Quorum::EMPTY, |_| panic!("no event"));
    ledger.observe(0, 2, Some(&[]), Quorum::EMPTY, |_| panic!("no event"));
    ledger.observe(0, 3, Some(&[f64::NAN, -0.5, 1.5, f64::INFINITY]), Quorum::EMPTY, |_| panic!("no event"));
    ledger.observe(1, 4, Some(&[0.0; 4]), Quorum::EMPTY, |_| panic!("no such stream"));
    // The only fault is proven: of the others nothing can be learnt.
    let others = |ledger: &Ledger| (0..3).map(|i| ledger.statistic(0, i)).collect::<Vec<_>>();
    let known = others(&ledger);
    assert_eq!(before, ledger.snapshot());
    observed(&mut ledger, 5, &[1.0, 1.0, 0.2, 0.0], only(3));
    assert_eq!(known, others(&ledger));
}

#[test]
fn the_prior_is_that_of_what_equivocation_left() {
    let leak = (-(1e6_f64.sqrt().ln()) / 10_000.0).exp();
    // After a round that counts as much as one may, one that says nothing.
    let untouched = |ledger: &Ledger, position| {
        let m = ledger.statistic(0, position).expect("there");
        assert!((m - 10.0 * leak * leak).abs() < 1e-5, "{m}");
    };
    // One of seven gone with one of two faults: 1 − 1/12 says nothing of the six others.
    let mut seven = ledger(HealthPolicy::default(), 7, 2);
    observed(&mut seven, 0, &[0.0; 7], Quorum::EMPTY);
    observed(&mut seven, 1, &[11.0 / 12.0; 7], only(6));
    untouched(&seven, 0);
    // As a group of two with its mate: five others are left.
    let spec = StreamSpec::builder("s", (0..7).map(|i| format!("r{i}")))
        .faults(2)
        .group("rack", [5, 6])
        .support(Support::new(0.0, 1.0, 11).expect("legal"))
        .output(OutputSpec::identity(Distribution::normal(0.0, 1.0).expect("legal")))
        .build();
    let fleet = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("legal");
    let shape = StreamShape::of(fleet.model(ModelId(0)).expect("there"));
    let mut grouped = Ledger::new(HealthPolicy::default(), std::slice::from_ref(&shape)).expect("legal");
    observed(&mut grouped, 0, &[0.0; 7], Quorum::EMPTY);
    observed(&mut grouped, 1, &[0.9; 7], only(5).with(6));
    untouched(&grouped, 0);
    // Nobody gone: 2 of 6 units.
    let mut whole = Ledger::new(HealthPolicy::default(), &[shape]).expect("legal");
    observed(&mut whole, 0, &[0.0; 7], Quorum::EMPTY);
    observed(&mut whole, 1, &[5.0 / 6.0; 7], Quorum::EMPTY);
    untouched(&whole, 0);
}

#[test]
fn nobody_is_faulty_for_ever_even_if_rounds_say_nothing() {
    let policy = HealthPolicy { forgive: 50, ..HealthPolicy::default() };
    let mut ledger = ledger(policy, 4, 1);
    observed(&mut ledger, 0, &[1.0; 4], only(3));
    let mut round = 0;
    while ledger.state(0, 3) != Some(HealthState::Healthy) {
        round += 1;
        assert!(round <= 3 * 50 + 3, "still {:?}", ledger.state(0, 3));
        // Exactly the prior: it speaks neither for nor against anybody.
        observed(&mut ledger, round, &[0.875; 4], Quorum::EMPTY);
    }
    assert!(round > 50, "{round}");
}

#[test]
fn a_lie_while_recovering_makes_faulty_again() {
    let mut ledger = ledger(HealthPolicy::default(), 4, 1);
    observed(&mut ledger, 0, &[1.0; 4], only(3));
    let mut round = 0;
    while ledger.state(0, 3) != Some(HealthState::Recovering) {
        round += 1;
        assert!(round < 100);
        observed(&mut ledger, round, &[0.99; 4], Quorum::EMPTY);
    }
    let lies: Vec<_> = (0..4)
        .flat_map(|k| observed(&mut ledger, round + 1 + k, &[0.99, 0.99, 0.99, 0.0], Quorum::EMPTY))
        .collect();
    assert_eq!(lies.len(), 1);
    assert_eq!((lies[0].from, lies[0].to), (HealthState::Recovering, HealthState::Faulty));
}

#[test]
fn one_stream_of_a_thousand_is_found_and_shown_at_its_node() {
    let shape = || StreamShape::new(4, 1).with_nodes([10, 11, 12, 13]);
    let mut ledger = Ledger::new(HealthPolicy::default(), &vec![shape(); 1_000]).expect("legal");
    let mut events = Vec::new();
    for round in 0..30 {
        for stream in 0..1_000 {
            let liar = if stream == 517 { 1e-4 } else { 0.97 };
            ledger.observe(stream, round, Some(&[0.97, 0.98, 0.99, liar]), Quorum::EMPTY, |e| events.push(e));
        }
    }
    assert!(events.iter().all(|e| (e.stream, e.position, e.node) == (517, 3, Some(13))), "{events:?}");
    let node = ledger.node(13).expect("known");
    assert_eq!((node.worst(), node.streams), (HealthState::Faulty, [999, 0, 0, 1]));
    assert_eq!(ledger.node(12).expect("known").worst(), HealthState::Healthy);
    assert_eq!(ledger.node(3).expect("below the largest").streams, [0; 4]);
    assert_eq!(ledger.node(14), None);
    assert_eq!((ledger.counts(), ledger.streams()), ([3_999, 0, 0, 1], 1_000));
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let shapes = [StreamShape::new(4, 1).with_nodes(0..4), StreamShape::new(7, 2)];
    let mut first = Ledger::new(HealthPolicy::default(), &shapes).expect("legal");
    let play = |ledger: &mut Ledger, rounds: std::ops::Range<i64>| {
        let mut events = Vec::new();
        for round in rounds {
            // Everybody lies now and then, and later nobody does.
            let p = |k: i64| {
                if round < 40 { [0.999, 0.9, 0.3, 0.0][((round * 7 + k * 3) % 4) as usize] } else { 0.99 }
            };
            let honest: Vec<f64> = (0..7).map(p).collect();
            ledger.observe(0, round, Some(&honest[..4]), Quorum::EMPTY, |e| events.push(e));
            let equivocated = if round == 33 { only(5) } else { Quorum::EMPTY };
            ledger.observe(1, round, Some(&honest), equivocated, |e| events.push(e));
        }
        events
    };
    assert!(!play(&mut first, 0..40).is_empty());
    let bytes = first.snapshot();
    assert_eq!(bytes.len(), 16 + 8 * 11);
    let mut second = Ledger::new(HealthPolicy::default(), &shapes).expect("legal");
    second.restore(&bytes).expect("its own snapshot");
    assert_eq!(second.snapshot(), bytes);
    assert_eq!(
        (0..4).map(|n| second.node(n)).collect::<Vec<_>>(),
        (0..4).map(|n| first.node(n)).collect::<Vec<_>>()
    );
    let (a, b) = (play(&mut first, 40..240), play(&mut second, 40..240));
    assert_eq!(a, b);
    assert!(!a.is_empty());
    assert_eq!(first.snapshot(), second.snapshot());
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let mut own = ledger(HealthPolicy::default(), 4, 1);
    observed(&mut own, 0, &[1.0; 4], only(1));
    let good = own.snapshot();
    let mut refused = |bytes: &[u8], expected: SnapshotError| {
        assert_eq!(own.restore(bytes), Err(expected));
        assert_eq!(own.snapshot(), good, "as it was");
    };
    refused(&[], SnapshotError::Length { found: 0, expected: 48 });
    refused(&good[..47], SnapshotError::Length { found: 47, expected: 48 });
    refused(&ledger(HealthPolicy::default(), 4, 2).snapshot(), SnapshotError::Streams);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    refused(&changed(0, b'X'), SnapshotError::Header);
    refused(&changed(4, 2), SnapshotError::Header);
    let nan = [&good[..24], &f32::NAN.to_le_bytes()[..], &good[28..]].concat();
    refused(&nan, SnapshotError::Entry { entry: 1 });
}

#[test]
fn numbers_outside_their_ranges_are_refused() {
    let good = HealthPolicy::default();
    let bad = [
        (HealthPolicy { rounds_between_false_alarms: 99.0, ..good }, "rounds_between_false_alarms"),
        (HealthPolicy { rounds_between_false_alarms: f64::NAN, ..good }, "rounds_between_false_alarms"),
        (HealthPolicy { rounds_between_false_recoveries: 1.0, ..good }, "rounds_between_false_recoveries"),
        (HealthPolicy { temper: 0.0, ..good }, "temper"),
        (HealthPolicy { temper: 1.1, ..good }, "temper"),
        (HealthPolicy { share: 0.0, ..good }, "share"),
        (HealthPolicy { cap: 1.0, ..good }, "cap"),
        (HealthPolicy { cap: 1_001.0, ..good }, "cap"),
        (HealthPolicy { dwell: 0, ..good }, "dwell"),
        (HealthPolicy { forgive: 15, ..good }, "forgive"),
    ];
    for (policy, expected) in bad {
        match Ledger::new(policy, &[]) {
            Err(HealthError::Policy { key, .. }) => assert_eq!(key, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let shapes = [
        (StreamShape::new(0, 0), "replicas"),
        (StreamShape::new(129, 1), "replicas"),
        (StreamShape::new(4, 4), "faults"),
        (StreamShape::new(4, 1).with_nodes([1, 2]), "nodes"),
        (StreamShape::new(1, 0).with_nodes([StreamShape::NODES_MAX]), "as a node's number"),
    ];
    for (shape, expected) in shapes {
        match Ledger::new(good, &[StreamShape::new(3, 1), shape]) {
            Err(HealthError::Shape { stream: 1, what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

fn any_probability() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..=1.0,
        1 => proptest::sample::select(vec![0.0, 1.0, -0.0, f64::NAN, f64::INFINITY, -1.0, 2.0, 1e-320, 1.0 - 1e-16]),
        1 => any::<f64>(),
    ]
}

fn any_policy() -> impl Strategy<Value = HealthPolicy> {
    (2.0..12.0, 0.4..12.0, 1e-6..=1.0, 0.001..=1.0, 0.0..1.0, 1u16..300).prop_map(
        |(a, b, temper, share, cap, dwell)| {
            let rounds_between_false_alarms = 10_f64.powf(a);
            HealthPolicy {
                rounds_between_false_alarms,
                rounds_between_false_recoveries: 10_f64.powf(b),
                temper,
                share,
                cap: 1.001 + cap * (rounds_between_false_alarms.sqrt() - 1.01),
                dwell,
                forgive: dwell + 40,
            }
        },
    )
}

proptest! {
    #[test]
    fn whatever_comes_statistics_are_numbers_and_a_snapshot_says_all(
        policy in any_policy(),
        rounds in proptest::collection::vec(
            (proptest::option::of(proptest::collection::vec(any_probability(), 0..7)), any::<u128>(), 0u8..4),
            1..120,
        ),
    ) {
        let shapes = [StreamShape::new(5, 2).with_nodes([0, 1, 2, 0, 1])];
        let mut ledger = Ledger::new(policy, &shapes).expect("in range");
        let mut copy = ledger.clone();
        for (round, (honest, bits, proof)) in rounds.into_iter().enumerate() {
            let equivocated: Quorum =
                if proof == 0 { (0..128).filter(|i| bits >> i & 1 == 1).collect() } else { Quorum::EMPTY };
            let (mut events, mut again) = (Vec::new(), Vec::new());
            ledger.observe(0, round as i64, honest.as_deref(), equivocated, |e| events.push(e));
            prop_assert!(events.len() <= 5);
            for position in 0..5 {
                let m = ledger.statistic(0, position).expect("there");
                prop_assert!(m >= 1.0 && m <= policy.rounds_between_false_alarms * 1.001, "{m}");
            }
            let on_nodes: u32 = (0..3).map(|n| ledger.node(n).expect("there").streams.iter().sum::<u32>()).sum();
            prop_assert_eq!(on_nodes, 5);
            copy.observe(0, round as i64, honest.as_deref(), equivocated, |e| again.push(e));
            prop_assert_eq!(events, again);
            let mut other = Ledger::new(policy, &shapes).expect("in range");
            other.restore(&copy.snapshot()).expect("its own");
            copy = other;
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), dress in any::<bool>()) {
        let mut ledger = ledger(HealthPolicy::default(), 4, 1);
        if dress {
            // With a good beginning, so that the entries are looked at.
            bytes.resize(48, 0x41);
            bytes[..16].copy_from_slice(&ledger.snapshot()[..16]);
        }
        let taken = ledger.restore(&bytes).is_ok();
        for round in 0..40 {
            ledger.observe(0, round, Some(&[0.0, 1.0, 0.5, 0.99]), Quorum::EMPTY, |_| {});
        }
        for position in 0..4 {
            let m = ledger.statistic(0, position).expect("there");
            prop_assert!((1.0..1.001e6).contains(&m), "{m} {taken}");
        }
    }
}
