//! Building a frame of many records, record by record.

use std::marker::PhantomData;

use crate::encode::{EncodeError, seal};
use crate::header::{FrameType, push_header};
use crate::{
    DECISION_BYTES, DecisionRecord, FRAME_BYTES_MAX, HEADER_BYTES, RECORD_BYTES, Record, SIGNATURE_BYTES,
    SigningIdentity,
};

/// What frames of many records are made of: [`Record`] and [`DecisionRecord`].
pub trait FrameRecord: Rows {}

/// How a record lies in a frame. Nothing outside this crate can name it, so there are no other records.
#[doc(hidden)]
pub trait Rows {
    /// Bytes of a record.
    const BYTES: usize;
    /// The frame's type.
    const CODE: u8;
    /// Whether it can be sent.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self) -> Result<(), EncodeError>;
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);
}

impl FrameRecord for Record {}

impl Rows for Record {
    const BYTES: usize = RECORD_BYTES;
    const CODE: u8 = FrameType::Stream.code();

    fn check(&self) -> Result<(), EncodeError> {
        let wrong = EncodeError::NotFinite { field: "a record's value" };
        if self.value.is_finite() { Ok(()) } else { Err(wrong) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.push(out);
    }
}

impl FrameRecord for DecisionRecord {}

impl Rows for DecisionRecord {
    const BYTES: usize = DECISION_BYTES;
    const CODE: u8 = FrameType::Decision.code();

    fn check(&self) -> Result<(), EncodeError> {
        if !self.numbers().iter().all(|number| number.is_finite()) {
            return Err(EncodeError::NotFinite { field: "a decision's number" });
        }
        self.check().map_err(|_| EncodeError::Decision)
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.push(out);
    }
}

/// Many records under one signature, written straight into a caller's buffer.
///
/// ```
/// use centauri_wire::*;
/// let identity = KeyFile::generate([2; 32]).identity(NodeId(1));
/// let mut bytes = Vec::new(); // kept from frame to frame, so that it grows once
/// let mut frame = StreamFrameBuilder::begin(&mut bytes, 0, FRAME_BYTES_DATAGRAM);
/// let record = Record { stream: StreamId(4), age_us: 0, nonce: 1, round: 0, value: 0.5, readings: 1 };
/// for nonce in 0.. {
///     match frame.push(&Record { nonce, ..record }) {
///         Ok(()) => {}
///         Err(EncodeError::Full { records }) => { assert_eq!(records, 37); break }
///         Err(error) => return Err(error.into()),
///     }
/// }
/// frame.finish(&identity)?;
/// assert_eq!(bytes.len(), 32 + 37 * 36 + 64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type StreamFrameBuilder<'a> = FrameBuilder<'a, Record>;

/// Many decisions under one signature.
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
pub type DecisionFrameBuilder<'a> = FrameBuilder<'a, DecisionRecord>;

/// A frame of records in the making: see [`StreamFrameBuilder`] and [`DecisionFrameBuilder`].
#[derive(Debug)]
pub struct FrameBuilder<'a, R> {
    out: &'a mut Vec<u8>,
    records: u16,
    records_max: u16,
    of: PhantomData<R>,
}

impl<'a, R: FrameRecord> FrameBuilder<'a, R> {
    /// Begins a frame of at most `bytes_max` bytes in `out`, whose content it replaces.
    ///
    /// `bytes_max` beyond [`FRAME_BYTES_MAX`] counts as that; [`crate::FRAME_BYTES_DATAGRAM`] keeps a frame
    /// within one packet.
    pub fn begin(out: &'a mut Vec<u8>, timestamp_ns: i64, bytes_max: usize) -> Self {
        out.clear();
        push_header(out, (R::CODE, None), timestamp_ns);
        let room = bytes_max.min(FRAME_BYTES_MAX).saturating_sub(HEADER_BYTES + SIGNATURE_BYTES);
        let records_max = u16::try_from(room / R::BYTES).unwrap_or(u16::MAX);
        Self { out, records: 0, records_max, of: PhantomData }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`EncodeError::Full`] when there is no room, [`EncodeError::NotFinite`] for an infinity or NaN,
    /// [`EncodeError::Decision`] for numbers that no decision has; the frame is as it was.
    pub fn push(&mut self, record: &R) -> Result<(), EncodeError> {
        if self.is_full() {
            return Err(EncodeError::Full { records: self.len() });
        }
        record.check()?;
        record.write(self.out);
        self.records += 1;
        Ok(())
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.records)
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
