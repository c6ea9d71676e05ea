//! The monitor: estimates near the truth, and what liars can do to them.

mod common;

use centauri_engine::Distribution;
use centauri_roles::*;
use centauri_wire::{NodeId, Sample, SampleKind};
use common::*;

fn monitor(monitored: Vec<Monitored>) -> Monitor {
    let targets = vec![address(CLIENT)];
    let config = MonitorConfig { monitored, targets, publish_period_ns: 1_000, ..MonitorConfig::default() };
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

/// Evenly spaced quantiles: a sample without chance.
fn spread(distribution: &Distribution, count: usize) -> Vec<f64> {
    (0..count).map(|at| distribution.quantile((at as f64 + 0.5) / count as f64)).collect()
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
    ];
    for (family, truth) in cases {
        let truth = truth.unwrap();
        let mut monitor = monitor(vec![Monitored::new("d", SampleKind::Output, family)]);
        tell(&mut monitor, REPLICAS[0], SampleKind::Output, "d", &spread(&truth, 1_000));
        let published = publish(&mut monitor);
        let [(_, found)] = published.as_slice() else { panic!("{family:?}: {published:?}") };
        for p in [0.1, 0.5, 0.9] {
            let cdf = found.cdf(truth.quantile(p));
            assert!((cdf - p).abs() < 0.005, "{truth:?} {found:?} {p} {cdf}");
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
