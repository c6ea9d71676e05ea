//! Writing frames into a caller's buffer.

use thiserror::Error;

use crate::header::{FrameType, patch_header, push_header};
use crate::{FRAME_BYTES_MAX, NodeId, SIGNATURE_BYTES, SigningIdentity};

/// Why a message cannot be put into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame holds as many records as its limit allows; finish it and begin another.
    #[error("the frame is full at {records} records")]
    Full {
        /// Records in the frame.
        records: usize,
    },
    /// A stream frame without a record.
    #[error("the frame holds no record, expected at least one")]
    Empty,
    /// An infinity or NaN.
    #[error("{field} is not a finite number")]
    NotFinite {
        /// The field.
        field: &'static str,
    },
    /// Numbers that no decision has: a confidence outside 0 to 1, a negative sd, an interval the wrong way round, a quorum of
    /// replicas that there are not, or none for what is decided.
    #[error("the numbers of a decision contradict each other")]
    Decision,
    /// Text with a control character.
    #[error("{field} holds a control character")]
    ControlCharacter {
        /// The field.
        field: &'static str,
    },
    /// A text that is too long.
    #[error("{field} has {found} bytes, expected at most {most}")]
    TextTooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The most bytes.
        most: usize,
    },
    /// A query that is empty or too long.
    #[error("the query has {found} bytes, expected 1 to {}", crate::QUERY_BYTES_MAX)]
    Query {
        /// Its length in bytes.
        found: usize,
    },
    /// A duration of 0 or too long for a signed 64-bit number of nanoseconds.
    #[error("{field} is {found} ns, expected 1 to {}", i64::MAX)]
    Duration {
        /// The field.
        field: &'static str,
        /// What was given.
        found: u64,
    },
    /// A name that is empty or too long.
    #[error(
        "the distribution's name has {found} bytes, expected 1 to {}",
        crate::DISTRIBUTION_NAME_BYTES_MAX
    )]
    DistributionName {
        /// Its length in bytes.
        found: usize,
    },
    /// A sample without values or with too many.
    #[error("the sample has {found} values, expected 1 to {}", crate::SAMPLE_VALUES_MAX)]
    SampleValues {
        /// How many.
        found: usize,
    },
    /// An empirical distribution whose edges and counts do not fit each other or the limit.
    #[error(
        "an empirical distribution has {edges} edges and {counts} counts, expected 1 to {} counts and one edge more",
        crate::EMPIRICAL_BINS_MAX
    )]
    EmpiricalBins {
        /// Edges given.
        edges: usize,
        /// Counts given.
        counts: usize,
    },
    /// A mixture without components or with too many nodes in all.
    #[error(
        "the distribution needs {found} nodes, expected at most {} and at least one in each mixture",
        crate::DISTRIBUTION_NODES_MAX
    )]
    DistributionNodes {
        /// Nodes found before giving up.
        found: usize,
    },
    /// Mixtures nested too deep.
    #[error("mixtures are nested deeper than {}", crate::MIXTURE_DEPTH_MAX)]
    MixtureDepth,
    /// Each part keeps its limits, but together they are longer than a datagram.
    #[error("the frame would have {found} bytes, expected at most {}", crate::FRAME_BYTES_MAX)]
    FrameTooLong {
        /// Its length in bytes.
        found: usize,
    },
}

/// Writes a frame whose body `push_body` appends, returning the header's count. `receiver` is told by requests and answers
/// only.
pub(crate) fn encode_frame(
    out: &mut Vec<u8>,
    (frame_type, receiver): (FrameType, Option<NodeId>),
    timestamp_ns: i64,
    identity: &SigningIdentity,
    push_body: impl FnOnce(&mut Vec<u8>) -> Result<u16, EncodeError>,
) -> Result<(), EncodeError> {
    out.clear();
    push_header(out, (frame_type.code(), receiver), timestamp_ns);
    let finished = push_body(out).and_then(|count| seal(out, count, identity));
    if finished.is_err() {
        // Half a frame must not be sent by mistake.
        out.clear();
    }
    finished
}

/// Fills in the header of a frame whose body is complete and signs it.
pub(crate) fn seal(out: &mut Vec<u8>, count: u16, identity: &SigningIdentity) -> Result<(), EncodeError> {
    let found = out.len() + SIGNATURE_BYTES;
    if found > FRAME_BYTES_MAX {
        return Err(EncodeError::FrameTooLong { found });
    }
    patch_header(out, count, identity.id());
    let signature = identity.sign(out);
    out.extend_from_slice(&signature);
    Ok(())
}
