//! The monitor: estimates near the truth, and what liars can do to them.

mod common;

use centauri_engine::Distribution;
use centauri_roles::*;
use centauri_wire::{NodeId, Sample, SampleKind};
use common::*;

/// Every microsecond, whether it has changed or not.
fn quick() -> MonitorConfig {
    MonitorConfig { publish_every_min_ns: 1_000, publish_every_max_ns: 1_000, ..MonitorConfig::default() }
}

fn monitor(monitored: Vec<Monitored>) -> Monitor {
    let targets = vec![address(CLIENT)];
    let config = MonitorConfig { monitored, targets, ..quick() };
    Monitor::new(&config, registry(), identity(MONITOR), 0).unwrap()
}

/// Sends values in frames of 100.
fn tell(monitor: &mut Monitor, from: NodeId, kind: SampleKind, name: &str, values: &[f64]) {
    let mut bytes = Vec::new();
    for (at, values) in (0..).zip(values.chunks(100)) {
        let sample = Sample { kind, distribution: name, values };
        sample.encode(at, &identity(from), &mut bytes).unwrap();
        monitor.handle(at, address(from), &bytes, &mut Effects::new());
    }
}

fn publish(monitor: &mut Monitor) -> Vec<(String, Distribution)> {
    let mut effects = Effects::new();
    let due = monitor.next_deadline().unwrap();
    monitor.tick(due, &mut effects);
    let published = effects.iter().filter_map(|effect| match effect {
        Effect::Published { name, distribution } => Some((name.to_owned(), distribution.clone())),
        _ => None,
    });
    published.collect()
}

/// Evenly spaced quantiles, in an order of which every part is spread as evenly: a sample without chance.
fn spread(distribution: &Distribution, count: usize) -> Vec<f64> {
    let place = |at: usize| (at * 619 % count) as f64;
    (0..count).map(|at| distribution.quantile((place(at) + 0.5) / count as f64)).collect()
}

#[test]
fn each_family_is_found_again_from_its_quantiles() {
    let cases = [
        (Estimated::Normal, Distribution::normal(-3.0, 0.5)),
        (Estimated::Laplace, Distribution::laplace(2.0, 0.7)),
        (Estimated::Exponential, Distribution::exponential(0.02)),
        (Estimated::Lognormal, Distribution::lognormal(-4.0, 0.6)),
        (Estimated::Gamma, Distribution::gamma(2.0, 0.03)),
        (Estimated::Gamma, Distribution::gamma(0.4, 5.0)),
        (Estimated::Gamma, Distribution::gamma(300.0, 0.001)),
        (Estimated::StudentT { df: 3.0 }, Distribution::student_t(3.0, 1.0, 2.0)),
        (Estimated::Fitted(FamilyName::Logistic), Distribution::logistic(3.0, 0.1)),
        (Estimated::Fitted(FamilyName::Weibull), Distribution::weibull(1.5, 2.0)),
        (Estimated::Fitted(FamilyName::Empirical), Distribution::weibull(1.5, 2.0)),
        (Estimated::Fitted(FamilyName::Gamma), Distribution::gamma(2.0, 0.03)),
        (Estimated::Auto, Distribution::uniform(-1.0, 3.0)),
        (Estimated::Auto, Distribution::lognormal(-4.0, 0.6)),
    ];
    for (family, truth) in cases {
        let truth = truth.unwrap();
        let mut monitor = monitor(vec![Monitored::new("d", SampleKind::Output, family)]);
        tell(&mut monitor, REPLICAS[0], SampleKind::Output, "d", &spread(&truth, 1_000));
        let published = publish(&mut monitor);
        let [(_, found)] = published.as_slice() else { panic!("{family:?}: {published:?}") };
        for p in [0.1, 0.5, 0.9] {
            let cdf = found.cdf(truth.quantile(p));
            // A fit looks at half as many values.
            let near = if matches!(family, Estimated::Fitted(_) | Estimated::Auto) { 0.012 } else { 0.005 };
            assert!((cdf - p).abs() < near, "{truth:?} {found:?} {p} {cdf}");
        }
    }
}

#[test]
fn fewer_than_half_of_the_senders_cannot_leave_the_honest_range() {
    let monitored =
        Monitored { senders_min: 3, ..Monitored::new("d", SampleKind::Output, Estimated::Normal) };
    for liar in [-1e300, -4.0, 0.0, 4.0, 1e300] {
        for width in [0.0, 1e-9, 1e300] {
            let mut monitor = monitor(vec![monitored.clone()]);
            for (node, mean, sd) in [(REPLICAS[0], 9.0, 1.0), (REPLICAS[1], 10.0, 2.0)] {
                let values = spread(&Distribution::normal(mean, sd).unwrap(), 400);
                tell(&mut monitor, node, SampleKind::Output, "d", &values);
            }
            assert_eq!(publish(&mut monitor), [], "two senders are too few");
            // However much it sends, a liar is one sender.
            let lies: Vec<f64> = (0..2_000).map(|at| liar + width * f64::from(at % 2)).collect();
            tell(&mut monitor, REPLICAS[2], SampleKind::Output, "d", &lies);
            let published = publish(&mut monitor);
            let found = &published[0].1;
            assert!((8.99..=10.01).contains(&found.mean()), "{found:?}");
            assert!((0.98..=2.02).contains(&found.variance().sqrt()), "{found:?}");
        }
    }
}

#[test]
fn no_distribution_without_a_scale_is_published() {
    let families = [
        Estimated::Normal,
        Estimated::Laplace,
        Estimated::Exponential,
        Estimated::Lognormal,
        Estimated::Gamma,
        Estimated::StudentT { df: 5.0 },
        Estimated::Fitted(FamilyName::Normal),
        Estimated::Fitted(FamilyName::Lognormal),
        Estimated::Fitted(FamilyName::Gamma),
        Estimated::Fitted(FamilyName::Empirical),
        Estimated::Auto,
    ];
    for family in families {
        for value in [5.0, 1e-300, f64::MIN_POSITIVE, f64::MAX] {
            let named = Monitored { scale_min: 1e-3, ..Monitored::new("d", SampleKind::Latency, family) };
            let mut monitor = monitor(vec![named]);
            tell(&mut monitor, REPLICAS[0], SampleKind::Latency, "d", &[value; 64]);
            for (_, found) in publish(&mut monitor) {
                assert!(!found.is_discrete() && found.variance() > 0.0, "{found:?}");
            }
        }
    }
    let mut monitor = monitor(vec![Monitored::new("d", SampleKind::Output, Estimated::Gamma)]);
    tell(&mut monitor, REPLICAS[0], SampleKind::Output, "d", &[-1.0; 64]);
    assert_eq!(publish(&mut monitor), [], "a gamma says nothing of negative values");
    assert_eq!(count(&monitor, "distributions_withheld"), 1);
}

#[test]
fn a_forced_centre_keeps_the_scale_about_zero() {
    let named = Monitored { centred: true, ..Monitored::new("d", SampleKind::Output, Estimated::Laplace) };
    let mut monitor = monitor(vec![named.clone()]);
    let truth = Distribution::laplace(0.0, 2.0).unwrap();
    tell(&mut monitor, SOURCES[0], SampleKind::Output, "d", &spread(&truth, 500));
    let found = &publish(&mut monitor)[0].1;
    assert_eq!(found.mean(), 0.0);
    assert!((found.variance().sqrt() / truth.variance().sqrt() - 1.0).abs() < 0.01);
    let config = MonitorConfig {
        monitored: vec![Monitored { family: Estimated::Gamma, ..named }],
        ..MonitorConfig::default()
    };
    let refused = Monitor::new(&config, registry(), identity(MONITOR), 0);
    assert!(matches!(refused, Err(ConfigError::Centred { .. })));
}

#[test]
fn a_fit_can_be_centred_and_counts_stay_counts() {
    let named = |family| Monitored::new("d", SampleKind::Output, Estimated::Fitted(family));
    let truth = Distribution::normal(0.3, 2.0).unwrap();
    for (family, centred) in [(FamilyName::Normal, true), (FamilyName::Normal, false)] {
        let mut monitor = monitor(vec![Monitored { centred, ..named(family) }]);
        tell(&mut monitor, SOURCES[0], SampleKind::Output, "d", &spread(&truth, 500));
        let found = &publish(&mut monitor)[0].1;
        assert!((found.mean() - if centred { 0.0 } else { 0.3 }).abs() < 0.02, "{found:?}");
        // About 0 the truth has the variance 4 + 0.3².
        let expected = if centred { 4.09_f64.sqrt() } else { 2.0 };
        assert!((found.variance().sqrt() / expected - 1.0).abs() < 0.02, "{found:?}");
    }
    let mut monitor = monitor(vec![named(FamilyName::Poisson)]);
    let truth = Distribution::poisson(3.0).unwrap();
    for node in REPLICAS {
        tell(&mut monitor, node, SampleKind::Output, "d", &spread(&truth, 500));
    }
    let found = &publish(&mut monitor)[0].1;
    assert_eq!(found.name(), "poisson");
    assert!((found.mean() - 3.0).abs() < 0.03, "{found:?}");
    for family in [FamilyName::Gamma, FamilyName::Uniform, FamilyName::Empirical] {
        let monitored = vec![Monitored { centred: true, ..named(family) }];
        let config = MonitorConfig { monitored, ..MonitorConfig::default() };
        let refused = Monitor::new(&config, registry(), identity(MONITOR), 0);
        assert!(matches!(refused, Err(ConfigError::Centred { .. })));
    }
}

#[test]
fn whatever_is_sampled_nothing_panics() {
    let extremes = [0.0, -0.0, 1e-308, f64::MIN_POSITIVE, 1.0, -1.0, 1e154, f64::MAX, f64::MIN];
    let mut rng = SplitMix64::new(8);
    let families = FamilyName::ALL.map(Estimated::Fitted).into_iter().chain([Estimated::Auto]);
    for family in families {
        for combination in [Combination::Trimmed, Combination::Pooled] {
            let named =
                Monitored { combination, samples_min: 1, ..Monitored::new("d", SampleKind::Output, family) };
            let mut monitor = monitor(vec![named]);
            for node in REPLICAS {
                let mut pick = |_| extremes[(rng.bits() % 9) as usize];
                let values: Vec<f64> = (0..40).map(&mut pick).collect();
                tell(&mut monitor, node, SampleKind::Output, "d", &values);
            }
            for (_, found) in publish(&mut monitor) {
                assert!(to_wire(&found).is_ok(), "{found:?}");
            }
        }
    }
}

#[test]
fn configurations_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut MonitorConfig)| {
        let mut config = MonitorConfig::default();
        change(&mut config);
        Monitor::new(&config, registry(), identity(MONITOR), 0).is_err()
    };
    let drift = |window, alarm_rate| Some(DriftPolicy { window, alarm_rate });
    assert!(!refused(&|_| ()) && !refused(&|c| c.drift = None));
    assert!(refused(&|c| c.values_max = 0));
    assert!(refused(&|c| c.half_life_ns = 0));
    assert!(refused(&|c| c.silent_after_ns = 0));
    assert!(refused(&|c| c.publish_every_min_ns = 0));
    assert!(refused(&|c| c.publish_again_ns = 0));
    assert!(refused(&|c| c.publish_every_max_ns = c.publish_every_min_ns - 1));
    assert!(refused(&|c| c.publish_distance = f64::NAN));
    assert!(refused(&|c| c.fit_values_max = 9));
    for (window, alarm_rate) in [(7, 0.1), (513, 0.1), (64, 0.0), (64, 1.0), (64, f64::NAN)] {
        assert!(refused(&|c| c.drift = drift(window, alarm_rate)), "{window} {alarm_rate}");
    }
}

#[test]
fn samples_that_nobody_asked_for_are_counted_and_dropped() {
    let named = Monitored {
        senders: Some(vec![REPLICAS[0]]),
        ..Monitored::new("d", SampleKind::Latency, Estimated::Exponential)
    };
    let mut monitor = monitor(vec![named]);
    tell(&mut monitor, REPLICAS[0], SampleKind::Latency, "e", &[1.0; 3]);
    tell(&mut monitor, REPLICAS[0], SampleKind::Output, "d", &[1.0; 5]);
    tell(&mut monitor, REPLICAS[1], SampleKind::Latency, "d", &[1.0; 7]);
    tell(&mut monitor, SOURCES[0], SampleKind::Latency, "d", &[1.0; 9]);
    for (name, expected) in [
        ("values_unknown_name", 3),
        ("values_wrong_kind", 5),
        ("values_sender_refused", 7),
        ("values_kept", 0),
        ("rejected_wrong_role", 1),
    ] {
        assert_eq!(count(&monitor, name), expected, "{name}");
    }
}
