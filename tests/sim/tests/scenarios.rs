//! Numbered scenarios: conditions that are fixed, and limits that hold whatever the seed.

use std::collections::BTreeSet;

use centauri_engine::{Computation, Report, Status};
use centauri_roles::health::HealthPolicy;
use centauri_roles::{Behaviour, ReservationPolicy};
use centauri_sim::{
    CLIENT, Clock, DecidedRound, DiskPlan, Happening, Liar, MS, Outcome, OutsiderPlan, Partition, Plan,
    Sabotage, replica_id, run,
};

/// Each scenario is run with these.
const SEEDS: std::ops::Range<u64> = 0..4;

/// Rounds of 50 ms in two seconds, of which the first begins as requests go out and the last is not closed.
const ROUNDS: usize = 39;

struct Scenario {
    plan: Plan,
    outcome: Outcome,
}

/// Runs a scenario with every seed, and holds each run against its limits.
fn scenario(change: impl Fn(&mut Plan), limits: impl Fn(&Scenario)) {
    for seed in SEEDS {
        let mut plan = Plan::calm(seed);
        change(&mut plan);
        let outcome = run(&plan, Sabotage::None, None).unwrap_or_else(|found| panic!("{found}"));
        limits(&Scenario { plan, outcome });
    }
}

impl Scenario {
    /// How many rounds the client decided, a quorum being possible or not.
    fn rounds(&self) -> usize {
        self.outcome.decisions.len()
    }

    /// Root mean square distance of decided values from the truth in the middle of their rounds.
    fn error_of(&self, decisions: &[&DecidedRound]) -> f64 {
        let stream = &self.plan.streams[0];
        let square = |decided: &&DecidedRound| {
            let middle = stream.epoch_ns + decided.round * stream.period_ns + stream.period_ns / 2;
            (decided.value - self.plan.truth(middle)).powi(2)
        };
        assert!(!decisions.is_empty(), "seed {}", self.plan.seed);
        (decisions.iter().map(square).sum::<f64>() / decisions.len() as f64).sqrt()
    }

    /// The same of all rounds from `first` on.
    fn error(&self, first: i64) -> f64 {
        let after_first = self.outcome.decisions.iter().filter(|decided| decided.round >= first);
        self.error_of(&after_first.collect::<Vec<_>>())
    }

    /// Share of the reports of a replica, from round `first` on, that are such.
    fn share(&self, place: usize, first: i64, is_such: impl Fn(Report) -> bool) -> f64 {
        let after_first = self.outcome.decisions.iter().filter(|decided| decided.round >= first);
        let reports: Vec<Report> = after_first.map(|decided| decided.reports[place]).collect();
        reports.iter().filter(|report| is_such(**report)).count() as f64 / reports.len() as f64
    }

    #[track_caller]
    fn check(&self, is_good: bool, what: &str) {
        let (seed, rounds) = (self.plan.seed, self.rounds());
        assert!(is_good, "seed {seed}: {what}; {rounds} rounds, error {}", self.error(2));
    }
}

fn is_value(report: Report) -> bool {
    matches!(report, Report::Value(_))
}

#[test]
fn scenario_001_calm() {
    scenario(
        |_| (),
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            ran.check(ran.error(2) < 0.45, "the grid's half step and the readings' noise");
            for place in 0..4 {
                ran.check(ran.share(place, 2, is_value) == 1.0, "every replica is heard");
            }
        },
    );
}

#[test]
fn scenario_002_thirty_percent_loss() {
    scenario(
        |plan| plan.network.loss = 0.3,
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            // Readings and requests are lost, too, and links differ: some lose three of five.
            let shares: f64 = (0..4).map(|place| ran.share(place, 4, is_value)).sum();
            ran.check(shares > 1.0, "a quarter of the reports come");
            let heard =
                |decided: &&DecidedRound| decided.reports.iter().filter(|r| is_value(**r)).count() > 1;
            let some: Vec<&DecidedRound> = ran.outcome.decisions.iter().filter(heard).collect();
            ran.check(some.len() > 15, "most rounds have reports");
            ran.check(some.iter().all(|decided| decided.status == Status::Decided), "and a quorum");
            ran.check(ran.error_of(&some) < 0.8, "and are right");
        },
    );
}

#[test]
fn scenario_003_partition_of_f_replicas() {
    let cut = Partition { from_ns: 500 * MS, until_ns: 1_000 * MS, nodes: BTreeSet::from([replica_id(2).0]) };
    scenario(
        |plan| plan.network.partitions = vec![cut.clone()],
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            ran.check(ran.error(2) < 0.45, "on the reports of the others");
            let missing =
                ran.outcome.decisions.iter().filter(|decided| decided.reports[2] == Report::Missing);
            ran.check(
                (9..=16).contains(&missing.clone().filter(|d| d.round >= 2).count()),
                "half a second is missing",
            );
            ran.check(ran.share(2, 30, is_value) == 1.0, "it is heard again");
        },
    );
}

#[test]
fn scenario_004_client_crash() {
    scenario(
        |plan| {
            let crash = Happening::Crash { until_ns: 1_040 * MS, slow_ns: 0 };
            plan.happenings = vec![(710 * MS, CLIENT, crash)];
        },
        |ran| {
            let rounds: Vec<i64> = ran.outcome.decisions.iter().map(|decided| decided.round).collect();
            // At 710 ms round 12 was closed (at 680 ms); at 1,040 ms the first to open is 21.
            let expected: Vec<i64> = (0..=12).chain(21..=38).collect();
            ran.check(rounds == expected, "the rounds that it was down for are the only gap");
            ran.check(
                (0..4).all(|place| ran.share(place, 23, is_value) == 1.0),
                "the replicas are heard again",
            );
        },
    );
}

#[test]
fn scenario_005_all_replicas_silent() {
    let silent = Liar { behaviour: Behaviour::Silent, ..Liar::default() };
    scenario(
        |plan| plan.liars = (0..4).map(|place| (place, silent.clone())).collect(),
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            let missing = |decided: &DecidedRound| decided.reports == [Report::Missing; 4];
            ran.check(ran.outcome.decisions.iter().all(missing), "on nothing");
        },
    );
}

#[test]
fn scenario_006_a_clock_beyond_the_bound() {
    let slow = Clock { offset_ns: -300 * MS, drift_ppb: 0 };
    scenario(
        |plan| {
            plan.limits.past_ns = 200 * MS as u64;
            plan.clocks.insert(replica_id(1).0, slow);
            // Of what its sources say nothing falls into its windows; but it says something in each.
            let liar = Liar { behaviour: Behaviour::Collude { target: 38.0 }, ..Liar::default() };
            plan.liars = [(1, liar)].into();
        },
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            ran.check(ran.share(1, 0, is_value) == 0.0, "nothing of the slow clock counts");
            ran.check(ran.outcome.count("client: signed frames stale") > 20, "its frames are stale");
            ran.check(ran.error(2) < 0.45, "the others are right");
        },
    );
}

#[test]
fn scenario_007_equivocator() {
    let liar = Liar { behaviour: Behaviour::Equivocate { by: 0.25 }, ..Liar::default() };
    scenario(
        |plan| plan.liars = [(3, liar.clone())].into(),
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            ran.check(
                ran.share(3, 2, |report| report == Report::Equivocated) == 1.0,
                "it is convicted each time",
            );
            let honest =
                ran.outcome.decisions.iter().skip(2).filter_map(|decided| decided.honest.as_ref()?.get(3));
            ran.check(honest.copied().all(|honest| honest == 0.0), "and not believed");
            ran.check(ran.error(2) < 0.45, "the others are right");
        },
    );
}

#[test]
fn scenario_008_flood() {
    scenario(
        |plan| plan.outsider = Some(OutsiderPlan { every_ns: 10 * MS, ahead: 1.0, flood: 0.4 }),
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            ran.check(ran.outcome.count("outsider's") > 3_000, "there is a flood");
            ran.check(
                ran.outcome.count("batches of several slices") > 10,
                "of more than is verified at once",
            );
            ran.check(ran.error(2) < 0.45, "which changes nothing");
        },
    );
}

#[test]
fn scenario_009_a_client_that_stands_still() {
    scenario(
        |plan| {
            plan.pacing.catch_up_rounds_max = 2;
            plan.happenings = vec![(705 * MS, CLIENT, Happening::Pause { until_ns: 1_205 * MS })];
        },
        |ran| {
            let rounds: Vec<i64> = ran.outcome.decisions.iter().map(|decided| decided.round).collect();
            // Round 12 closed at 680 ms. At 1,205 ms rounds 13 to 22 are due: the first, and the last two.
            let expected: Vec<i64> = (0..=13).chain(21..=38).collect();
            ran.check(rounds == expected, "it makes up for as many rounds as it is told to");
            ran.check(ran.outcome.count("client: rounds left out") == 7, "and says which it left out");
        },
    );
}

#[test]
fn scenario_010_replicas_that_come_and_go() {
    let crash = |at: i64, place: usize| {
        (at * MS, replica_id(place), Happening::Crash { until_ns: (at + 30) * MS, slow_ns: 0 })
    };
    scenario(
        |plan| plan.happenings = (0..12).map(|time| crash(200 + 130 * time, time as usize % 4)).collect(),
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            ran.check(ran.outcome.count("other crashes") == 12, "they did");
            ran.check(ran.error(2) < 0.6, "those that are up are right");
        },
    );
}

#[test]
fn scenario_011_replicas_that_come_back_after_they_have_sent() {
    // Results go out 30 ms after a window of 50 ms opens; each crash and its end lie within one window, after that.
    let crash = |window: i64| {
        let (at, place) = (50 * window + 38, replica_id(window as usize % 4));
        (at * MS, place, Happening::Crash { until_ns: (at + 2) * MS, slow_ns: 8 * MS })
    };
    for computation in [Computation::Sum, Computation::Mean] {
        scenario(
            |plan| {
                plan.streams[0].computation = computation;
                plan.streams[0].replica_deadline_ns = 30 * MS;
                plan.request.ttl_ns = 12 * MS;
                plan.happenings = (4..30).map(crash).collect();
            },
            |ran| {
                ran.check(ran.rounds() == ROUNDS, "every round is decided");
                ran.check(ran.outcome.count("other crashes") == 26, "they did crash");
                let convicted = |place| ran.share(place, 0, |report| report == Report::Equivocated);
                ran.check((0..4).all(|place| convicted(place) == 0.0), "nobody is convicted for it");
            },
        );
    }
}

#[test]
fn scenario_012_a_liar_is_found_without_a_proof() {
    let liar = Liar { behaviour: Behaviour::Collude { target: 38.0 }, ..Liar::default() };
    scenario(
        |plan| {
            plan.liars = [(2, liar.clone())].into();
            plan.health =
                Some(HealthPolicy { rounds_between_false_alarms: 1_000.0, ..HealthPolicy::default() });
        },
        |ran| {
            ran.check(ran.rounds() == ROUNDS, "every round is decided");
            let count = |name| ran.outcome.count(name);
            ran.check((1..=2).contains(&count("health: changes")), "it alone changes, to suspect and faulty");
            ran.check(count("health: proven faulty") == 0, "nothing is proven");
        },
    );
}

#[test]
fn scenario_013_a_disk_that_is_full_as_the_client_crashes() {
    let reservation =
        ReservationPolicy { clock_ahead_ns: 40 * MS, margin_ns: 40 * MS, renew_after_ns: 10 * MS };
    scenario(
        |plan| {
            plan.disk = Some(DiskPlan {
                reservation,
                look_ns: 5 * MS,
                write_ns: 2 * MS,
                slow: 0.0,
                slow_ns: 0,
                fail: 0.0,
                full: vec![(400 * MS, 900 * MS)],
            });
            let crash = Happening::Crash { until_ns: 710 * MS, slow_ns: 0 };
            plan.happenings = vec![(700 * MS, CLIENT, crash)];
        },
        |ran| {
            let count = |name| ran.outcome.count(name);
            ran.check(count("decided while the disk is full") == 6, "rounds are decided at 430 to 680 ms");
            ran.check(count("starts put off by the disk") > 20, "no server starts without a reservation");
            let rounds: Vec<i64> = ran.outcome.decisions.iter().map(|decided| decided.round).collect();
            // The disk has room again at 900 ms; a start comes at the latest 7 ms later, in round 18.
            let expected: Vec<i64> = (0..=12).chain(19..=38).collect();
            ran.check(rounds == expected, "it goes on when there is room");
            // Round 6 closed at 380 ms, and was stored.
            ran.check(count("rounds told to be missing") == 12, "and tells that rounds 7 to 18 are missing");
        },
    );
}
