//! Why a frame was not accepted.

use thiserror::Error;

use crate::{MalformedReason, MessageKind, NodeId, Role, SignatureShapeError};

/// Why a receiver did not accept a frame, in the order of the checks.
///
/// Only [`Rejected::Forged`] took curve arithmetic to find. None of them says anything about the node
/// whose number the frame carries: anybody can write a number into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The bytes are not a frame of this version.
    #[error("malformed frame: {0}")]
    Malformed(#[from] MalformedReason),
    /// The registry has no such node.
    #[error("sender {0} is not in the registry")]
    UnknownSender(NodeId),
    /// The sender's role may not send this kind of message.
    #[error("a {role} may not send {kind:?} messages")]
    WrongRole {
        /// The sender's role.
        role: Role,
        /// The message's kind.
        kind: MessageKind,
    },
    /// The frame is for another node: requests and answers name their receiver.
    #[error("the frame is for node {receiver}")]
    WrongReceiver {
        /// Whom it is for.
        receiver: NodeId,
    },
    /// The timestamp is too far in the past, or before the receiver's start.
    #[error("the frame's timestamp {timestamp_ns} ns is too old")]
    Stale {
        /// The frame's timestamp.
        timestamp_ns: i64,
    },
    /// The timestamp is too far in the future.
    #[error("the frame's timestamp {timestamp_ns} ns is in the future")]
    Future {
        /// The frame's timestamp.
        timestamp_ns: i64,
    },
    /// No record belongs to a stream that is tracked.
    #[error("no record is of a stream that is tracked for its sender")]
    UnknownStream,
    /// Every nonce (or the timestamp, where there is no nonce) was seen before, or is too old to tell.
    #[error("the message was accepted before, or is too old to tell")]
    Replayed,
    /// The signature's form is wrong.
    #[error("{0}")]
    SignatureShape(#[from] SignatureShapeError),
    /// The signature is not the sender's.
    #[error("the signature is not the sender's")]
    Forged,
}
