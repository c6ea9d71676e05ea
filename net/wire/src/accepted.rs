//! A frame on its way through the checks: past the cheap ones, and past all of them.

use crate::{
    DecisionRecord, FrameView, Header, MessageView, RECORDS_MAX, Record, SIGNATURE_BYTES,
    SignatureShapeError, SignedMessage,
};

/// What a verifier of signatures says of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It is the sender's.
    Good,
    /// It is not.
    Forged,
}

impl SignatureVerdict {
    pub(crate) fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Forged }
    }
}

/// A frame that passed every check but those of the signature.
///
/// Nothing has been remembered of it yet. Give [`crate::Verifier::commit`] the verdict on its signature, from
/// [`crate::Verifier::verify`], from a [`crate::BatchVerifier`] or from any other implementation of the same rule.
#[must_use = "a pending frame is neither accepted nor rejected until it is committed"]
#[derive(Debug, Clone, Copy)]
pub struct Pending<'a> {
    pub(crate) frame: FrameView<'a>,
    pub(crate) node_index: usize,
    pub(crate) shape: Result<(), SignatureShapeError>,
}

impl<'a> Pending<'a> {
    /// The frame.
    #[must_use]
    pub fn frame(&self) -> &FrameView<'a> {
        &self.frame
    }

    /// The claimed sender's place in [`crate::Registry::nodes`], by which tables made per key can be found.
    #[must_use]
    pub fn node_index(&self) -> usize {
        self.node_index
    }

    /// What comparing bytes says of the signature. If that is an error no verifier needs to look at it: whatever the
    /// verdict, [`crate::Verifier::commit`] rejects the frame.
    ///
    /// # Errors
    /// Which half of the signature is wrong.
    pub fn shape(&self) -> Result<(), SignatureShapeError> {
        self.shape
    }

    /// The signature's 64 bytes.
    #[must_use]
    pub fn signature(&self) -> &'a [u8; SIGNATURE_BYTES] {
        self.frame.signature()
    }

    /// The message signed. Hashes a long frame, so ask for it once.
    #[must_use]
    pub fn signed_message(&self) -> SignedMessage<'a> {
        self.frame.signed_message()
    }
}

const MASK_WORDS: usize = RECORDS_MAX.div_ceil(64);

/// One bit for each record of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordMask([u64; MASK_WORDS]);

impl RecordMask {
    pub(crate) fn none() -> Self {
        Self([0; MASK_WORDS])
    }

    pub(crate) fn set(&mut self, record: usize) {
        if let Some(word) = self.0.get_mut(record / 64) {
            *word |= 1 << (record % 64);
        }
    }

    fn has(&self, record: usize) -> bool {
        self.0.get(record / 64).is_some_and(|word| word >> (record % 64) & 1 == 1)
    }
}

/// A frame that its sender signed and that was not accepted before.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    pub(crate) frame: FrameView<'a>,
    pub(crate) node_index: usize,
    pub(crate) fresh: RecordMask,
}

impl<'a> Accepted<'a> {
    /// The sender and the timestamp.
    #[must_use]
    pub fn header(&self) -> Header {
        self.frame.header()
    }

    /// The sender's place in [`crate::Registry::nodes`].
    #[must_use]
    pub fn node_index(&self) -> usize {
        self.node_index
    }

    /// What the frame says. Of a stream frame's records some may be replays: see [`Accepted::records`].
    #[must_use]
    pub fn message(&self) -> &MessageView<'a> {
        self.frame.message()
    }

    /// The frame, for a journal that keeps evidence.
    #[must_use]
    pub fn frame(&self) -> &FrameView<'a> {
        &self.frame
    }

    /// The records accepted, in the order they were sent: of tracked streams, with fresh nonces.
    ///
    /// None for messages other than stream frames; at least one for those.
    pub fn records(&self) -> impl Iterator<Item = Record> + Clone + use<'a> {
        let records = match self.frame.message() {
            MessageView::Stream(records) => Some(records.iter()),
            _ => None,
        };
        fresh(self.fresh, records.into_iter().flatten())
    }

    /// The decisions accepted, in the order they were sent: of tracked streams, with fresh nonces.
    ///
    /// None for messages other than decision frames; at least one for those.
    pub fn decisions(&self) -> impl Iterator<Item = DecisionRecord> + Clone + use<'a> {
        let decisions = match self.frame.message() {
            MessageView::Decision(decisions) => Some(decisions.iter()),
            _ => None,
        };
        fresh(self.fresh, decisions.into_iter().flatten())
    }
}

fn fresh<I: Iterator + Clone>(mask: RecordMask, all: I) -> impl Iterator<Item = I::Item> + Clone + use<I> {
    all.enumerate().filter(move |(at, _)| mask.has(*at)).map(|(_, record)| record)
}
