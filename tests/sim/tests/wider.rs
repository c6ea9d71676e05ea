//! Scenarios of computations on request, later stages, circles, followers and fault groups.

use std::collections::BTreeSet;

use centauri_engine::Report;
use centauri_roles::{Behaviour, SubscriberLimits};
use centauri_sim::{
    CLIENT, Happening, LaterPlan, Liar, MS, Outcome, Partition, Plan, RingPlan, Sabotage, StreamPlan,
    follower_id, run,
};

/// Each scenario is run with these.
const SEEDS: std::ops::Range<u64> = 0..4;

fn scenario(change: impl Fn(&mut Plan), limits: impl Fn(&Plan, &Outcome)) {
    for seed in SEEDS {
        let mut plan = Plan::calm(seed);
        change(&mut plan);
        let outcome = run(&plan, Sabotage::None, None).unwrap_or_else(|found| panic!("{found}"));
        limits(&plan, &outcome);
    }
}

/// A second stream, of means every 100 ms that replicas compute when they are asked: windows are closed after 120 ms, rounds
/// decided after 150.
fn ask(plan: &mut Plan) {
    let times = (100 * MS, 100 * MS, 120 * MS);
    plan.streams.extend(StreamPlan::on_request(("mean", "s/*"), times, 60_000 * MS, 150 * MS));
    assert_eq!(plan.streams.len(), 2);
}

/// Of the asked stream's decisions, those with values of all replicas.
fn full(outcome: &Outcome) -> Vec<i64> {
    let is_full = |reports: &[Report]| reports.iter().all(|report| matches!(report, Report::Value(_)));
    let asked = outcome.decisions.iter().filter(|decided| decided.stream == 1);
    asked.filter(|decided| is_full(&decided.reports)).map(|decided| decided.round).collect()
}

#[test]
fn scenario_014_a_computation_that_is_asked_for() {
    scenario(ask, |plan, outcome| {
        let rounds = outcome.decisions.iter().filter(|decided| decided.stream == 1).count();
        assert_eq!(rounds, 19, "seed {}: every round, from the first", plan.seed);
        // It begins with the first window that opens after it was granted.
        assert!(full(outcome).len() >= 18, "seed {}: {:?}", plan.seed, full(outcome));
    });
}

#[test]
fn scenario_015_a_computation_ends_with_the_client_and_begins_again_with_it() {
    scenario(
        |plan| {
            ask(plan);
            plan.happenings = vec![(600 * MS, CLIENT, Happening::Crash { until_ns: 1_300 * MS, slow_ns: 0 })];
        },
        |plan, outcome| {
            // Four replicas were asked for both streams for 400 ms; and nobody asks their sources meanwhile.
            assert!(outcome.count("requests: expired") >= 8, "seed {}", plan.seed);
            assert!(outcome.count("requests: cancelled") >= 12, "seed {}: {:?}", plan.seed, outcome.tally);
            let rounds = full(outcome);
            let first = rounds.first().copied().unwrap_or(0);
            let since: BTreeSet<i64> = rounds.iter().map(|round| round - first).collect();
            assert!(since.contains(&3) && !since.contains(&8), "seed {}: {since:?}", plan.seed);
            assert!(since.contains(&14) && since.contains(&16), "seed {}: {since:?}", plan.seed);
        },
    );
}

#[test]
fn scenario_016_two_clients_share_a_computation() {
    scenario(
        |plan| {
            ask(plan);
            plan.has_other_client = true;
        },
        |plan, outcome| {
            assert!(outcome.count("computations shared") > 100, "seed {}", plan.seed);
            assert_eq!(outcome.count("other client: decided"), 19, "seed {}", plan.seed);
            assert!(outcome.count("other client: reports") >= 4 * 17, "seed {}", plan.seed);
            assert!(full(outcome).len() >= 17, "seed {}", plan.seed);
        },
    );
}

#[test]
fn scenario_017_a_request_too_many_is_refused() {
    scenario(
        |plan| {
            ask(plan);
            plan.subscribers = SubscriberLimits { per_node_max: 1, ..SubscriberLimits::default() };
        },
        |plan, outcome| {
            assert!(outcome.count("requests: over quota") > 20, "seed {}", plan.seed);
            assert_eq!(
                outcome.decisions.len(),
                39 + 19,
                "seed {}: every round is decided all the same",
                plan.seed
            );
            for place in 0..4 {
                let is_heard = |stream: usize| {
                    let mut rounds = outcome.decisions.iter().filter(|decided| decided.stream == stream);
                    rounds.any(|decided| decided.reports[place] != Report::Missing)
                };
                // Whichever request comes first is served, and goes on being served.
                assert!(is_heard(0) != is_heard(1), "seed {}, replica {place}", plan.seed);
            }
        },
    );
}

#[test]
fn scenario_018_a_liar_in_each_stage() {
    let liar = |target| Liar { behaviour: Behaviour::Collude { target }, ..Liar::default() };
    for span in [1, 2] {
        scenario(
            |plan| {
                plan.liars = [(1, liar(38.0))].into();
                let mut later = LaterPlan::on(plan, 3, span, 10 * MS).expect("a stream");
                later.liars = [(2, liar(2.0))].into();
                plan.later = Some(later);
            },
            |plan, outcome| {
                let rounds = if span == 1 { 38 } else { 18 };
                let decided = outcome.count("later stage: decided");
                assert!((rounds..=rounds + 1).contains(&decided), "seed {}: {decided}", plan.seed);
                assert!(outcome.count("later stage: reports") >= 3 * (rounds - 1), "seed {}", plan.seed);
                // Three relays and the last client each.
                assert!(
                    outcome.count("other nodes: regions checked") >= 3 * 35 + rounds,
                    "{:?}",
                    outcome.tally
                );
                assert!(outcome.count("relays: passed on") >= 2 * (rounds - 1), "seed {}", plan.seed);
            },
        );
    }
}

#[test]
fn scenario_019_a_circle_is_refused_and_a_line_is_not() {
    for (nodes, is_closed) in [(2, true), (4, true), (4, false)] {
        scenario(
            |plan| plan.ring = Some(RingPlan { nodes, is_closed }),
            |plan, outcome| {
                let refused = outcome.count("circles refused");
                assert_eq!(refused > 0, is_closed, "seed {}: {refused} of {nodes}", plan.seed);
            },
        );
    }
}

#[test]
fn scenario_020_followers_that_lose_datagrams_and_start_again() {
    let cut = Partition {
        from_ns: 500 * MS,
        until_ns: 900 * MS,
        nodes: BTreeSet::from([follower_id(0).0, follower_id(1).0]),
    };
    scenario(
        |plan| {
            plan.followers = 2;
            plan.network.partitions = vec![cut.clone()];
            let crash = Happening::Crash { until_ns: 1_300 * MS, slow_ns: 0 };
            plan.happenings = vec![(1_200 * MS, follower_id(1), crash)];
        },
        |plan, outcome| {
            // Of 39 rounds 8 fall into the cut, and 2 more into the crash of one of them; asking again takes a round or two.
            let followed = outcome.count("decisions followed");
            assert!((52..=62).contains(&followed), "seed {}: {followed}", plan.seed);
        },
    );
}

#[test]
fn scenario_021_a_group_that_lies_together_is_one_fault() {
    let liar = Liar { behaviour: Behaviour::Collude { target: 36.0 }, ..Liar::default() };
    let right = |plan: &Plan, outcome: &Outcome| {
        let is_near = |decided: &&centauri_sim::DecidedRound| {
            (decided.value
                - plan.truth(plan.streams[0].epoch_ns + decided.round * plan.streams[0].period_ns + 25 * MS))
            .abs()
                < 2.0
        };
        let settled = outcome.decisions.iter().filter(|decided| decided.round >= 2);
        (settled.clone().filter(is_near).count(), settled.count())
    };
    for is_grouped in [true, false] {
        scenario(
            |plan| {
                plan.replicas = 5;
                plan.liars = [(0, liar.clone()), (3, liar.clone())].into();
                plan.groups = if is_grouped { vec![vec![0, 3]] } else { Vec::new() };
            },
            |plan, outcome| {
                let (right, all) = right(plan, outcome);
                let regions = outcome.count("regions checked");
                if is_grouped {
                    assert_eq!((right, regions > 30), (all, true), "seed {}", plan.seed);
                } else {
                    assert_eq!(
                        regions, 0,
                        "seed {}: two liars are more than the model allows for",
                        plan.seed
                    );
                }
            },
        );
    }
}
