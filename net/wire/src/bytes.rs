//! Reading and writing little-endian fields without an index that could be out of range.

use crate::MalformedReason;

/// A cursor over bytes that came from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn slice(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], MalformedReason> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(MalformedReason::BodyTooShort { field })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MalformedReason> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or(MalformedReason::BodyTooShort { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, MalformedReason> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, MalformedReason> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, MalformedReason> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, MalformedReason> {
        self.array(field).map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, MalformedReason> {
        self.array(field).map(i64::from_le_bytes)
    }

    /// A float that is neither infinite nor NaN.
    pub(crate) fn finite(&mut self, field: &'static str) -> Result<f64, MalformedReason> {
        let value = self.array(field).map(f64::from_le_bytes)?;
        if value.is_finite() { Ok(value) } else { Err(MalformedReason::NotFinite { field }) }
    }

    /// Bytes that must be zero, so that a message has one encoding only.
    pub(crate) fn reserved<const N: usize>(&mut self, field: &'static str) -> Result<(), MalformedReason> {
        if self.array::<N>(field)? == [0; N] {
            Ok(())
        } else {
            Err(MalformedReason::ReservedNotZero { field })
        }
    }

    /// Text of `len` bytes without control characters: it ends up in logs and on terminals.
    pub(crate) fn text(&mut self, len: usize, field: &'static str) -> Result<&'a str, MalformedReason> {
        let text =
            std::str::from_utf8(self.slice(len, field)?).map_err(|_| MalformedReason::NotUtf8 { field })?;
        if is_plain_text(text) { Ok(text) } else { Err(MalformedReason::ControlCharacter { field }) }
    }

    /// The end of the body: nothing may follow.
    pub(crate) fn end(&self) -> Result<(), MalformedReason> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(MalformedReason::BodyTooLong { left: self.rest.len() })
        }
    }
}

/// A number that must lie in a range: a count, a length or a duration.
pub(crate) fn check_range(
    field: &'static str,
    found: u64,
    range: &std::ops::RangeInclusive<u64>,
) -> Result<(), MalformedReason> {
    if range.contains(&found) {
        Ok(())
    } else {
        Err(MalformedReason::Count { field, found, min: *range.start(), max: *range.end() })
    }
}

/// Whether the text holds no control character.
pub(crate) fn is_plain_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Appends floats, little-endian.
pub(crate) fn push_f64s(out: &mut Vec<u8>, values: &[f64]) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}
