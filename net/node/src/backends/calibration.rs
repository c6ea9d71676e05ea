//! From which size of batch on a GPU wins, by measurement.

use crate::clock::Stopwatch;
use centauri_engine::{
    Backend, BackendError, Batch, Decisions, Distribution, Entry, Fleet, Link, ModelId, ModelSet, Objective,
    Observation, OutputSpec, PriorSpec, StreamSpec, Support,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sizes of batches that are tried, in rounds.
const SIZES: [usize; 8] = [256, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];
/// A GPU is not worth a thought for batches of fewer rounds.
pub const LEAST_ROUNDS: usize = SIZES[0];
/// How long measuring may take: no further size is begun after that.
const TIME_MAX: Duration = Duration::from_millis(800);
/// Times each backend decides a batch; the least time counts, for what disturbs only adds.
const REPEATS: usize = 3;

/// What a calibration holds for. Another device, driver, version or processor is measured anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrationKey {
    /// The adapter's name.
    pub device: String,
    /// Its driver with its version.
    pub driver: String,
    /// Version of this program.
    pub version: String,
    /// Level of instructions of the other side.
    pub simd: String,
    /// Threads of the other side.
    pub threads: usize,
}

/// How long both took for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Rounds of the batch.
    pub rounds: usize,
    /// Seconds of SIMD.
    pub simd_s: f64,
    /// Seconds of the GPU.
    pub gpu_s: f64,
}

/// What was measured of a GPU, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What it holds for.
    pub key: CalibrationKey,
    /// Batches of at least so many rounds are faster on the GPU; `None`: none of those tried.
    pub from_rounds: Option<usize>,
    /// What was measured, from small to large.
    pub timings: Vec<Timing>,
}

impl Calibration {
    /// What follows from timings in ascending order of their sizes: the least size from which on the GPU always won.
    #[must_use]
    pub fn new(key: CalibrationKey, timings: Vec<Timing>) -> Self {
        let wins = timings.iter().rev().take_while(|timing| timing.gpu_s < timing.simd_s);
        let from_rounds = wins.last().map(|timing| timing.rounds);
        Self { key, from_rounds, timings }
    }

    /// Whether the numbers can be what was measured once: a file is anybody's.
    pub(super) fn is_sound(&self) -> bool {
        let seconds = |s: f64| s.is_finite() && s >= 0.0;
        let sound = |t: &Timing| t.rounds > 0 && seconds(t.simd_s) && seconds(t.gpu_s);
        self.timings.len() <= SIZES.len()
            && self.timings.iter().all(sound)
            && self.timings.windows(2).all(|pair| pair[0].rounds < pair[1].rounds)
            && *self == Self::new(self.key.clone(), self.timings.clone())
    }
}

/// Measures SIMD and a GPU, in this order, on batches of growing size, half of them decided by `evidence` and half by `marginal` (7 replicas,
/// 2 faults, 64 points), for about a second; what a backend does at its first batch alone (compiling, uploading) is
/// not counted.
///
/// # Errors
/// What a backend says.
pub fn calibrate(
    key: CalibrationKey,
    [mut simd, mut gpu]: [Box<dyn Backend>; 2],
) -> Result<Calibration, BackendError> {
    let (fleet, decisions) = (standard_fleet(), &mut Decisions::new());
    let mut timings = Vec::new();
    for backend in [&mut simd, &mut gpu] {
        backend.evaluate(&fleet, &standard_batch(SIZES[0]), decisions)?;
    }
    let whole = Stopwatch::start();
    for rounds in SIZES {
        if whole.elapsed() > TIME_MAX {
            break;
        }
        let batch = standard_batch(rounds);
        let mut best = [f64::INFINITY; 2];
        for _ in 0..REPEATS {
            for (backend, best) in [&mut simd, &mut gpu].into_iter().zip(&mut best) {
                let watch = Stopwatch::start();
                backend.evaluate(&fleet, &batch, decisions)?;
                *best = best.min(watch.elapsed().as_secs_f64());
            }
            if whole.elapsed() > TIME_MAX {
                break;
            }
        }
        timings.push(Timing { rounds, simd_s: best[0], gpu_s: best[1] });
    }
    Ok(Calibration::new(key, timings))
}

/// Replicas, faults and points of what is measured.
const N: usize = 7;
const F: usize = 2;
const POINTS: usize = 64;

pub(super) fn standard_fleet() -> Fleet {
    let stream = |objective: Objective, sd: f64| {
        StreamSpec::builder(objective.name(), (0..N).map(|i| format!("r{i}")))
            .faults(F)
            .objective(objective)
            .support(Support::new(0.0, 1.0, POINTS).expect("a legal support"))
            .prior(PriorSpec::Uniform)
            .output(OutputSpec::identity(Distribution::normal(0.0, sd).expect("a legal noise")))
            .link(Link::OnTime(0.95))
            .build()
    };
    let streams = vec![stream(Objective::Evidence, 4.0), stream(Objective::Marginal, 3.0)];
    Fleet::compile(&ModelSet { streams, ..ModelSet::default() }).expect("a legal model")
}

/// Rounds that differ, some with a value far off and some with one missing.
pub(super) fn standard_batch(rounds: usize) -> Batch {
    let mut batch = Batch::new();
    let mut observations = [Observation::Missing; N];
    for round in 0..rounds {
        let mut state = (round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (i, observation) in observations.iter_mut().enumerate() {
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ i as u64;
            let noise = (state >> 60) as i64 - 8;
            let centre = 16 + (round % 32) as i64;
            *observation = match state >> 32 & 31 {
                0 => Observation::Missing,
                1..=3 => Observation::Bin((state >> 40 & 63) as i64),
                _ => Observation::Bin(centre + noise),
            };
        }
        batch.push(Entry {
            model: ModelId((round % 2) as u32),
            objective: None,
            wants_marginal: false,
            wants_region: false,
            observations: &observations,
            ln_prior: None,
        });
    }
    batch
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use centauri_engine::ScalarBackend;

    pub(in super::super) fn key(device: &str) -> CalibrationKey {
        CalibrationKey {
            device: device.to_owned(),
            driver: "driver 1.2".to_owned(),
            version: "0.1.0".to_owned(),
            simd: "avx2".to_owned(),
            threads: 2,
        }
    }

    pub(in super::super) fn timings(gpu_s: &[f64]) -> Vec<Timing> {
        let timing = |(i, &gpu_s): (usize, &f64)| Timing { rounds: 256 << i, simd_s: 1.0, gpu_s };
        gpu_s.iter().enumerate().map(timing).collect()
    }

    #[test]
    fn the_gpu_wins_from_the_size_on_from_which_it_always_did() {
        for (gpu_s, expected) in [
            (&[2.0, 0.9, 0.5][..], Some(512)),
            (&[0.9, 1.1, 0.9], Some(1_024)),
            (&[0.5, 0.5, 0.5], Some(256)),
            (&[0.5, 0.5, 1.0], None),
            (&[9.0, 8.0, 7.0], None),
            (&[], None),
        ] {
            let calibration = Calibration::new(key("card"), timings(gpu_s));
            assert_eq!(calibration.from_rounds, expected, "{gpu_s:?}");
            assert!(calibration.is_sound());
        }
    }

    #[test]
    fn what_cannot_have_been_measured_is_not_believed() {
        let good = Calibration::new(key("card"), timings(&[2.0, 0.9]));
        let bad = |change: fn(&mut Calibration)| {
            let mut calibration = good.clone();
            change(&mut calibration);
            calibration
        };
        assert!(!bad(|c| c.from_rounds = Some(1)).is_sound(), "does not follow from the timings");
        assert!(!bad(|c| c.timings[1].rounds = 256).is_sound(), "not in order");
        assert!(!bad(|c| c.timings[0].gpu_s = f64::NAN).is_sound());
        assert!(!bad(|c| c.timings[0].simd_s = -1.0).is_sound());
        assert!(!bad(|c| c.timings = timings(&[1.0; 9])).is_sound(), "more than are ever measured");
    }

    #[test]
    fn measuring_takes_about_a_second_and_both_sides_are_measured() {
        let watch = Stopwatch::start();
        let pair: [Box<dyn Backend>; 2] = [Box::new(ScalarBackend::new()), Box::new(ScalarBackend::new())];
        let calibration = calibrate(key("none"), pair).unwrap();
        // The scalar backend takes some 50 ms for 1,024 rounds: the bound ends it within a few sizes.
        assert!(watch.elapsed() < Duration::from_secs(60), "{:?}", watch.elapsed());
        assert!(!calibration.timings.is_empty() && calibration.timings.len() < SIZES.len());
        assert!(calibration.timings.iter().all(|t| t.simd_s > 0.0 && t.gpu_s > 0.0));
        assert!(calibration.is_sound());
    }

    #[test]
    fn rounds_differ_and_are_decided() {
        let (fleet, mut decisions) = (standard_fleet(), Decisions::new());
        ScalarBackend::new().evaluate(&fleet, &standard_batch(64), &mut decisions).unwrap();
        let values: std::collections::BTreeSet<usize> =
            (0..64).map(|i| decisions.decision(i).point).collect();
        assert!(values.len() > 16, "{values:?}");
        assert!((0..64).all(|i| decisions.honest(i).is_some()));
    }
}
