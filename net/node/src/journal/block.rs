//! Blocks of decisions: what a thread that decides hands over to the writer.
//!
//! The bytes are in docs/JOURNAL.md.

use super::bytes::{Reader, push_difference, push_varint};
use super::limits::{BLOCK_BYTES_MAX, BLOCK_FULL_BYTES, REPLICAS_MAX};
use centauri_engine::{Decision, Quorum, Region, Status};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 40;
/// Where the checksum stands; it is over all bytes but its own.
const CHECKSUM: std::ops::Range<usize> = 32..40;

const DECIDED: u8 = 1;
const LOG_EVIDENCE: u8 = 1 << 1;
const REGION: u8 = 1 << 2;
const HONEST: u8 = 1 << 3;
const EXHAUSTIVE: u8 = 1 << 4;
const ALL_FLAGS: u8 = DECIDED | LOG_EVIDENCE | REGION | HONEST | EXHAUSTIVE;

/// A decision as it stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    /// The stream's number in the journal's list.
    pub stream: u32,
    /// The round.
    pub round: i64,
    /// When the round was closed, in nanoseconds since the Unix epoch.
    pub closed_ns: i64,
    /// The decision.
    pub decision: &'a Decision,
    /// How many replicas the stream has: at most 128.
    pub replicas: usize,
    /// For each of them the probability that it is honest; `None` without a quorum.
    pub honest: Option<&'a [f64]>,
}

/// Why bytes are no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Shorter than a header or longer than a block can be.
    #[error("found a block of {0} bytes, expected {HEADER_BYTES} to {BLOCK_BYTES_MAX}")]
    Length(usize),
    /// Another version.
    #[error("found a block of version {0}, expected {VERSION}")]
    Version(u8),
    /// Bytes have changed since they were written.
    #[error("the block's checksum is not that of its bytes")]
    Checksum,
    /// The bytes say something that no block says.
    #[error("decision {0} of the block cannot be read")]
    Decision(u32),
}

/// Decisions on their way into a block. It is a thread's own: adding one takes no lock and, once the memory is there, none of that
/// either.
#[derive(Debug, Clone, Default)]
pub struct BlockBuilder {
    bytes: Vec<u8>,
    count: u32,
    first_ns: i64,
    newest_ns: i64,
    first_round: i64,
    before: Before,
    last_bytes: usize,
}

/// What the next decision is told as the difference from.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    stream: i64,
    round: i64,
    closed_ns: i64,
}

/// A whole block, not yet sealed by its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    bytes: Vec<u8>,
    count: u32,
    newest_ns: i64,
}

impl BlockBuilder {
    /// A builder without a decision.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a decision; says whether it did: not one that has a number which is not finite or more than 128 replicas.
    pub fn push(&mut self, entry: &Entry<'_>) -> bool {
        let decision = entry.decision;
        let honest = entry.honest.unwrap_or_default();
        let names_fit = entry.replicas <= REPLICAS_MAX
            && decision.quorum.bits().checked_shr(entry.replicas as u32).unwrap_or(0) == 0;
        let fits = names_fit && (entry.honest.is_none() || honest.len() == entry.replicas);
        if !fits || !is_finite(decision, honest) {
            return false;
        }
        if self.count == 0 {
            self.begin(entry);
        }
        self.count += 1;
        self.newest_ns = self.newest_ns.max(entry.closed_ns);
        self.push_where(entry);
        self.push_what(entry);
        true
    }

    fn begin(&mut self, entry: &Entry<'_>) {
        // Mostly the next block is about as long as the last.
        self.bytes.reserve(self.last_bytes.saturating_add(HEADER_BYTES));
        self.bytes.resize(HEADER_BYTES, 0);
        (self.first_ns, self.newest_ns, self.first_round) = (entry.closed_ns, entry.closed_ns, entry.round);
        self.before = Before { stream: 0, round: entry.round, closed_ns: entry.closed_ns };
    }

    fn push_where(&mut self, entry: &Entry<'_>) {
        let stream = i64::from(entry.stream);
        let Before { stream: stream_before, round, closed_ns } = self.before;
        let out = &mut self.bytes;
        out.push(flags(entry));
        push_difference(out, stream_before, stream);
        push_difference(out, round, entry.round);
        push_difference(out, closed_ns, entry.closed_ns);
        self.before = Before { stream, round: entry.round, closed_ns: entry.closed_ns };
    }

    fn push_what(&mut self, entry: &Entry<'_>) {
        let (out, decision) = (&mut self.bytes, entry.decision);
        out.push(entry.replicas as u8);
        let bits = decision.quorum.bits().to_le_bytes();
        out.extend_from_slice(bits.get(..entry.replicas.div_ceil(8)).unwrap_or(&bits));
        push_varint(out, decision.point as u64);
        let Decision { value, confidence, mean, sd, low, high, .. } = *decision;
        let optional =
            [decision.log_evidence, decision.region.map(|r| r.low), decision.region.map(|r| r.high)];
        let numbers =
            [value, confidence, mean, sd, low, high].into_iter().chain(optional.into_iter().flatten());
        for number in numbers.chain(entry.honest.unwrap_or_default().iter().copied()) {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Whether it should be handed over before another decision is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BLOCK_FULL_BYTES
    }

    /// When its first decision was closed; `None` while there is none.
    #[must_use]
    pub fn since_ns(&self) -> Option<i64> {
        (self.count > 0).then_some(self.first_ns)
    }

    /// What was added since the last call, if anything.
    pub fn take(&mut self) -> Option<Block> {
        if self.count == 0 {
            return None;
        }
        let Self { bytes, count, newest_ns, first_ns, first_round, .. } = std::mem::take(self);
        self.last_bytes = bytes.len();
        let mut header = [0; HEADER_BYTES];
        let fields = [
            count.to_le_bytes().as_slice(),
            &first_ns.to_le_bytes(),
            &newest_ns.to_le_bytes(),
            &first_round.to_le_bytes(),
        ]
        .concat();
        header[0] = VERSION;
        for (place, byte) in header.iter_mut().skip(4).zip(fields) {
            *place = byte;
        }
        let mut block = Block { bytes, count, newest_ns };
        for (place, byte) in block.bytes.iter_mut().zip(header) {
            *place = byte;
        }
        Some(block)
    }
}

impl Block {
    /// How many decisions it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When the newest of them was closed.
    #[must_use]
    pub fn newest_ns(&self) -> i64 {
        self.newest_ns
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has none, which no block is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes to store, with their checksum.
    #[must_use]
    pub fn seal(mut self) -> Vec<u8> {
        let sum = checksum(&self.bytes);
        if let Some(place) = self.bytes.get_mut(CHECKSUM) {
            place.copy_from_slice(&sum);
        }
        self.bytes
    }
}

fn flags(entry: &Entry<'_>) -> u8 {
    let decision = entry.decision;
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    flag(decision.status == Status::Decided, DECIDED)
        | flag(decision.log_evidence.is_some(), LOG_EVIDENCE)
        | flag(decision.region.is_some(), REGION)
        | flag(entry.honest.is_some(), HONEST)
        | flag(decision.exhaustive, EXHAUSTIVE)
}

/// Whether decision files have words for all of it.
fn is_finite(decision: &Decision, honest: &[f64]) -> bool {
    let Decision { value, confidence, mean, sd, low, high, .. } = *decision;
    let optional = [decision.log_evidence, decision.region.map(|r| r.low), decision.region.map(|r| r.high)];
    let all = [value, confidence, mean, sd, low, high].into_iter().chain(optional.into_iter().flatten());
    all.chain(honest.iter().copied()).all(f64::is_finite)
}

/// The first eight bytes of the BLAKE3 hash of the bytes around the checksum's place.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes.get(..CHECKSUM.start).unwrap_or_default());
    hasher.update(bytes.get(CHECKSUM.end..).unwrap_or_default());
    let mut sum = [0; 8];
    for (place, byte) in sum.iter_mut().zip(hasher.finalize().as_bytes()) {
        *place = *byte;
    }
    sum
}

/// Reads the decisions of a block one after the other.
///
/// ```
/// use centauri::journal::{BlockBuilder, BlockReader, Entry};
/// use centauri_engine::{Decision, Quorum, Status};
/// let decision = Decision {
///     status: Status::NoQuorum, value: 2.0, point: 2, confidence: 0.9, mean: 1.9, sd: 0.3, low: 1.0, high: 2.0,
///     quorum: Quorum::EMPTY, log_evidence: None, region: None, exhaustive: true,
/// };
/// let mut builder = BlockBuilder::new();
/// builder.push(&Entry { stream: 0, round: 7, closed_ns: 1, decision: &decision, replicas: 3, honest: None });
/// let bytes = builder.take().expect("a decision").seal();
/// let mut reader = BlockReader::new(&bytes)?;
/// assert_eq!(reader.next()?.map(|entry| entry.round), Some(7));
/// assert_eq!(reader.next()?, None);
/// # Ok::<(), centauri::journal::BlockError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlockReader<'a> {
    bytes: Reader<'a>,
    count: u32,
    read: u32,
    before: Before,
    decision: Decision,
    honest: Vec<f64>,
}

impl<'a> BlockReader<'a> {
    /// Checks the header and the checksum.
    ///
    /// # Errors
    /// Bytes that are no block, or of another version.
    pub fn new(block: &'a [u8]) -> Result<Self, BlockError> {
        if !(HEADER_BYTES..=BLOCK_BYTES_MAX).contains(&block.len()) {
            return Err(BlockError::Length(block.len()));
        }
        let mut bytes = Reader(block);
        let version = bytes.u32().unwrap_or_default();
        if version != u32::from(VERSION) {
            return Err(BlockError::Version(version as u8));
        }
        let (count, closed_ns) = (bytes.u32().unwrap_or_default(), bytes.i64().unwrap_or_default());
        let (_, round) = (bytes.i64(), bytes.i64().unwrap_or_default());
        if bytes.array() != Some(checksum(block)) {
            return Err(BlockError::Checksum);
        }
        let before = Before { stream: 0, round, closed_ns };
        Ok(Self { bytes, count, read: 0, before, decision: NOTHING, honest: Vec::new() })
    }

    /// The next decision; `None` after the last.
    ///
    /// # Errors
    /// Bytes that say something that no block says: there is no next one then.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives borrows from it, which no iterator's items may"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, BlockError> {
        if self.read == self.count {
            return if self.bytes.is_empty() { Ok(None) } else { Err(BlockError::Decision(self.read)) };
        }
        let error = BlockError::Decision(self.read);
        let Some((stream, replicas, is_honest)) = self.read_entry() else {
            (self.read, self.count, self.bytes) = (0, 0, Reader(&[]));
            return Err(error);
        };
        self.read += 1;
        let Before { round, closed_ns, .. } = self.before;
        let honest = is_honest.then_some(self.honest.as_slice());
        Ok(Some(Entry { stream, round, closed_ns, decision: &self.decision, replicas, honest }))
    }

    fn read_entry(&mut self) -> Option<(u32, usize, bool)> {
        let bytes = &mut self.bytes;
        let flags = bytes.u8().filter(|flags| flags & !ALL_FLAGS == 0)?;
        let has = |flag| flags & flag != 0;
        self.before = Before {
            stream: bytes.difference(self.before.stream)?,
            round: bytes.difference(self.before.round)?,
            closed_ns: bytes.difference(self.before.closed_ns)?,
        };
        let stream = u32::try_from(self.before.stream).ok()?;
        let replicas = usize::from(bytes.u8()?);
        let quorum = read_quorum(bytes, replicas)?;
        let point = usize::try_from(bytes.varint()?).ok()?;
        let mut number = || bytes.finite();
        self.decision = Decision {
            status: if has(DECIDED) { Status::Decided } else { Status::NoQuorum },
            value: number()?,
            confidence: number()?,
            mean: number()?,
            sd: number()?,
            low: number()?,
            high: number()?,
            point,
            quorum,
            log_evidence: if has(LOG_EVIDENCE) { Some(number()?) } else { None },
            region: if has(REGION) { Some(Region { low: number()?, high: number()? }) } else { None },
            exhaustive: has(EXHAUSTIVE),
        };
        self.honest.clear();
        for _ in 0..if has(HONEST) { replicas } else { 0 } {
            self.honest.push(number()?);
        }
        Some((stream, replicas, has(HONEST)))
    }
}

const NOTHING: Decision = Decision {
    status: Status::NoQuorum,
    value: 0.0,
    point: 0,
    confidence: 0.0,
    mean: 0.0,
    sd: 0.0,
    low: 0.0,
    high: 0.0,
    quorum: Quorum::EMPTY,
    log_evidence: None,
    region: None,
    exhaustive: false,
};

/// The bits of a quorum, none of them of a replica that is not there.
fn read_quorum(bytes: &mut Reader<'_>, replicas: usize) -> Option<Quorum> {
    if replicas > REPLICAS_MAX {
        return None;
    }
    let mut quorum = Quorum::EMPTY;
    for (byte, first) in bytes.take(replicas.div_ceil(8))?.iter().zip((0..).step_by(8)) {
        for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
            let position: usize = first + bit;
            quorum = quorum.with(Some(position).filter(|position| *position < replicas)?);
        }
    }
    Some(quorum)
}
