//! A frame of any type, parsed in place.

use crate::header::{FrameType, RawFrame};
use crate::{
    Answer, DecisionRecords, DistributionView, Header, MalformedReason, MessageKind, Records, Request,
    SIGNATURE_BYTES, SampleKind, SampleView, SignedMessage,
};

/// What a frame says.
#[derive(Debug, Clone, Copy)]
pub enum MessageView<'a> {
    /// Start or cancel a computation.
    Request(Request<'a>),
    /// Elements of streams.
    Stream(Records<'a>),
    /// Data for the monitor.
    Sample(SampleView<'a>),
    /// A distribution of the monitor.
    Distribution(DistributionView<'a>),
    /// Decisions on rounds.
    Decision(DecisionRecords<'a>),
    /// What became of a request.
    Answer(Answer<'a>),
}

impl MessageView<'_> {
    /// The kind by which the roles' rights are told.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Request(_) => MessageKind::Request,
            Self::Stream(_) => MessageKind::Stream,
            Self::Sample(SampleView { kind: SampleKind::Output, .. }) => MessageKind::SampleOutput,
            Self::Sample(SampleView { kind: SampleKind::Latency, .. }) => MessageKind::SampleLatency,
            Self::Distribution(_) => MessageKind::Distribution,
            Self::Decision(_) => MessageKind::Decision,
            Self::Answer(_) => MessageKind::Answer,
        }
    }
}

/// A frame whose form is right: every length, count, code and number has been checked.
///
/// Nothing is known of who sent it: its signature has not been looked at. Use [`crate::Verifier`] for that.
#[derive(Debug, Clone, Copy)]
pub struct FrameView<'a> {
    bytes: &'a [u8],
    header: Header,
    message: MessageView<'a>,
    signed: &'a [u8],
    signature: &'a [u8; SIGNATURE_BYTES],
}

impl<'a> FrameView<'a> {
    /// Parses exactly one frame, without allocating.
    ///
    /// # Errors
    /// The first thing found wrong: lengths, then magic and version, then the header, then the body.
    pub fn parse(frame: &'a [u8]) -> Result<Self, MalformedReason> {
        let RawFrame { header, frame_type, count, body, signed, signature } = RawFrame::split(frame)?;
        let counted = matches!(frame_type, FrameType::Stream | FrameType::Sample | FrameType::Decision);
        if !counted && count != 0 {
            return Err(MalformedReason::ReservedNotZero { field: "the header's count" });
        }
        let message = match frame_type {
            FrameType::Request => MessageView::Request(Request::parse(body)?),
            FrameType::Stream => MessageView::Stream(Records::parse(count, body)?),
            FrameType::Sample => MessageView::Sample(SampleView::parse(count, body)?),
            FrameType::Distribution => MessageView::Distribution(DistributionView::parse(body)?),
            FrameType::Decision => MessageView::Decision(DecisionRecords::parse(count, body)?),
            FrameType::Answer => MessageView::Answer(Answer::parse(body)?),
        };
        Ok(Self { bytes: frame, header, message, signed, signature })
    }

    /// The whole frame as it came.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The claimed sender and the timestamp.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// What the frame says.
    #[must_use]
    pub fn message(&self) -> &MessageView<'a> {
        &self.message
    }

    /// The signature's 64 bytes.
    #[must_use]
    pub fn signature(&self) -> &'a [u8; SIGNATURE_BYTES] {
        self.signature
    }

    /// The message that the signature signs. Hashes a long frame, so ask for it once.
    #[must_use]
    pub fn signed_message(&self) -> SignedMessage<'a> {
        SignedMessage::of_frame(self.signed)
    }
}
