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

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A request of this number.
    Request(u64),
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
    /// Decisions of another engine, as records, and whether each is one.
    Decisions(Vec<(ReadRecord, bool)>),
    /// An answer to a request.
    Answer,
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
        1 => Said::Request(u64::from_le_bytes(array(body, 0)?)),
        2 => Said::Stream((0..usize::from(count)).map(|at| record(body, 36 * at)).collect::<Option<_>>()?),
        3 => Said::Sample { of_outputs: *body.first()? == 1, values: u64::from(count) },
        4 => {
            let length = usize::from(*body.get(1)?);
            Said::Distribution(String::from_utf8(body.get(4..4 + length)?.to_vec()).ok()?)
        }
        5 => {
            Said::Decisions((0..usize::from(count)).map(|at| decision(body, 96 * at)).collect::<Option<_>>()?)
        }
        6 => Said::Answer,
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
        value: f64::from_le_bytes(array(body, at + 24)?),
    })
}

fn decision(body: &[u8], at: usize) -> Option<(ReadRecord, bool)> {
    let numbers = record(body, at)?;
    let value = f64::from_le_bytes(array(body, at + 32)?);
    Some((ReadRecord { value, ..numbers }, *body.get(at + 24)? == 1))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
