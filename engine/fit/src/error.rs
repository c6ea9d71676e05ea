//! Why a sample cannot be fitted.

use crate::family::FamilyName;
use centauri_engine::DistributionError;

/// A sample that says too little, or contradicts the family that was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Fewer samples than any fit needs.
    #[error("found {found} samples, expected at least {expected}")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// A sample that is NaN or infinite.
    #[error("sample {index}: found {value}, expected a finite number")]
    NotFinite {
        /// Its position, counted from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A contamination outside `[0, 0.5)`.
    #[error("contamination: found {0}, expected a fraction from 0 to below 0.5")]
    Contamination(f64),
    /// More samples than the contamination explains are impossible under the family.
    #[error(
        "{family}: found {found} samples of {of} that it cannot give, expected at most {limit} ({expected})"
    )]
    Outside {
        /// The family.
        family: FamilyName,
        /// How many samples it cannot give.
        found: usize,
        /// How many samples there are.
        of: usize,
        /// How many the contamination explains.
        limit: usize,
        /// What the family gives.
        expected: &'static str,
    },
    /// So many samples are the same that nothing can be said of their spread.
    #[error("found {count} of {of} samples equal to {value}, expected samples that differ")]
    Degenerate {
        /// The value that prevails.
        value: f64,
        /// How many samples have it.
        count: usize,
        /// How many samples there are.
        of: usize,
    },
    /// No parameters of the family come near the sample.
    #[error("{0}: found no parameters that fit the sample")]
    NoFit(FamilyName),
    /// The fitted parameters are not a distribution of the engine.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
}
