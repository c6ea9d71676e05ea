//! Building a stream frame, record by record.

use crate::encode::{EncodeError, seal};
use crate::header::{FrameType, push_header};
use crate::{FRAME_BYTES_MAX, HEADER_BYTES, RECORD_BYTES, Record, SIGNATURE_BYTES, SigningIdentity};

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
#[derive(Debug)]
pub struct StreamFrameBuilder<'a> {
    out: &'a mut Vec<u8>,
    records: u16,
    records_max: u16,
}

impl<'a> StreamFrameBuilder<'a> {
    /// Begins a frame of at most `bytes_max` bytes in `out`, whose content it replaces.
    ///
    /// `bytes_max` beyond [`FRAME_BYTES_MAX`] counts as that; [`crate::FRAME_BYTES_DATAGRAM`] keeps a frame
    /// within one packet.
    pub fn begin(out: &'a mut Vec<u8>, timestamp_ns: i64, bytes_max: usize) -> Self {
        out.clear();
        push_header(out, (FrameType::Stream, None), timestamp_ns);
        let room = bytes_max.min(FRAME_BYTES_MAX).saturating_sub(HEADER_BYTES + SIGNATURE_BYTES);
        let records_max = u16::try_from(room / RECORD_BYTES).unwrap_or(u16::MAX);
        Self { out, records: 0, records_max }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`EncodeError::Full`] when there is no room, [`EncodeError::NotFinite`] for an infinity or NaN; the
    /// frame is as it was.
    pub fn push(&mut self, record: &Record) -> Result<(), EncodeError> {
        if self.is_full() {
            return Err(EncodeError::Full { records: self.len() });
        }
        if !record.value.is_finite() {
            return Err(EncodeError::NotFinite { field: "a record's value" });
        }
        record.push(self.out);
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
