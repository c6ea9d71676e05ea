//! What can be wrong with a ledger's policy, its streams and its snapshots.

use thiserror::Error;

/// A ledger that cannot be made.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum HealthError {
    /// A number of the policy outside its range.
    #[error("health.{key}: found {found}, expected {expected}")]
    Policy {
        /// The key.
        key: &'static str,
        /// What was found.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// A stream whose numbers are those of no model.
    #[error("stream {stream}: found {found} {what}, expected {expected}")]
    Shape {
        /// The stream's index.
        stream: usize,
        /// What is wrong.
        what: &'static str,
        /// What was found.
        found: usize,
        /// The range.
        expected: &'static str,
    },
}

/// A snapshot that cannot be restored. The ledger is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not as many bytes as a snapshot of the ledger has.
    #[error("health: found {found} bytes, expected {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many are expected.
        expected: usize,
    },
    /// Not a snapshot, or one of another version.
    #[error(
        "health: found another beginning than that of a snapshot of version {}",
        super::snapshot::VERSION
    )]
    Header,
    /// A snapshot of other streams.
    #[error("health: found a snapshot of other streams or replica sets")]
    Streams,
    /// A statistic or state that cannot be.
    #[error("health: found an impossible statistic in entry {entry}")]
    Entry {
        /// The entry's index.
        entry: usize,
    },
}
