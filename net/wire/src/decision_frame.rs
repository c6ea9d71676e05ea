//! Building a decision frame, record by record.

use crate::encode::{EncodeError, seal};
use crate::header::{FrameType, push_header};
use crate::{
    DECISION_BYTES, DecisionRecord, FRAME_BYTES_MAX, HEADER_BYTES, SIGNATURE_BYTES, SigningIdentity,
};

/// Many decisions under one signature, written straight into a caller's buffer: as [`crate::StreamFrameBuilder`] does for
/// records.
///
/// ```
/// use centauri_wire::*;
/// let identity = KeyFile::generate([2; 32]).identity(NodeId(1));
/// let decision = DecisionRecord {
///     stream: StreamId(4), age_us: 0, nonce: 1, round: 12, decided: true, replicas: 3, reported: 3, value: 50.0,
///     confidence: 0.9, mean: 50.1, sd: 0.4, low: 49.0, high: 51.0, quorum: [0, 2].into_iter().collect(),
/// };
/// let mut bytes = Vec::new();
/// let mut frame = DecisionFrameBuilder::begin(&mut bytes, 0, FRAME_BYTES_DATAGRAM);
/// frame.push(&decision)?;
/// frame.finish(&identity)?;
/// let view = FrameView::parse(&bytes)?;
/// let MessageView::Decision(decisions) = view.message() else { panic!("decisions were sent") };
/// assert_eq!(decisions.iter().next(), Some(decision));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DecisionFrameBuilder<'a> {
    out: &'a mut Vec<u8>,
    records: u16,
    records_max: u16,
}

impl<'a> DecisionFrameBuilder<'a> {
    /// Begins a frame of at most `bytes_max` bytes in `out`, whose content it replaces. `bytes_max` beyond
    /// [`FRAME_BYTES_MAX`] counts as that.
    pub fn begin(out: &'a mut Vec<u8>, timestamp_ns: i64, bytes_max: usize) -> Self {
        out.clear();
        push_header(out, (FrameType::Decision, None), timestamp_ns);
        let room = bytes_max.min(FRAME_BYTES_MAX).saturating_sub(HEADER_BYTES + SIGNATURE_BYTES);
        let records_max = u16::try_from(room / DECISION_BYTES).unwrap_or(u16::MAX);
        Self { out, records: 0, records_max }
    }

    /// Appends a decision.
    ///
    /// # Errors
    /// [`EncodeError::Full`] when there is no room, [`EncodeError::NotFinite`] for an infinity or NaN,
    /// [`EncodeError::Decision`] for numbers that no decision has; the frame is as it was.
    pub fn push(&mut self, record: &DecisionRecord) -> Result<(), EncodeError> {
        if self.is_full() {
            return Err(EncodeError::Full { records: usize::from(self.records) });
        }
        if !record.numbers().iter().all(|number| number.is_finite()) {
            return Err(EncodeError::NotFinite { field: "a decision's number" });
        }
        record.check().map_err(|_| EncodeError::Decision)?;
        record.push(self.out);
        self.records += 1;
        Ok(())
    }

    /// Whether there is no record yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether there is no room for another record.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.records >= self.records_max
    }

    /// Signs the frame and gives its bytes, which also stay in the caller's buffer.
    ///
    /// # Errors
    /// [`EncodeError::Empty`] without a record; the buffer is empty then.
    pub fn finish(self, identity: &SigningIdentity) -> Result<&'a [u8], EncodeError> {
        if self.is_empty() {
            self.out.clear();
            return Err(EncodeError::Empty);
        }
        seal(self.out, self.records, identity)?;
        Ok(self.out)
    }
}
