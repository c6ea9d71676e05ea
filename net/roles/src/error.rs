//! What can be wrong with a role's configuration.

use centauri_wire::{NodeId, StreamId, TrackError};
use thiserror::Error;

/// A configuration that a role cannot run with.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number outside its range.
    #[error("{key}: found {found}, expected {expected}")]
    Number {
        /// The key of the configuration.
        key: &'static str,
        /// What was found.
        found: i128,
        /// The range.
        expected: &'static str,
    },
    /// A real number outside its range.
    #[error("{key}: found {found}, expected {expected}")]
    Real {
        /// The key of the configuration.
        key: &'static str,
        /// What was found.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// A node that the registry does not have.
    #[error("{key}: node {node} is not in the registry")]
    UnknownNode {
        /// The key of the configuration.
        key: &'static str,
        /// The node.
        node: NodeId,
    },
    /// A stream that the engine's fleet does not have.
    #[error("streams: found {name:?}, expected the name of a stream of the model")]
    UnknownStream {
        /// The name found.
        name: String,
    },
    /// A distribution that the engine's fleet does not have.
    #[error("spreads: found {name:?}, expected the name of a distribution of the model")]
    UnknownDistribution {
        /// The name found.
        name: String,
    },
    /// A replica set of another size than the model's.
    #[error("streams: {name:?} has {found} replicas, expected {expected} as in the model")]
    ReplicaSet {
        /// The stream's name.
        name: String,
        /// Replicas in the configuration.
        found: usize,
        /// Replicas in the model.
        expected: usize,
    },
    /// The same stream of the same node twice.
    #[error("streams: stream {stream} of node {node} is given twice")]
    Twice {
        /// The node that sends.
        node: NodeId,
        /// Its stream.
        stream: StreamId,
    },
    /// The same name, or the same stream, twice.
    #[error("{key}: {name:?} is given twice")]
    NameTwice {
        /// The key of the configuration.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// A name that no message can carry.
    #[error("{key}: found the name {name:?}, expected 1 to 64 bytes without control characters")]
    Name {
        /// The key of the configuration.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// A query that is none.
    #[error("found the query {found:?}, expected stream numbers (`*`, `1,4-9`; at most {limit} ranges), names (`road/*`) or a computation (`mean(road/*) over 60s`)", limit = crate::QUERY_RANGES_MAX)]
    Query {
        /// The text.
        found: String,
    },
    /// A family whose centre cannot be forced to 0.
    #[error("{name:?}: {family} has no centre, expected `centred` with normal, laplace or student_t only")]
    Centred {
        /// The distribution's name.
        name: String,
        /// Its family.
        family: &'static str,
    },
    /// A ledger of replicas that cannot be kept so.
    #[error("health: {0}")]
    Health(#[from] crate::health::HealthError),
    /// The verifier refuses to track a stream.
    #[error("streams: {0}")]
    Track(#[from] TrackError),
}

impl ConfigError {
    /// A query that is none, cut to what a line of a log has room for.
    pub(crate) fn query(text: &str) -> Self {
        Self::Query { found: text.chars().take(80).collect() }
    }
}

/// A fleet that cannot take the place of the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Another number of streams.
    #[error("the new fleet has {found} streams, expected {expected} as the one in force")]
    Streams {
        /// Streams of the new fleet.
        found: usize,
        /// Streams of the fleet in force.
        expected: usize,
    },
    /// Another stream, or another replica set, in the same place.
    #[error(
        "the new fleet has stream {found:?} where the one in force has {expected:?}, expected the same streams and replicas"
    )]
    Stream {
        /// The new fleet's stream.
        found: String,
        /// The stream in force.
        expected: String,
    },
}

/// Checks that a whole number lies in its range.
pub(crate) fn check_number(
    key: &'static str,
    found: impl Into<i128>,
    good: bool,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if good { Ok(()) } else { Err(ConfigError::Number { key, found: found.into(), expected }) }
}

/// Checks a name against what samples and distributions can carry.
pub(crate) fn check_name(key: &'static str, name: &str) -> Result<(), ConfigError> {
    let fits = (1..=centauri_wire::DISTRIBUTION_NAME_BYTES_MAX).contains(&name.len());
    if fits && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(ConfigError::Name { key, name: name.to_owned() })
    }
}
