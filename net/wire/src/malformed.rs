//! What is wrong with the bytes of a frame.

use thiserror::Error;

/// Why bytes are not a frame of this version. Nothing here depends on the sender or on the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MalformedReason {
    /// Shorter than a header and a signature, or longer than a datagram.
    #[error("{found} bytes, expected {min} to {max} bytes", min = crate::HEADER_BYTES + crate::SIGNATURE_BYTES, max = crate::FRAME_BYTES_MAX)]
    FrameLength {
        /// Bytes found.
        found: usize,
    },
    /// The header's body length does not agree with the bytes that came.
    #[error("{found} bytes, expected {expected} bytes by the body length in the header")]
    LengthMismatch {
        /// Bytes found.
        found: usize,
        /// Header, body and signature by the header.
        expected: u64,
    },
    /// The first seven bytes are not `CENTAUR`.
    #[error("the frame does not begin with the letters CENTAUR")]
    Magic,
    /// Another version of the protocol.
    #[error("protocol version {found}, expected {}", crate::MAGIC[7])]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// No message has this type.
    #[error("message type {found}, expected 1 to 6")]
    Type {
        /// The type byte found.
        found: u8,
    },
    /// A field of the header or body that must be zero is not.
    #[error("{field} must be zero")]
    ReservedNotZero {
        /// The field.
        field: &'static str,
    },
    /// A code that names nothing.
    #[error("{field} is {found}, expected {expected}")]
    Code {
        /// The field.
        field: &'static str,
        /// What was found.
        found: u64,
        /// The codes there are.
        expected: &'static str,
    },
    /// A count or length outside its limits.
    #[error("{field} is {found}, expected {min} to {max}")]
    Count {
        /// The field.
        field: &'static str,
        /// What was found.
        found: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// The body ends before this field.
    #[error("the body ends before {field}")]
    BodyTooShort {
        /// The first field that is missing.
        field: &'static str,
    },
    /// Bytes follow the last field.
    #[error("{left} bytes follow the last field of the body")]
    BodyTooLong {
        /// How many.
        left: usize,
    },
    /// An infinity or NaN.
    #[error("{field} is not a finite number")]
    NotFinite {
        /// The field.
        field: &'static str,
    },
    /// Numbers that no message of its type has, such as a probability above 1.
    #[error("{field} is impossible")]
    Impossible {
        /// The field.
        field: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: &'static str,
    },
    /// Text with a control character.
    #[error("{field} holds a control character")]
    ControlCharacter {
        /// The field.
        field: &'static str,
    },
    /// Mixtures nested too deep.
    #[error("mixtures are nested deeper than {}", crate::MIXTURE_DEPTH_MAX)]
    MixtureDepth,
    /// Too many nodes in a distribution's tree.
    #[error("the distribution has more than {} nodes", crate::DISTRIBUTION_NODES_MAX)]
    DistributionNodes,
}
