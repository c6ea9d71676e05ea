//! Every bound of the engine in one place. A model beyond one of them is refused with an error that names it.

/// Most replicas of one replica set.
pub const REPLICAS_MAX: usize = 128;
/// Most points of a support.
pub const POINTS_MAX: usize = 4_096;
/// Most source messages of a window.
pub const MESSAGES_MAX: usize = 10_000;
/// Most source messages of a window of `count`, whose table takes a cubic number of steps to make.
pub const COUNT_MESSAGES_MAX: usize = 4_096;
/// A log-likelihood below this is −∞: the report is impossible under the model.
pub const LN_LIKELIHOOD_FLOOR: f64 = -1_000.0;
/// A normalised prior mass below this is 0.
pub const PRIOR_MASS_FLOOR: f64 = 1e-300;
/// Candidates whose criteria differ by at most this many natural-log units tie.
pub const TIE: f64 = 1e-6;
/// Replicas whose probability of being honest differs by at most this tie for a place in the quorum.
pub const HONEST_TIE: f64 = 1e-9;
/// Quorums are enumerated one by one up to this many; beyond, a decision has no region.
pub const QUORUMS_MAX: u64 = 200_000;
/// Largest magnitude of a quantised value's index; values farther out are clamped there.
pub const BIN_MAX: i64 = 1 << 40;
/// Default probability that a faulty replica stays silent.
pub const SILENCE_DEFAULT: f64 = 0.1;
/// Default level of the credible interval.
pub const CREDIBLE_DEFAULT: f64 = 0.95;
/// Default share of a following prior that is spread over the whole support.
pub const LEAK_DEFAULT: f64 = 1e-6;
/// Most cells a model's table of rows may hold; rows that would exceed it are computed when they are needed.
pub const TABLE_CELLS_MAX: usize = 1 << 20;
/// Most elementary steps that filling a table of rows in advance may take.
pub const TABLE_STEPS_MAX: usize = 1 << 23;
/// Nodes that a search over more than [`QUORUMS_MAX`] quorums may visit before it gives its best without proof.
pub const SEARCH_NODES_MAX: usize = 10_000;
