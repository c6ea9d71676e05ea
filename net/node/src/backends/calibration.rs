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

fn standard_fleet() -> Fleet {
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
fn standard_batch(rounds: usize) -> Batch {
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
