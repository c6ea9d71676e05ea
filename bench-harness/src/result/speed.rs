//! Records of speed.

use serde::{Deserialize, Serialize};

/// How fast a backend, or a rival, decides the rounds of a work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// What was decided.
    pub work: SpeedWork,
    /// Who decided.
    pub by: By,
    /// Rounds of a batch that were timed: fewer than the work's streams where a batch would take too long.
    pub rounds: usize,
    /// Times the batch was timed; what follows are medians.
    pub samples: usize,
    /// Decisions in a second of processor time.
    pub decisions_per_cpu_s: f64,
    /// Decisions in a second on the wall.
    pub decisions_per_wall_s: f64,
    /// Decisions in a second of the busiest thread's processor time.
    pub decisions_per_busiest_s: f64,
    /// Spread of the samples' processor time about their median: 1.4826 × the median distance, over the median.
    pub spread: f64,
    /// Decisions in a second of processor time over those of the scalar backend, measured in turns with it.
    pub against_scalar: Option<f64>,
    /// How the decisions compare with those of the scalar backend on the same rounds.
    pub agreement: Option<Agreement>,
    /// Where the rounds were settled, for a backend that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// Hash of values, quorums and states of the rounds compared.
    pub digest: String,
    /// Seed of the rounds.
    pub seed: u64,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeedWork {
    /// `A` to `D`, or what grows.
    pub name: String,
    /// Streams, each with one round in a batch.
    pub streams: usize,
    /// Replicas.
    pub n: usize,
    /// Faults.
    pub f: usize,
    /// Grid points.
    pub points: usize,
    /// How value and quorum are chosen.
    pub objective: String,
    /// Whether the region is part of the decision.
    pub region: bool,
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct By {
    /// `scalar`, `simd`, `gpu`, `auto`, or a rival's name.
    pub backend: String,
    /// Level of instructions, adapter, or version of a rival.
    pub level: Option<String>,
    /// Threads it may use.
    pub threads: usize,
}

/// Shares of rounds by the precision in which they were settled: what is too close to call goes to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// In float32.
    pub float32: f64,
    /// In float64 lanes.
    pub float64: f64,
    /// By the scalar code.
    pub scalar: f64,
}

/// Decisions against those of the scalar backend.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Rounds compared.
    pub rounds: usize,
    /// Rounds in which value, status or quorum differ.
    pub different: usize,
    /// Largest difference of a confidence or a P(honest).
    pub probability_error: f64,
}

/// How the time of a batch grows with one of its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Who decided.
    pub by: By,
    /// How value and quorum are chosen.
    pub objective: String,
    /// What grows: `streams`, `n`, `f`, `points` or `quorums`.
    pub against: String,
    /// What stays, in words.
    pub fixed: String,
    /// Pairs of the size and the microseconds of processor time: of a batch where streams grow, else of a decision.
    pub times_us: Vec<(f64, f64)>,
    /// The exponent p of time ∝ sizeᵖ, by least squares of the logarithms.
    pub exponent: f64,
    /// Its standard error.
    pub exponent_se: f64,
}

/// Instructions of a decision, counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instructions {
    /// What was decided.
    pub work: SpeedWork,
    /// Who decided.
    pub by: By,
    /// Rounds of a batch.
    pub rounds: usize,
    /// Instructions of a decision: the difference of two counts over that of their numbers of decisions, so that making the
    /// models and rounds is not in it.
    pub per_decision: f64,
    /// What counted.
    pub tool: String,
}
