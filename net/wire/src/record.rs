//! The records of a stream frame.

use std::fmt;

use crate::bytes::check_range;
use crate::{MalformedReason, RECORD_BYTES, RECORDS_MAX};

/// A stream's number at its sender: the paper's `s_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One element of a stream: the paper's `⟨s_id, ts, n, D⟩`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// The stream, `s_id`.
    pub stream: StreamId,
    /// How much older the data is than the frame's timestamp, in microseconds (at most 71 minutes).
    pub age_us: u32,
    /// Grows with every record a sender makes on a stream, `n`; gaps are allowed.
    ///
    /// A sender that restarts must go on above the nonces it used. Starting at the wall clock in
    /// nanoseconds does it, as long as records are made at less than one a nanosecond.
    pub nonce: u64,
    /// The round the value belongs to.
    pub round: i64,
    /// The data, `D`: a finite number.
    pub value: f64,
    /// How many readings the value was computed from.
    pub readings: u32,
}

impl Record {
    /// The source timestamp, `ts`: the frame's timestamp less the record's age, in nanoseconds.
    #[must_use]
    pub fn source_timestamp_ns(&self, frame_timestamp_ns: i64) -> i64 {
        frame_timestamp_ns.saturating_sub(i64::from(self.age_us) * 1_000)
    }

    /// The age to give data of `source_timestamp_ns` in a frame of `frame_timestamp_ns`, rounded down
    /// to a microsecond. `None` if the data is newer than the frame or older than 71 minutes.
    ///
    /// ```
    /// use centauri_wire::Record;
    /// assert_eq!(Record::age_us_between(5_000_000, 2_000_500), Some(2_999));
    /// assert_eq!(Record::age_us_between(5_000_000, 5_000_001), None);
    /// ```
    #[must_use]
    pub fn age_us_between(frame_timestamp_ns: i64, source_timestamp_ns: i64) -> Option<u32> {
        let age_ns = frame_timestamp_ns.checked_sub(source_timestamp_ns)?;
        if age_ns < 0 { None } else { u32::try_from(age_ns / 1_000).ok() }
    }

    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stream.0.to_le_bytes());
        out.extend_from_slice(&self.age_us.to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.round.to_le_bytes());
        out.extend_from_slice(&self.value.to_le_bytes());
        out.extend_from_slice(&self.readings.to_le_bytes());
    }

    fn read(row: &[u8; RECORD_BYTES]) -> Self {
        Self {
            stream: StreamId(u32::from_le_bytes(field::<0, 4>(row))),
            age_us: u32::from_le_bytes(field::<4, 4>(row)),
            nonce: u64::from_le_bytes(field::<8, 8>(row)),
            round: i64::from_le_bytes(field::<16, 8>(row)),
            value: value(row),
            readings: u32::from_le_bytes(field::<32, 4>(row)),
        }
    }
}

fn value(row: &[u8; RECORD_BYTES]) -> f64 {
    f64::from_le_bytes(field::<24, 8>(row))
}

/// The `N` bytes at `AT`. That they lie in the row is known at compile time, so nothing of the check is left.
fn field<const AT: usize, const N: usize>(row: &[u8; RECORD_BYTES]) -> [u8; N] {
    const { assert!(AT + N <= RECORD_BYTES) };
    row.get(AT..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

/// The records of a parsed stream frame, read in place.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    rows: &'a [[u8; RECORD_BYTES]],
}

impl<'a> Records<'a> {
    /// Takes a body of exactly `count` records, all with finite values.
    pub(crate) fn parse(count: u16, body: &'a [u8]) -> Result<Self, MalformedReason> {
        check_range("the number of records", u64::from(count), &(1..=RECORDS_MAX as u64))?;
        let count = usize::from(count);
        let (rows, rest) = body.as_chunks::<RECORD_BYTES>();
        if rows.len() < count {
            return Err(MalformedReason::BodyTooShort { field: "the last record" });
        }
        let left = (rows.len() - count) * RECORD_BYTES + rest.len();
        if left != 0 {
            return Err(MalformedReason::BodyTooLong { left });
        }
        // All of them without a branch for each: that one is not finite is rare, and which one is not told.
        if !rows.iter().fold(true, |finite, row| finite & value(row).is_finite()) {
            return Err(MalformedReason::NotFinite { field: "a record's value" });
        }
        Ok(Self { rows })
    }

    /// How many records there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a stream frame is never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The records in the order they were sent.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Record> + Clone + use<'a> {
        self.rows.iter().map(Record::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_finite_is_found_wherever_it_stands() {
        let record =
            |value| Record { stream: StreamId(1), age_us: 2, nonce: 3, round: -4, value, readings: 5 };
        for count in 1_usize..20 {
            for at in 0..count {
                for (value, is_good) in [
                    (f64::INFINITY, false),
                    (f64::NEG_INFINITY, false),
                    (f64::NAN, false),
                    (f64::from_bits(0x7ff0_0000_0000_0001), false),
                    (f64::MAX, true),
                    (f64::MIN, true),
                    (-0.0, true),
                    (f64::from_bits(1), true),
                ] {
                    let mut body = Vec::new();
                    for place in 0..count {
                        record(if place == at { value } else { 1.5 }).push(&mut body);
                    }
                    let parsed = Records::parse(u16::try_from(count).unwrap(), &body);
                    let expected = MalformedReason::NotFinite { field: "a record's value" };
                    assert_eq!(parsed.err(), (!is_good).then_some(expected), "{value} at {at} of {count}");
                }
            }
        }
    }
}
