//! How much a replica tells the monitor, of how much traffic.

mod common;

use std::collections::BTreeMap;

use centauri_engine::Computation;
use centauri_roles::*;
use centauri_wire::{FrameView, Limits, MessageView, Record, StreamId};
use common::*;

const SECOND: i64 = 1_000 * MS;
const SECONDS: i64 = 60;

/// What was sampled of a minute's readings.
#[derive(Debug, PartialEq)]
struct Sampled {
    seen: u64,
    frames: usize,
    /// Values by distribution.
    values: BTreeMap<String, Vec<f64>>,
    dropped: u64,
}

impl Sampled {
    fn total(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }
}

/// A replica with two sources of `rate` readings a second each, in frames of a second at most, and of up to 30; a reading's value is its number.
fn sampled(rate: i64, policy: SamplePolicy) -> Sampled {
    let stream = ReplicaStream {
        stream: StreamId(1),
        sources: SOURCES[..2].iter().map(|node| SourceStream { node: *node, stream: StreamId(5) }).collect(),
        windows: Windows::new(0, SECOND).unwrap(),
        deadline_ns: SECOND + SECOND / 2,
        computation: Computation::Mean,
        readings_per_source_max: 10_000,
        latency: Some("uplink".into()),
        residuals: Some("reading".into()),
        steps: None,
    };
    let limits = Limits { past_ns: u64::MAX, future_ns: u64::MAX, ..Limits::default() };
    let config =
        ReplicaConfig { streams: vec![stream], samples: Some(policy), limits, ..ReplicaConfig::default() };
    let mut replica = Replica::new(&config, registry(), identity(REPLICAS[0]), 0).unwrap();
    let mut effects = Effects::new();
    let readings: Vec<i64> = (0..rate * SECONDS).collect();
    for readings in readings.chunks(usize::try_from(rate).unwrap().min(30)) {
        let at = readings[readings.len() - 1] * SECOND / rate;
        run_until(&mut replica, at, &mut effects);
        for node in &SOURCES[..2] {
            let record = |round: &i64| Record {
                stream: StreamId(5),
                age_us: u32::try_from((at - round * SECOND / rate) / 1_000).unwrap(),
                nonce: *round as u64 + 1,
                round: *round,
                value: *round as f64,
                readings: 1,
            };
            let records: Vec<Record> = readings.iter().map(record).collect();
            replica.handle(at, address(*node), &frame(*node, at, &records), &mut effects);
        }
    }
    run_until(&mut replica, (SECONDS + 3) * SECOND, &mut effects);
    let mut found = Sampled {
        seen: count(&replica, "sample_values_seen"),
        frames: 0,
        values: BTreeMap::new(),
        dropped: count(&replica, "sample_values_dropped"),
    };
    for (_, bytes) in effects.sends() {
        if let MessageView::Sample(sample) = FrameView::parse(bytes).unwrap().message() {
            found.frames += 1;
            found.values.entry(sample.distribution.to_owned()).or_default().extend(sample.values.iter());
        }
    }
    assert_eq!(found.total() as u64, count(&replica, "sample_values_sent"));
    found
}

#[test]
fn with_ten_times_the_traffic_samples_stay_within_their_share() {
    let policy = SamplePolicy { seed: 99, ..SamplePolicy::new(address(MONITOR)) };
    for rate in [100, 1_000] {
        let found = sampled(rate, policy);
        println!("{rate} readings a second of each source: {} of {} values", found.total(), found.seen);
        assert_eq!(found.seen, 4 * (rate * SECONDS) as u64, "a latency and a residual of each reading");
        // 1 %, four a second for each of two distributions, and ten seconds of that at the start.
        let most = found.seen / 100 + 2 * 4 * (SECONDS as u64 + 3 + 10);
        let least = found.seen / 100;
        assert!((least..=most).contains(&(found.total() as u64)), "{} {least} {most}", found.total());
        assert_eq!(found.dropped, 0);
    }
}

#[test]
fn a_small_stream_is_sampled_whole() {
    // Two latencies a second, and two residuals.
    let found = sampled(1, SamplePolicy::new(address(MONITOR)));
    assert_eq!(found.total() as u64, found.seen);
    assert!(found.seen > 200);
}

#[test]
fn frames_are_bounded_whatever_the_share() {
    let policy = SamplePolicy {
        values_max: 8,
        share_ppm: 1_000_000,
        frames_per_s_max: 5,
        ..SamplePolicy::new(address(MONITOR))
    };
    let found = sampled(500, policy);
    println!("{} frames in {SECONDS} s, {} values dropped", found.frames, found.dropped);
    assert!(found.frames as i64 <= 5 * (SECONDS + 3) + 8);
    assert!(found.frames as i64 >= 5 * (SECONDS - 3));
    let waiting = found.seen - found.dropped - found.total() as u64;
    assert!(waiting <= 16, "each value is sent, dropped or waits in one of two buffers: {waiting}");
}

#[test]
fn what_is_sampled_is_set_by_the_seed_and_alike_over_all_values() {
    let of = |seed| sampled(1_000, SamplePolicy { seed, ..SamplePolicy::new(address(MONITOR)) });
    let (one, again, other) = (of(1), of(1), of(2));
    assert_eq!(one, again);
    assert!(one != other);
    // The residuals of a second's readings, which are numbered: evenly spread, with a mean of 0 and the variance of all.
    let residuals = &one.values["reading"];
    let n = residuals.len() as f64;
    let mean = residuals.iter().sum::<f64>() / n;
    let variance = residuals.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    let (sd, expected) = (variance.sqrt(), 1_000.0 / 12.0_f64.sqrt());
    assert!(mean.abs() < 4.0 * expected / n.sqrt(), "{mean} of {n}");
    assert!((sd / expected - 1.0).abs() < 0.1, "{sd} {expected}");
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let good = SamplePolicy::new(address(MONITOR));
    for policy in [
        SamplePolicy { values_max: 0, ..good },
        SamplePolicy { values_max: 513, ..good },
        SamplePolicy { every_ns: 0, ..good },
        SamplePolicy { share_ppm: 1_000_001, ..good },
        SamplePolicy { frames_per_s_max: 0, ..good },
    ] {
        let config = ReplicaConfig { samples: Some(policy), ..ReplicaConfig::default() };
        assert!(Replica::new(&config, registry(), identity(REPLICAS[0]), 0).is_err(), "{policy:?}");
    }
}
