//! The 32 bytes that begin every frame.

use std::fmt;

use crate::bytes::Reader;
use crate::{FRAME_BYTES_MAX, HEADER_BYTES, MAGIC, MalformedReason, SIGNATURE_BYTES, StreamId};

/// A node's number in the registry: the paper's `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The type of a frame as the header's byte 8 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameType {
    Request,
    Stream,
    Sample,
    Distribution,
    Decision,
    Answer,
}

impl FrameType {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Stream => 2,
            Self::Sample => 3,
            Self::Distribution => 4,
            Self::Decision => 5,
            Self::Answer => 6,
        }
    }

    fn parse(code: u8) -> Result<Self, MalformedReason> {
        match code {
            1 => Ok(Self::Request),
            2 => Ok(Self::Stream),
            3 => Ok(Self::Sample),
            4 => Ok(Self::Distribution),
            5 => Ok(Self::Decision),
            6 => Ok(Self::Answer),
            found => Err(MalformedReason::Type { found }),
        }
    }

    /// Whether a frame of this type is for one receiver, whom it names.
    fn is_addressed(self) -> bool {
        matches!(self, Self::Request | Self::Answer)
    }
}

/// What a frame's header says, apart from lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Who claims to have signed the frame.
    pub sender: NodeId,
    /// For whom alone it is: requests and answers name their receiver, other messages are for everybody.
    pub receiver: Option<NodeId>,
    /// When it was signed: nanoseconds since the Unix epoch by the sender's clock.
    pub timestamp_ns: i64,
}

/// A header's fields with the body it announces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawFrame<'a> {
    pub(crate) header: Header,
    pub(crate) frame_type: FrameType,
    pub(crate) count: u16,
    pub(crate) body: &'a [u8],
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8; SIGNATURE_BYTES],
}

impl<'a> RawFrame<'a> {
    /// Splits a frame, checking lengths first, then magic and version, then the header's fields.
    pub(crate) fn split(frame: &'a [u8]) -> Result<Self, MalformedReason> {
        let wrong_length = MalformedReason::FrameLength { found: frame.len() };
        if frame.len() > FRAME_BYTES_MAX {
            return Err(wrong_length);
        }
        let (signed, signature) = frame.split_last_chunk::<SIGNATURE_BYTES>().ok_or(wrong_length)?;
        let (head, body) = signed.split_at_checked(HEADER_BYTES).ok_or(wrong_length)?;

        let mut reader = Reader::new(head);
        let magic: [u8; 8] = reader.array("magic")?;
        check_magic(magic)?;
        let type_code = reader.u8("type")?;
        let flags = reader.u8("flags")?;
        let count = reader.u16("count")?;
        let body_len = reader.u32("body length")?;
        let sender = NodeId(reader.u32("sender")?);
        let receiver = reader.u32("receiver")?;
        let timestamp_ns = reader.i64("timestamp")?;

        let expected = u64::from(body_len) + (HEADER_BYTES + SIGNATURE_BYTES) as u64;
        if expected != frame.len() as u64 {
            return Err(MalformedReason::LengthMismatch { found: frame.len(), expected });
        }
        if flags != 0 {
            return Err(MalformedReason::ReservedNotZero { field: "flags" });
        }
        let frame_type = FrameType::parse(type_code)?;
        if !frame_type.is_addressed() && receiver != 0 {
            return Err(MalformedReason::ReservedNotZero {
                field: "the receiver of a message for everybody",
            });
        }
        let receiver = frame_type.is_addressed().then_some(NodeId(receiver));
        let header = Header { sender, receiver, timestamp_ns };
        Ok(Self { header, frame_type, count, body, signed, signature })
    }
}

/// The sender by the header's field, of bytes that need not be a frame: whom to blame for them is not known yet. Four bytes from
/// the 16th, little-endian; `None` where there are fewer.
///
/// ```
/// let bytes = *b"sixteen bytes...\x07\x01\0\0 and what follows";
/// assert_eq!(centauri_wire::claimed_sender(&bytes), Some(centauri_wire::NodeId(0x0107)));
/// assert_eq!(centauri_wire::claimed_sender(&bytes[..19]), None);
/// ```
#[must_use]
pub fn claimed_sender(bytes: &[u8]) -> Option<NodeId> {
    let field = bytes.get(16..)?.first_chunk()?;
    Some(NodeId(u32::from_le_bytes(*field)))
}

/// The sender and the first record's stream by where they stand in a stream frame, of bytes that need not be one.
pub(crate) fn claimed_sender_and_stream(bytes: &[u8]) -> Option<(NodeId, StreamId)> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|field| u32::from_le_bytes(*field));
    Some((NodeId(number(16)?), StreamId(number(HEADER_BYTES)?)))
}

fn check_magic(found: [u8; 8]) -> Result<(), MalformedReason> {
    let [letters @ .., version] = found;
    let [expected_letters @ .., expected_version] = MAGIC;
    if letters != expected_letters {
        return Err(MalformedReason::Magic);
    }
    if version != expected_version {
        return Err(MalformedReason::Version { found: version });
    }
    Ok(())
}

/// Appends a header whose count and body length are filled in when the frame is finished.
pub(crate) fn push_header(out: &mut Vec<u8>, (type_code, receiver): (u8, Option<NodeId>), timestamp_ns: i64) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[type_code, 0, 0, 0]);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&receiver.map_or(0, |receiver| receiver.0).to_le_bytes());
    out.extend_from_slice(&timestamp_ns.to_le_bytes());
}

/// Fills in what is known only when the body is complete.
pub(crate) fn patch_header(frame: &mut [u8], count: u16, sender: NodeId) {
    let body_len = u32::try_from(frame.len().saturating_sub(HEADER_BYTES)).unwrap_or(u32::MAX);
    if let Some(field) = frame.get_mut(10..12) {
        field.copy_from_slice(&count.to_le_bytes());
    }
    if let Some(field) = frame.get_mut(12..16) {
        field.copy_from_slice(&body_len.to_le_bytes());
    }
    if let Some(field) = frame.get_mut(16..20) {
        field.copy_from_slice(&sender.0.to_le_bytes());
    }
}
