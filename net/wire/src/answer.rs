//! Answers to requests: whether they are served, and why not.

use crate::bytes::{Reader, check_range, is_plain_text};
use crate::encode::{EncodeError, encode_frame};
use crate::header::FrameType;
use crate::{MalformedReason, NodeId, REASON_BYTES_MAX, SigningIdentity};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It is served, until it expires.
    Granted,
    /// It was cancelled.
    Cancelled,
    /// The query cannot be read.
    Query,
    /// It asks for streams or sources that the node does not have.
    Unknown,
    /// It asks for more streams, or holds more requests, than a client may.
    Quota,
    /// It asks for results more often than the node gives them.
    Rate,
    /// Serving it would close a circle of replicas that wait for each other.
    Cycle,
    /// The node serves as many requests as it can.
    Full,
}

impl Outcome {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Granted,
        Self::Cancelled,
        Self::Query,
        Self::Unknown,
        Self::Quota,
        Self::Rate,
        Self::Cycle,
        Self::Full,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Granted => 0,
            Self::Cancelled => 1,
            Self::Query => 2,
            Self::Unknown => 3,
            Self::Quota => 4,
            Self::Rate => 5,
            Self::Cycle => 6,
            Self::Full => 7,
        }
    }

    fn parse(code: u8) -> Result<Self, MalformedReason> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code).ok_or(MalformedReason::Code {
            field: "the outcome",
            found: u64::from(code),
            expected: "0 to 7",
        })
    }

    /// Whether nothing is served.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        !matches!(self, Self::Granted | Self::Cancelled)
    }
}

/// What a node says to a request.
///
/// ```
/// use centauri_wire::{Answer, FrameView, KeyFile, MessageView, NodeId, Outcome};
/// let answer = Answer { request_id: 9, outcome: Outcome::Rate, ttl_ns: 0, period_ns: 1_000_000_000, reason: "at most 1 a second" };
/// let mut bytes = Vec::new();
/// answer.encode(1_000, NodeId(5), &KeyFile::generate([1; 32]).identity(NodeId(2)), &mut bytes)?;
/// let view = FrameView::parse(&bytes)?;
/// assert_eq!(view.header().receiver, Some(NodeId(5)));
/// assert!(matches!(view.message(), MessageView::Answer(read) if *read == answer));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The client's number of the request.
    pub request_id: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it is served from now if it is not renewed, in nanoseconds; 0 if it is not served.
    pub ttl_ns: u64,
    /// The period at which results come, or the least that is allowed, in nanoseconds; 0 where that says nothing.
    pub period_ns: u64,
    /// Why, in words: at most 512 bytes without control characters, or nothing.
    pub reason: &'a str,
}

impl<'a> Answer<'a> {
    /// Writes the signed frame to `receiver` into `out`, whose content it replaces.
    ///
    /// # Errors
    /// A reason that is too long or holds control characters; `out` is empty then.
    pub fn encode(
        &self,
        timestamp_ns: i64,
        receiver: NodeId,
        identity: &SigningIdentity,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let kind = (FrameType::Answer, Some(receiver));
        encode_frame(out, kind, timestamp_ns, identity, |out| self.push_body(out))
    }

    fn push_body(&self, out: &mut Vec<u8>) -> Result<u16, EncodeError> {
        let found = self.reason.len();
        let too_long =
            EncodeError::TextTooLong { field: "the answer's reason", found, most: REASON_BYTES_MAX };
        if found > REASON_BYTES_MAX {
            return Err(too_long);
        }
        if !is_plain_text(self.reason) {
            return Err(EncodeError::ControlCharacter { field: "the answer's reason" });
        }
        for number in [self.request_id, self.ttl_ns, self.period_ns] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[self.outcome.code(), 0]);
        out.extend_from_slice(&u16::try_from(found).map_err(|_| too_long)?.to_le_bytes());
        out.extend_from_slice(self.reason.as_bytes());
        Ok(0)
    }

    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, MalformedReason> {
        let mut reader = Reader::new(body);
        let request_id = reader.u64("the request id")?;
        let ttl_ns = reader.u64("the ttl")?;
        let period_ns = reader.u64("the period")?;
        let outcome = Outcome::parse(reader.u8("the outcome")?)?;
        reader.reserved::<1>("the answer's reserved byte")?;
        let length = reader.u16("the reason's length")?;
        check_range("the reason's length", u64::from(length), &(0..=REASON_BYTES_MAX as u64))?;
        let reason = reader.text(usize::from(length), "the reason")?;
        reader.end()?;
        Ok(Self { request_id, outcome, ttl_ns, period_ns, reason })
    }
}
