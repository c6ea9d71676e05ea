//! Numbers to and from bytes: little-endian, and short ones short.

/// Reads from the front of what is left; `None` where there is too little or no such number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A float that is a number.
    pub(super) fn finite(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes).filter(|value| value.is_finite())
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// What [`push_difference`] wrote, added to what it was taken from.
    pub(super) fn difference(&mut self, before: i64) -> Option<i64> {
        let folded = self.varint()?;
        let difference = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        Some(before.wrapping_add(difference))
    }

    /// A text after its length (two bytes).
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The way from one number to the next, short where it is short in either direction.
pub(super) fn push_difference(out: &mut Vec<u8>, before: i64, after: i64) {
    let difference = after.wrapping_sub(before);
    push_varint(out, (difference << 1 ^ difference >> 63).cast_unsigned());
}

/// A text of at most 65,535 bytes after its length; says whether it is that short.
#[must_use]
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) -> bool {
    let Ok(length) = u16::try_from(text.len()) else { return false };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_bytes() {
        let bytes_of = |before, after| {
            let mut bytes = Vec::new();
            push_difference(&mut bytes, before, after);
            bytes
        };
        assert_eq!(bytes_of(5, 5), [0]);
        assert_eq!(bytes_of(5, 4), [1]);
        assert_eq!(bytes_of(0, 64), [0x80, 1]);
        assert_eq!(bytes_of(0, i64::MIN), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        // Eleven bytes, and 65 bits, are no number.
        assert_eq!(Reader(&[0x80; 11]).varint(), None);
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint(), None);
    }

    proptest! {
        #[test]
        fn differences_come_back(before: i64, after: i64) {
            let mut bytes = Vec::new();
            push_difference(&mut bytes, before, after);
            let mut reader = Reader(&bytes);
            prop_assert_eq!(reader.difference(before), Some(after));
            prop_assert!(reader.is_empty() && bytes.len() <= 10);
        }
    }
}
