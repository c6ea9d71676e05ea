//! Sample messages: what the monitor fits distributions to.

use crate::bytes::{Reader, check_range, is_plain_text, push_f64s};
use crate::encode::{EncodeError, encode_frame};
use crate::header::FrameType;
use crate::{DISTRIBUTION_NAME_BYTES_MAX, MalformedReason, SAMPLE_VALUES_MAX, SigningIdentity};

/// The two sub types of sample messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleKind {
    /// `o`: output values, raw data or computations on data.
    Output,
    /// `n`: network latencies, the time received less the source timestamp, in seconds.
    Latency,
}

impl SampleKind {
    fn code(self) -> u8 {
        match self {
            Self::Output => 1,
            Self::Latency => 2,
        }
    }

    fn parse(code: u8) -> Result<Self, MalformedReason> {
        match code {
            1 => Ok(Self::Output),
            2 => Ok(Self::Latency),
            found => Err(MalformedReason::Code {
                field: "the sample's kind",
                found: u64::from(found),
                expected: "1 (output) or 2 (latency)",
            }),
        }
    }
}

/// The paper's `⟨sample_{o|n}, d, D, ts⟩`, to be sent; `ts` is the frame's timestamp.
///
/// ```
/// use centauri_wire::{FrameView, KeyFile, MessageView, NodeId, Sample, SampleKind};
/// let sample = Sample { kind: SampleKind::Latency, distribution: "uplink", values: &[0.012, 0.034] };
/// let mut bytes = Vec::new();
/// sample.encode(1_000, &KeyFile::generate([1; 32]).identity(NodeId(5)), &mut bytes)?;
/// let frame = FrameView::parse(&bytes)?;
/// let MessageView::Sample(read) = frame.message() else { panic!("a sample was sent") };
/// assert_eq!(read.values.iter().sum::<f64>(), 0.046);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// Output values or latencies.
    pub kind: SampleKind,
    /// The distribution the data belongs to, `d`: 1 to 64 bytes without control characters.
    pub distribution: &'a str,
    /// The data, `D`: 1 to 512 finite numbers.
    pub values: &'a [f64],
}

impl Sample<'_> {
    /// Writes the signed frame into `out`, whose content it replaces.
    ///
    /// # Errors
    /// A name or a number of values outside the limits, or a value that is not finite. `out` is empty then.
    pub fn encode(
        &self,
        timestamp_ns: i64,
        identity: &SigningIdentity,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        encode_frame(out, (FrameType::Sample, None), timestamp_ns, identity, |out| self.push_body(out))
    }

    fn push_body(&self, out: &mut Vec<u8>) -> Result<u16, EncodeError> {
        let found = self.values.len();
        if found == 0 || found > SAMPLE_VALUES_MAX {
            return Err(EncodeError::SampleValues { found });
        }
        if !self.values.iter().all(|value| value.is_finite()) {
            return Err(EncodeError::NotFinite { field: "a sample's value" });
        }
        push_named(out, self.kind.code(), self.distribution)?;
        push_f64s(out, self.values);
        u16::try_from(found).map_err(|_| EncodeError::SampleValues { found })
    }
}

/// A received sample, read in place.
#[derive(Debug, Clone, Copy)]
pub struct SampleView<'a> {
    /// Output values or latencies.
    pub kind: SampleKind,
    /// The distribution the data belongs to, `d`.
    pub distribution: &'a str,
    /// The data, `D`.
    pub values: SampleValues<'a>,
}

impl<'a> SampleView<'a> {
    pub(crate) fn parse(count: u16, body: &'a [u8]) -> Result<Self, MalformedReason> {
        let found = usize::from(count);
        check_range("the number of values", u64::from(count), &(1..=SAMPLE_VALUES_MAX as u64))?;
        let mut reader = Reader::new(body);
        let (code, distribution) = read_named(&mut reader)?;
        let kind = SampleKind::parse(code)?;
        let bytes = reader.slice(found * 8, "the last value")?;
        reader.end()?;
        let values = SampleValues { rows: bytes.as_chunks::<8>().0 };
        if !values.iter().all(f64::is_finite) {
            return Err(MalformedReason::NotFinite { field: "a sample's value" });
        }
        Ok(Self { kind, distribution, values })
    }
}

/// The numbers of a received sample, all finite.
#[derive(Debug, Clone, Copy)]
pub struct SampleValues<'a> {
    rows: &'a [[u8; 8]],
}

impl<'a> SampleValues<'a> {
    /// How many there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sample is never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The values in the order they were sent.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = f64> + ExactSizeIterator + Clone + use<'a> {
        self.rows.iter().map(|row| f64::from_le_bytes(*row))
    }
}

/// Writes what samples and distributions begin with: a code, a name and its length, two reserved bytes.
pub(crate) fn push_named(out: &mut Vec<u8>, code: u8, name: &str) -> Result<(), EncodeError> {
    let found = name.len();
    if found == 0 || found > DISTRIBUTION_NAME_BYTES_MAX {
        return Err(EncodeError::DistributionName { found });
    }
    if !is_plain_text(name) {
        return Err(EncodeError::ControlCharacter { field: "the distribution's name" });
    }
    let len = u8::try_from(found).map_err(|_| EncodeError::DistributionName { found })?;
    out.extend_from_slice(&[code, len, 0, 0]);
    out.extend_from_slice(name.as_bytes());
    Ok(())
}

/// Reads what [`push_named`] writes.
pub(crate) fn read_named<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a str), MalformedReason> {
    let code = reader.u8("the kind")?;
    let len = reader.u8("the name's length")?;
    reader.reserved::<2>("the reserved bytes before the name")?;
    check_range("the name's length", u64::from(len), &(1..=DISTRIBUTION_NAME_BYTES_MAX as u64))?;
    let name = reader.text(usize::from(len), "the distribution's name")?;
    Ok((code, name))
}
