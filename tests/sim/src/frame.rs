//! A reader of frames written from the byte tables of `docs/PROTOCOL.md` alone, so that what the nodes read is checked
//! against something else.

/// A record as the simulator reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ReadRecord {
    /// The stream.
    pub(crate) stream: u32,
    /// The nonce.
    pub(crate) nonce: u64,
    /// The round.
    pub(crate) round: i64,
    /// The value.
    pub(crate) value: f64,
}

/// A decision as the simulator reads it: a record, and what comes with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ReadDecision {
    /// Stream, nonce, round and value.
    pub(crate) record: ReadRecord,
    /// Whether there was a quorum.
    pub(crate) decided: bool,
    /// The confidence.
    pub(crate) confidence: f64,
    /// Its standard deviation.
    pub(crate) sd: f64,
}

/// A request as the simulator reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadRequest {
    /// Its number.
    pub(crate) number: u64,
    /// What it asks for; `None` to cancel.
    pub(crate) start: Option<ReadStart>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadStart {
    /// Validity, time to live and period in nanoseconds.
    pub(crate) validity_ns: u64,
    pub(crate) ttl_ns: u64,
    pub(crate) period_ns: u64,
    /// The query.
    pub(crate) query: String,
}

/// An answer as the simulator reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadAnswer {
    /// The request's number.
    pub(crate) number: u64,
    pub(crate) ttl_ns: u64,
    pub(crate) period_ns: u64,
    /// Its code: 0 granted, 1 cancelled, others refusals.
    pub(crate) outcome: u8,
    pub(crate) reason: String,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A request.
    Request(ReadRequest),
    /// Records.
    Stream(Vec<ReadRecord>),
    /// So many values, of outputs or of latencies.
    Sample {
        /// Of outputs.
        of_outputs: bool,
        /// How many.
        values: u64,
    },
    /// A distribution of this name.
    Distribution(String),
    /// Decisions.
    Decisions(Vec<ReadDecision>),
    /// An answer to a request.
    Answer(ReadAnswer),
}

/// A frame as the simulator reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReadFrame {
    /// The sender that it names.
    pub(crate) sender: u32,
    /// The only node that it is for; 0 for everybody.
    pub(crate) receiver: u32,
    /// Its timestamp.
    pub(crate) timestamp_ns: i64,
    /// What it says.
    pub(crate) said: Said,
}

/// Reads a frame that somebody with a key has made; `None` for what is none.
#[must_use]
pub(crate) fn read_frame(bytes: &[u8]) -> Option<ReadFrame> {
    if bytes.get(..8)? != b"CENTAUR\x01" {
        return None;
    }
    let count = u16::from_le_bytes(array(bytes, 10)?);
    let body = bytes.get(32..bytes.len().checked_sub(64)?)?;
    let said = match bytes.get(8)? {
        1 => Said::Request(request(body)?),
        2 => Said::Stream((0..usize::from(count)).map(|at| record(body, 36 * at)).collect::<Option<_>>()?),
        3 => Said::Sample { of_outputs: *body.first()? == 1, values: u64::from(count) },
        4 => {
            let length = usize::from(*body.get(1)?);
            Said::Distribution(text(body, 4, length)?)
        }
        5 => {
            Said::Decisions((0..usize::from(count)).map(|at| decision(body, 96 * at)).collect::<Option<_>>()?)
        }
        6 => Said::Answer(answer(body)?),
        _ => return None,
    };
    let receiver = u32::from_le_bytes(array(bytes, 20)?);
    let sender = u32::from_le_bytes(array(bytes, 16)?);
    Some(ReadFrame { sender, receiver, timestamp_ns: i64::from_le_bytes(array(bytes, 24)?), said })
}

fn record(body: &[u8], at: usize) -> Option<ReadRecord> {
    Some(ReadRecord {
        stream: u32::from_le_bytes(array(body, at)?),
        nonce: u64::from_le_bytes(array(body, at + 8)?),
        round: i64::from_le_bytes(array(body, at + 16)?),
        value: float(body, at + 24)?,
    })
}

fn decision(body: &[u8], at: usize) -> Option<ReadDecision> {
    let numbers = record(body, at)?;
    Some(ReadDecision {
        record: ReadRecord { value: float(body, at + 32)?, ..numbers },
        decided: *body.get(at + 24)? == 1,
        confidence: float(body, at + 40)?,
        sd: float(body, at + 56)?,
    })
}

fn request(body: &[u8]) -> Option<ReadRequest> {
    let length = usize::from(u16::from_le_bytes(array(body, 34)?));
    let is_start = *body.get(32)? == 1;
    let start = ReadStart {
        validity_ns: u64::from_le_bytes(array(body, 8)?),
        ttl_ns: u64::from_le_bytes(array(body, 16)?),
        period_ns: u64::from_le_bytes(array(body, 24)?),
        query: text(body, 36, length)?,
    };
    Some(ReadRequest { number: u64::from_le_bytes(array(body, 0)?), start: is_start.then_some(start) })
}

fn answer(body: &[u8]) -> Option<ReadAnswer> {
    let length = usize::from(u16::from_le_bytes(array(body, 26)?));
    Some(ReadAnswer {
        number: u64::from_le_bytes(array(body, 0)?),
        ttl_ns: u64::from_le_bytes(array(body, 8)?),
        period_ns: u64::from_le_bytes(array(body, 16)?),
        outcome: *body.get(24)?,
        reason: text(body, 28, length)?,
    })
}

fn text(body: &[u8], at: usize, length: usize) -> Option<String> {
    String::from_utf8(body.get(at..at.checked_add(length)?)?.to_vec()).ok()
}

fn float(body: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(array(body, at)?))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
