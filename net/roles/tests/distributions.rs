//! A client and the distributions that it is sent: by a monitor that falls silent, restarts, floods or goes mad.

mod common;

use std::collections::BTreeMap;

use centauri_engine::{Distribution, Fleet, ModelSet, ScalarBackend, Session};
use centauri_roles::*;
use centauri_wire::{Sample, SampleKind};
use common::bench::{Bench, SECOND, normal_of};
use common::*;

#[test]
fn when_the_monitor_falls_silent_decisions_go_on_and_grow_wider() {
    let mut bench = Bench::new(DistributionPolicy::default());
    bench.until(100 * SECOND);
    assert_eq!(bench.in_force(), &normal_of(0.0, 1.5), "what nobody ever published does not age");
    bench.tell(&normal_of(0.0, 1.0));
    bench.until(500 * SECOND);
    assert!(bench.widths.keys().copied().eq(0..500), "every round is decided");
    // Steps at 90 s and, by √(1 + age/60 s), 33.75, 75 and 180 s more.
    let aged: Vec<(i64, f64)> = bench
        .notes
        .iter()
        .map(|note| match note {
            Note::Aged { name, age_ns, factor } if name == "noise" => (age_ns / MS, *factor),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(aged, [(123_750, 1.25), (165_000, 1.5), (270_000, 2.0)]);
    let widths = [150, 240, 300, 400].map(|round| bench.widths[&round]);
    for pair in widths.windows(2) {
        assert!(pair[1] > 1.1 * pair[0], "{widths:?}");
    }
    assert_eq!(bench.in_force(), &normal_of(0.0, 2.0));
    assert_eq!(count(&bench.client, "distributions_aged"), 3);
    // The last tick was when the last round was decided.
    assert_eq!(count(&bench.client, "distribution_age_max_ns"), 399_500 * MS as u64);
    // The same again is news after all.
    bench.tell(&normal_of(0.0, 1.0));
    bench.until(520 * SECOND);
    assert_eq!(bench.in_force(), &normal_of(0.0, 1.0));
    assert_eq!(bench.widths[&519], widths[0]);
    assert!(count(&bench.client, "distribution_age_max_ns") < 21 * SECOND as u64);
}

#[test]
fn what_was_published_to_an_earlier_client_goes_on_growing_wider() {
    let (policy, told) = (DistributionPolicy::default(), normal_of(0.0, 1.0));
    let mut earlier = Bench::new(policy);
    earlier.until(10 * SECOND);
    earlier.tell(&told);
    let known: Vec<_> = earlier.client.published().collect();
    assert_eq!(known, [("noise", &told, 10 * SECOND)], "as it came, and when");

    // A name that the model does not have is left alone.
    let restored = vec![("noise".into(), told.clone(), 10 * SECOND), ("gone".into(), told.clone(), 0)];
    let mut bench = Bench::restored(policy, restored, 200 * SECOND);
    assert_eq!(bench.client.published().count(), 1);
    bench.until(201 * SECOND);
    let wide = normal_of(0.0, 1.5);
    assert_eq!((bench.in_force(), policy.aged(&told, 190 * SECOND)), (&wide, wide.clone()), "165 s old");
    bench.until(300 * SECOND);
    assert_eq!(bench.in_force(), &normal_of(0.0, 2.0));
    // It comes back with something far off, which is compared with what came to the earlier client.
    bench.tell(&normal_of(0.0, 50.0));
    assert_eq!(bench.in_force(), &normal_of(0.0, 2.0));
    bench.until(301 * SECOND);
    bench.tell(&told);
    assert_eq!(bench.in_force(), &told);
    assert_eq!(bench.client.published().collect::<Vec<_>>(), [("noise", &told, 301 * SECOND)]);
}

#[test]
fn renewed_in_time_nothing_ages_and_nothing_is_compiled_anew() {
    let mut bench = Bench::new(DistributionPolicy::default());
    for renewal in 0..20 {
        bench.until(renewal * 60 * SECOND);
        bench.tell(&normal_of(0.0, 1.0));
    }
    assert_eq!(bench.published.len(), 1);
    assert_eq!(bench.notes, []);
    assert_eq!(count(&bench.client, "distributions_renewed"), 19);
}

#[test]
fn of_a_flood_two_a_second_are_used_and_the_last_of_all() {
    let mut bench = Bench::new(DistributionPolicy::default());
    for at in 0..5_000 {
        bench.until(at * MS);
        bench.tell(&normal_of(0.0, 1.0 + at as f64 * 1e-4));
    }
    bench.until(10 * SECOND);
    assert!((10..=11).contains(&bench.published.len()), "{}", bench.published.len());
    let times: Vec<i64> = bench.published.iter().map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 500 * MS), "{times:?}");
    assert_eq!(bench.in_force(), &normal_of(0.0, 1.4999));
    assert!(bench.widths.keys().copied().eq(0..10), "every round is decided");
    let (used, superseded) = (bench.published.len() as u64, count(&bench.client, "distributions_superseded"));
    assert_eq!(used + superseded, 5_000, "each is used or gives way to a newer one");
}

#[test]
fn what_is_far_from_the_last_is_used_once_it_is_confirmed() {
    let far = [
        normal_of(0.0, 1e-6),
        normal_of(0.0, 9.0),
        normal_of(1e12, 1.0),
        normal_of(-40.0, 1.0),
        Distribution::student_t(0.01, 0.0, 1.0).unwrap(),
        Distribution::normal(0.0, f64::MAX).unwrap(),
    ];
    for strange in far {
        let mut bench = Bench::new(DistributionPolicy::default());
        let good = normal_of(0.0, 1.0);
        bench.tell(&good);
        bench.until(SECOND);
        bench.tell(&strange);
        bench.until(2 * SECOND);
        bench.tell(&strange);
        bench.until(2 * SECOND + SECOND / 2);
        assert_eq!(bench.in_force(), &good, "{strange:?}: again, but too soon");
        assert_eq!(bench.notes, [Note::Doubted { name: "noise".into() }]);
        assert_eq!(count(&bench.client, "distributions_doubted"), 2);
        // A good one in between, and all begins anew.
        bench.tell(&good);
        bench.until(4 * SECOND);
        bench.tell(&strange);
        bench.until(5 * SECOND);
        assert_eq!(bench.in_force(), &good, "{strange:?}");
    }
    let mut bench = Bench::new(DistributionPolicy::default());
    bench.tell(&normal_of(0.0, 1.0));
    bench.until(SECOND);
    bench.tell(&normal_of(0.0, 9.0));
    bench.until(4 * SECOND);
    bench.tell(&normal_of(0.0, 9.5));
    assert_eq!(bench.in_force(), &normal_of(0.0, 9.5), "much the same, three seconds later");
}

#[test]
fn a_mad_monitor_does_not_get_through_by_saying_something_else_each_time() {
    let mut bench = Bench::new(DistributionPolicy::default());
    let good = normal_of(0.0, 1.0);
    bench.tell(&good);
    for at in 1..60 {
        bench.until(at * SECOND);
        bench.tell(&normal_of(if at % 2 == 0 { 1e5 } else { -1e5 }, 1.0));
    }
    assert_eq!(bench.in_force(), &good);
    assert_eq!(count(&bench.client, "distributions_doubted"), 59);
}

/// A client with a monitor that watches its noise, and the replicas' samples for it.
struct Pair {
    bench: Bench,
    monitor: Option<Monitor>,
    rng: SplitMix64,
}

impl Pair {
    fn new() -> Self {
        let bench = Bench::new(DistributionPolicy::default());
        Self { bench, monitor: Some(Self::monitor(0)), rng: SplitMix64::new(5) }
    }

    fn monitor(now_ns: i64) -> Monitor {
        let named = Monitored {
            faults: Some(1),
            centred: true,
            ..Monitored::new("noise", SampleKind::Output, Estimated::Fitted(FamilyName::Normal))
        };
        let targets = vec![address(CLIENT)];
        let config = MonitorConfig { monitored: vec![named], targets, ..MonitorConfig::default() };
        Monitor::new(&config, registry(), identity(MONITOR), now_ns).unwrap()
    }

    /// A second passes, in which each replica samples so many values of this standard deviation; the first replica lies.
    fn second(&mut self, count: usize, sd: f64) {
        let bench = &mut self.bench;
        bench.until(bench.now_ns + SECOND);
        let Some(monitor) = &mut self.monitor else { return };
        let (mut asked, mut told) = (Effects::new(), Effects::new());
        for (place, node) in REPLICAS.into_iter().enumerate() {
            let by = if place == 0 { 30.0 } else { sd };
            let values: Vec<f64> = (0..count).map(|_| by * normal(&mut self.rng)).collect();
            let sample = Sample { kind: SampleKind::Output, distribution: "noise", values: &values };
            let mut bytes = Vec::new();
            sample.encode(bench.now_ns, &identity(node), &mut bytes).unwrap();
            monitor.handle(bench.now_ns, address(node), &bytes, &mut asked);
        }
        run_until(monitor, bench.now_ns, &mut asked);
        for (_, bytes) in asked.sends() {
            bench.client.handle(bench.now_ns, address(MONITOR), bytes, &mut told);
        }
        bench.carry_out(&told);
    }
}

#[test]
fn a_monitor_that_dies_and_comes_back_is_believed_again_and_tells_nothing_wild() {
    let mut pair = Pair::new();
    (0..100).for_each(|_| pair.second(8, 1.0));
    pair.monitor = None;
    (0..300).for_each(|_| pair.second(8, 1.0));
    pair.monitor = Some(Pair::monitor(pair.bench.now_ns));
    (0..200).for_each(|_| pair.second(8, 1.0));
    let bench = pair.bench;
    assert!(bench.widths.keys().copied().eq(0..600), "every round is decided");
    let sd = |(_, found): &(i64, Distribution)| found.variance().sqrt();
    let (before, after): (Vec<_>, Vec<_>) = bench.published.iter().partition(|(at, _)| *at < 400 * SECOND);
    assert!(before.iter().any(|told| sd(told) > 1.8), "it has aged");
    assert!(!after.is_empty() && after.iter().all(|told| (0.6..1.5).contains(&sd(told))), "{after:?}");
    assert!((0.85..1.15).contains(&bench.in_force().variance().sqrt()), "{:?}", bench.in_force());
    assert_eq!(count(&bench.client, "distributions_doubted"), 0);
}

#[test]
fn a_large_jump_that_is_real_is_believed_within_seconds() {
    let mut pair = Pair::new();
    (0..60).for_each(|_| pair.second(32, 0.05));
    let small = pair.bench.in_force().variance().sqrt();
    assert!((small / 0.05 - 1.0).abs() < 0.15, "{small}");
    let jumps_ns = pair.bench.now_ns;
    let mut seconds = 0;
    while pair.bench.in_force().variance().sqrt() < 0.8 {
        seconds += 1;
        assert!(seconds <= 15, "{:?}", pair.bench.in_force());
        pair.second(32, 1.0);
    }
    println!("the width of a noise that is 20 times as wide is in force after {seconds} s");
    let doubted = count(&pair.bench.client, "distributions_doubted");
    assert!(doubted >= 1 && pair.bench.notes.contains(&Note::Doubted { name: "noise".into() }));
    let rounds = jumps_ns / SECOND + seconds;
    assert!(pair.bench.widths.keys().copied().eq(0..rounds), "every round is decided meanwhile");
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let refused = |policy: DistributionPolicy| {
        let set = ModelSet { distributions: BTreeMap::new(), streams: Vec::new() };
        let session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
        let config = ClientConfig { distributions: policy, ..ClientConfig::default() };
        Client::new(&config, registry(), identity(CLIENT), session, 0).is_err()
    };
    let good = DistributionPolicy::default();
    assert!(!refused(good) && !refused(DistributionPolicy { ageing: None, ..good }));
    assert!(refused(DistributionPolicy { accept_every_min_ns: -1, ..good }));
    assert!(refused(DistributionPolicy { confirm_after_ns: -1, ..good }));
    for doubt_factor in [0.5, f64::NAN, f64::INFINITY] {
        assert!(refused(DistributionPolicy { doubt_factor, ..good }));
    }
    for (after_ns, per_ns) in [(-1, 1), (0, 0)] {
        assert!(refused(DistributionPolicy { ageing: Some(Ageing { after_ns, per_ns }), ..good }));
    }
}
