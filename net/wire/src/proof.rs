//! Proof that a node signed two values for one round.

use thiserror::Error;

use crate::bytes::Reader;
use crate::{
    FRAME_BYTES_MAX, FrameView, MalformedReason, MessageView, NodeId, Record, Registry, Role, StreamId,
    check_signature_shape,
};

/// What a proof begins with: seven letters and a version.
const MAGIC: [u8; 8] = *b"CENTPRF\x01";

/// Two frames that one node signed, with different values for the same round of the same stream: whoever has its public key sees
/// that it is faulty, at any time, and without trusting whoever shows them.
///
/// A source's rounds are numbers of readings, which begin anew when it does, and the number of a computation on request is a
/// digest of 31 bits, for which two computations can be found that share it. There two values prove something only if they are of
/// the same time: see [`Reported::contradicts`].
///
/// ```
/// use centauri_wire::*;
/// let key = KeyFile::generate([7; 32]);
/// let node = NodeEntry { id: NodeId(3), name: "r3".into(), role: Role::Replica, key: key.public_key() };
/// let registry = Registry::new(vec![node])?;
/// let frame = |nonce, value| -> Result<Vec<u8>, EncodeError> {
///     let mut bytes = Vec::new();
///     let mut frame = StreamFrameBuilder::begin(&mut bytes, 1_000, FRAME_BYTES_DATAGRAM);
///     frame.push(&Record { stream: StreamId(1), age_us: 0, nonce, round: 12, value, readings: 1 })?;
///     frame.finish(&key.identity(NodeId(3)))?;
///     Ok(bytes)
/// };
/// let bytes = EquivocationProof { first: &frame(1, 20.5)?, second: &frame(2, 99.0)? }.encode();
/// let proven = EquivocationProof::parse(&bytes)?.verify(&registry)?;
/// assert_eq!((proven.node, proven.round, proven.values), (NodeId(3), 12, [20.5, 99.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EquivocationProof<'a> {
    /// The frame that came first.
    pub first: &'a [u8],
    /// The one that contradicts it.
    pub second: &'a [u8],
}

/// What a proof proves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivocation {
    /// The faulty node.
    pub node: NodeId,
    /// The stream by its number at the node.
    pub stream: StreamId,
    /// The round.
    pub round: i64,
    /// The two values.
    pub values: [f64; 2],
    /// When it signed them, by its own clock.
    pub timestamps_ns: [i64; 2],
}

/// Why bytes prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// They are no proof of this version.
    #[error("found no proof of an equivocation, expected the letters CENTPRF, version 1 and two frames")]
    Form,
    /// A frame that is none.
    #[error("frame {which}: {reason}")]
    Frame {
        /// 1 or 2.
        which: usize,
        /// What is wrong.
        reason: MalformedReason,
    },
    /// The frames claim different senders.
    #[error("the frames are of different nodes, {0} and {1}")]
    Senders(NodeId, NodeId),
    /// The registry has no such node.
    #[error("node {0} is not in the registry")]
    UnknownSender(NodeId),
    /// A signature that is not the node's.
    #[error("frame {which}: the signature is not node {node}'s")]
    Signature {
        /// 1 or 2.
        which: usize,
        /// The node claimed.
        node: NodeId,
    },
    /// No round has two values.
    #[error("the frames say nothing different of any round")]
    Agreement,
}

impl<'a> EquivocationProof<'a> {
    /// The proof as bytes: `CENTPRF`, version 1, and each frame after its length (`u32`, little-endian).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for frame in [self.first, self.second] {
            out.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(frame);
        }
        out
    }

    /// Reads a proof's bytes. Nothing is known of what they say before [`EquivocationProof::verify`].
    ///
    /// # Errors
    /// [`ProofError::Form`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ProofError> {
        let mut reader = Reader::new(bytes);
        let mut read = || -> Result<Self, MalformedReason> {
            if reader.array::<8>("the magic")? != MAGIC {
                return Err(MalformedReason::Magic);
            }
            let mut frame = || {
                let length = reader.u32("a frame's length")? as usize;
                reader.slice(length.min(FRAME_BYTES_MAX + 1), "a frame")
            };
            let (first, second) = (frame()?, frame()?);
            reader.end()?;
            Ok(Self { first, second })
        };
        read().map_err(|_| ProofError::Form)
    }

    /// Whether the proof holds: both frames are well-formed and signed by one registered node, and contradict each other. Says
    /// the first contradiction.
    ///
    /// # Errors
    /// What is missing.
    pub fn verify(&self, registry: &Registry) -> Result<Equivocation, ProofError> {
        let parse =
            |which, bytes| FrameView::parse(bytes).map_err(|reason| ProofError::Frame { which, reason });
        let frames = [parse(1, self.first)?, parse(2, self.second)?];
        let [first, second] = &frames;
        let node = first.header().sender;
        if second.header().sender != node {
            return Err(ProofError::Senders(node, second.header().sender));
        }
        let entry = registry.by_id(node).ok_or(ProofError::UnknownSender(node))?;
        let (key, role) = (entry.key, entry.role);
        for (which, frame) in (1..).zip(&frames) {
            let good = check_signature_shape(frame.signature()).is_ok()
                && key.verify(frame.signed_message().as_bytes(), frame.signature());
            if !good {
                return Err(ProofError::Signature { which, node });
            }
        }
        let (stream, round, values) = contradiction(role, first, second).ok_or(ProofError::Agreement)?;
        let timestamps_ns = [first.header().timestamp_ns, second.header().timestamp_ns];
        Ok(Equivocation { node, stream, round, values, timestamps_ns })
    }
}

/// The first round of a stream that two frames of a sender of this role give different values for.
#[must_use]
pub fn contradiction(
    role: Role,
    first: &FrameView<'_>,
    second: &FrameView<'_>,
) -> Option<(StreamId, i64, [f64; 2])> {
    reports(first).find_map(|one| {
        let other = reports(second).find(|other| one.contradicts(role, other))?;
        Some((one.stream, one.round, [one.value, other.value]))
    })
}

/// What a record says of a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reported {
    /// The stream by its number at the sender.
    pub stream: StreamId,
    /// The round.
    pub round: i64,
    /// The value.
    pub value: f64,
    /// The frame's timestamp less the record's age, in nanoseconds: up to a microsecond after the time that is meant.
    pub at_ns: i64,
}

impl Reported {
    /// Whether no honest sender of this role says both.
    ///
    /// Two values for one round do it where a stream's rounds mean the same at all times. Those of sources and of computations on
    /// request (whose numbers have the highest bit set) do not; there the times must be the same, too, as exactly as they are told.
    #[must_use]
    pub fn contradicts(&self, role: Role, other: &Self) -> bool {
        let is_lasting = role != Role::Source && self.stream.0 >> 31 == 0;
        (self.stream, self.round) == (other.stream, other.round)
            && self.value != other.value
            && (is_lasting || self.at_ns.abs_diff(other.at_ns) < 1_000)
    }
}

/// What a frame reports.
pub fn reports<'a>(frame: &FrameView<'a>) -> impl Iterator<Item = Reported> + use<'a> {
    let (records, decisions) = match frame.message() {
        MessageView::Stream(records) => (Some(records.iter()), None),
        MessageView::Decision(decisions) => (None, Some(decisions.iter())),
        _ => (None, None),
    };
    let stamp = frame.header().timestamp_ns;
    let records = records.into_iter().flatten().map(move |record| {
        let Record { stream, round, value, .. } = record;
        Reported { stream, round, value, at_ns: record.source_timestamp_ns(stamp) }
    });
    let decided = decisions.into_iter().flatten().filter(|decision| decision.decided);
    records.chain(decided.map(move |decision| Reported {
        stream: decision.stream,
        round: decision.round,
        value: decision.value,
        at_ns: stamp.saturating_sub(i64::from(decision.age_us) * 1_000),
    }))
}
