//! The records of a decision frame.

use crate::bytes::{Reader, check_range};
use crate::{DECISION_BYTES, DECISIONS_MAX, MalformedReason, StreamId};

/// Which replicas of the model speak for a decision: bit `i` is the replica at position `i`, of at most 128.
///
/// ```
/// use centauri_wire::QuorumBits;
/// let quorum: QuorumBits = [0, 2, 127].into_iter().collect();
/// assert_eq!(quorum.positions().collect::<Vec<_>>(), [0, 2, 127]);
/// assert!(quorum.contains(2) && !quorum.contains(1) && !quorum.contains(128));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuorumBits(pub u128);

impl QuorumBits {
    /// Whether the replica at `position` is one of them.
    #[must_use]
    pub fn contains(self, position: usize) -> bool {
        position < 128 && self.0 >> position & 1 == 1
    }

    /// The positions in order.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        (0..128).filter(move |&position| self.contains(position))
    }
}

impl FromIterator<usize> for QuorumBits {
    /// Positions from 128 on are left out: no replica set is that large.
    fn from_iter<T: IntoIterator<Item = usize>>(positions: T) -> Self {
        let bit = |position: usize| u32::try_from(position).ok().and_then(|at| 1_u128.checked_shl(at));
        Self(positions.into_iter().filter_map(bit).fold(0, |all, bit| all | bit))
    }
}

/// A decision on one round of a logical stream, as who decided it tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionRecord {
    /// The stream's number at the sender.
    pub stream: StreamId,
    /// How much older the opening of the round's window is than the frame's timestamp, in microseconds; at most 71 minutes.
    pub age_us: u32,
    /// Grows with every record a sender makes on a stream, as that of [`crate::Record`].
    pub nonce: u64,
    /// The round.
    pub round: i64,
    /// Whether there was a possible quorum. If not, what follows is the prior's.
    pub decided: bool,
    /// Replicas in the set.
    pub replicas: u8,
    /// How many of them reported a value in time.
    pub reported: u32,
    /// The most probable value.
    pub value: f64,
    /// Its probability.
    pub confidence: f64,
    /// The mean of the distribution of the value.
    pub mean: f64,
    /// Its standard deviation: 0 or more.
    pub sd: f64,
    /// The lower end of the credible interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The replicas that speak for it.
    pub quorum: QuorumBits,
}

impl DecisionRecord {
    pub(crate) fn numbers(&self) -> [f64; 6] {
        [self.value, self.confidence, self.mean, self.sd, self.low, self.high]
    }

    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stream.0.to_le_bytes());
        out.extend_from_slice(&self.age_us.to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.round.to_le_bytes());
        out.extend_from_slice(&[u8::from(self.decided), self.replicas, 0, 0]);
        out.extend_from_slice(&self.reported.to_le_bytes());
        for number in self.numbers() {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.quorum.0.to_le_bytes());
    }

    fn read(row: &[u8; DECISION_BYTES]) -> Result<Self, MalformedReason> {
        let mut reader = Reader::new(row);
        let stream = StreamId(reader.u32("a decision's stream")?);
        let age_us = reader.u32("a decision's age")?;
        let nonce = reader.u64("a decision's nonce")?;
        let round = reader.i64("a decision's round")?;
        let status = reader.u8("a decision's status")?;
        check_range("a decision's status", u64::from(status), &(0..=1))?;
        let replicas = reader.u8("a decision's replicas")?;
        reader.reserved::<2>("a decision's reserved bytes")?;
        let reported = reader.u32("a decision's reports")?;
        let mut number = || reader.finite("a decision's number");
        let (value, confidence, mean, sd) = (number()?, number()?, number()?, number()?);
        let (low, high) = (number()?, number()?);
        let quorum = QuorumBits(u128::from_le_bytes(reader.array("a decision's quorum")?));
        let (decided, nonce) = (status == 1, nonce);
        let record = Self {
            stream,
            age_us,
            nonce,
            round,
            decided,
            replicas,
            reported,
            value,
            confidence,
            mean,
            sd,
            low,
            high,
            quorum,
        };
        record.check().map(|()| record)
    }

    /// Whether the numbers can be a decision's.
    pub(crate) fn check(&self) -> Result<(), MalformedReason> {
        let impossible = |field| MalformedReason::Impossible { field };
        if !(0.0..=1.0).contains(&self.confidence) {
            return Err(impossible("a decision's confidence"));
        }
        if self.sd < 0.0 {
            return Err(impossible("a decision's sd"));
        }
        if self.low > self.high {
            return Err(impossible("a decision's interval"));
        }
        let beyond = u32::from(self.replicas).min(128);
        let stray = self.quorum.0.checked_shr(beyond).unwrap_or(0);
        if stray != 0 || (self.quorum.0 != 0) != self.decided {
            return Err(impossible("a decision's quorum"));
        }
        Ok(())
    }
}

/// The records of a parsed decision frame, read in place; every one of them has been checked.
#[derive(Debug, Clone, Copy)]
pub struct DecisionRecords<'a> {
    rows: &'a [[u8; DECISION_BYTES]],
}

impl<'a> DecisionRecords<'a> {
    /// Takes a body of exactly `count` records.
    pub(crate) fn parse(count: u16, body: &'a [u8]) -> Result<Self, MalformedReason> {
        check_range("the number of decisions", u64::from(count), &(1..=DECISIONS_MAX as u64))?;
        let count = usize::from(count);
        let (rows, rest) = body.as_chunks::<DECISION_BYTES>();
        if rows.len() < count {
            return Err(MalformedReason::BodyTooShort { field: "the last decision" });
        }
        let left = (rows.len() - count) * DECISION_BYTES + rest.len();
        if left != 0 {
            return Err(MalformedReason::BodyTooLong { left });
        }
        rows.iter().try_for_each(|row| DecisionRecord::read(row).map(|_| ()))?;
        Ok(Self { rows })
    }

    /// How many there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a decision frame is never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The records in the order they were sent.
    pub fn iter(&self) -> impl Iterator<Item = DecisionRecord> + Clone + use<'a> {
        // All were read when the frame was parsed.
        self.rows.iter().filter_map(|row| DecisionRecord::read(row).ok())
    }
}
