//! A client that decides on decisions: their spread, and what a monitor publishes of the noise to which it is added.

mod common;

use centauri_engine::Distribution;
use centauri_roles::*;
use centauri_wire::NodeId;
use common::bench::{Bench, SECOND, normal_of};
use common::*;

/// With what was published to an earlier client; three of four replicas report, and say that they are this sure.
fn bench(restored: Vec<(String, Distribution, i64)>, now_ns: i64, sds: [f64; 3]) -> Bench {
    let spreads = vec![("room".to_owned(), "noise".to_owned())];
    let config = ClientConfig { spreads, restored, ..ClientConfig::default() };
    Bench { sds: Some(sds), ..Bench::configured(config, now_ns) }
}

/// That the noise in force is normal with this sd, of which the other is the spread: independent ones add by their squares.
#[track_caller]
fn assert_in_force(bench: &Bench, noise_sd: f64, spread_sd: f64) {
    let (found, expected) = (bench.in_force(), (noise_sd * noise_sd + spread_sd * spread_sd).sqrt());
    let sd = found.variance().sqrt();
    assert!((sd / expected - 1.0).abs() < 1e-9 && found.mean() == 0.0, "{found:?}, expected {expected}");
}

#[test]
fn what_a_monitor_publishes_is_used_with_the_same_care_and_the_spread_added() {
    let mut bench = bench(Vec::new(), 0, [4.0; 3]);
    bench.until(10 * SECOND);
    assert_in_force(&bench, 1.5, 4.0);
    bench.tell(&normal_of(0.0, 3.0));
    assert_in_force(&bench, 3.0, 4.0);
    // It is kept as it came.
    let known: Vec<_> = bench.client.published().map(|(name, of, at)| (name, of.clone(), at)).collect();
    assert_eq!(known, [("noise", normal_of(0.0, 3.0), 10 * SECOND)]);
    // The next waits for its time.
    bench.until(10 * SECOND + MS);
    bench.tell(&normal_of(0.0, 3.5));
    assert_in_force(&bench, 3.0, 4.0);
    bench.until(11 * SECOND);
    assert_in_force(&bench, 3.5, 4.0);
    // One that is far off is doubted; next to the sum it would not be.
    bench.tell(&normal_of(0.0, 0.4));
    bench.until(12 * SECOND);
    assert_in_force(&bench, 3.5, 4.0);
    assert_eq!(bench.notes, [Note::Doubted { name: "noise".into() }]);
    // It ages by itself, and what is reported does not: steps at 124, 165 and 270 s.
    for (until_s, factor) in [(130, 1.0), (140, 1.25), (180, 1.5), (290, 2.0)] {
        bench.until(until_s * SECOND);
        assert_in_force(&bench, factor * 3.5, 4.0);
    }
    // Another spread is added to what has aged.
    bench.sds = Some([8.0; 3]);
    bench.until(800 * SECOND);
    assert!((bench.in_force().variance() - 49.0 - 64.0).abs() < 0.2 * 64.0, "{:?}", bench.in_force());
    let aged = bench.in_force().clone();
    bench.tell(&normal_of(0.0, 3.5));
    let narrowed = aged.variance() - bench.in_force().variance();
    assert!((narrowed - 3.0 * 3.5 * 3.5).abs() < 1e-6, "{narrowed}");
    let of = ["published", "superseded", "doubted", "aged"];
    let counts = of.map(|of| count(&bench.client, &format!("distributions_{of}")));
    assert_eq!(counts, [3, 0, 1, 3]);
}

#[test]
fn what_was_published_to_an_earlier_client_ages_with_the_spread_added() {
    let restored = vec![("noise".to_owned(), normal_of(0.0, 3.0), 10 * SECOND)];
    let mut bench = bench(restored.clone(), 200 * SECOND, [4.0; 3]);
    assert!(bench.client.published().map(|(name, of, at)| (name.to_owned(), of.clone(), at)).eq(restored));
    bench.until(201 * SECOND);
    assert_in_force(&bench, 1.5 * 3.0, 4.0);
    bench.until(300 * SECOND);
    assert_in_force(&bench, 2.0 * 3.0, 4.0);
}

#[test]
fn who_reports_first_does_not_set_the_spread() {
    let mut bench = bench(Vec::new(), 0, [4.0; 3]);
    for (reports, node) in (1..).zip(REPLICAS) {
        let lies = node == REPLICAS[0];
        bench.decides(node, (0, 1), 25.0, if lies { 1e6 } else { 4.0 });
        assert_in_force(&bench, 1.5, if reports <= 2 { 0.0 } else { 4.0 });
    }
    assert_eq!(bench.published.len(), 1);
}

/// Whoever could report often would soon be taken at their last word.
#[test]
fn a_sender_counts_once_a_round() {
    let mut bench = bench(Vec::new(), 0, [4.0; 3]);
    let all = |bench: &mut Bench, round: (i64, u64), value: f64, sd: f64| {
        REPLICAS.iter().for_each(|node: &NodeId| bench.decides(*node, round, value, sd));
    };
    all(&mut bench, (0, 1), 25.0, 4.0);
    bench.now_ns = SECOND + SECOND / 4;
    all(&mut bench, (1, 2), 25.0, 16.0);
    // A thirty-second part of the way from 16 to 256.
    let spread_sd = (16.0_f64 + 240.0 / 32.0).sqrt();
    assert_in_force(&bench, 1.5, spread_sd);
    // Again, late, early, and something else about the same round.
    let more = [("repeated", 1, 25.0), ("late", 0, 25.0), ("early", 9, 25.0), ("equivocating", 1, 30.0)];
    for (nonce, (what, round, value)) in (3..).zip(more) {
        all(&mut bench, (round, nonce), value, 16.0);
        assert_eq!(count(&bench.client, &format!("records_{what}")), 4);
        assert_in_force(&bench, 1.5, spread_sd);
    }
    assert_eq!((count(&bench.client, "records_reported"), bench.published.len()), (8, 2));
}
