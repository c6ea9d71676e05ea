//! A ledger as bytes, to be kept over a restart.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 4 | magic | the letters `CHLT` |
//! | 4 | 2 | version `u16` | 1 |
//! | 6 | 2 | reserved | 0 |
//! | 8 | 8 | streams `u64` | a digest of the replicas and faults of all streams: FNV-1a, 64 bits |
//! | 16 | 8·r | entries | of each replica of each stream, in order |
//!
//! An entry is ln M `f32`, 1024·ln R `u16`, and a `u16` whose two highest bits are the state (0 healthy, 1 recovering, 2
//! suspect, 3 faulty) and whose others are the rounds in it. Everything is little-endian.

use super::error::SnapshotError;
use super::ledger::Ledger;
use super::record::Record;

const MAGIC: [u8; 4] = *b"CHLT";
pub(super) const VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 8;

impl Ledger {
    /// The ledger's states and statistics as bytes: 16, and 8 for each replica of each stream.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.snapshot_bytes());
        bytes.extend(self.header());
        bytes.extend(self.records.iter().flat_map(|record| record.to_bytes()));
        bytes
    }

    fn snapshot_bytes(&self) -> usize {
        HEADER_BYTES + ENTRY_BYTES * self.records.len()
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[8..].copy_from_slice(&self.digest().to_le_bytes());
        header
    }

    /// Against mistakes, not against an adversary: who can write the journal can write anything.
    fn digest(&self) -> u64 {
        let bytes = self.streams.iter().flat_map(|stream| [stream.replicas, stream.faults]);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// Takes states and statistics over from a snapshot of a ledger of the same streams. The policy may be another.
    ///
    /// # Errors
    /// Bytes that are no snapshot of such a ledger; this one is then as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let (found, expected) = (bytes.len(), self.snapshot_bytes());
        if found != expected {
            return Err(SnapshotError::Length { found, expected });
        }
        let (header, entries) = bytes.split_at(HEADER_BYTES);
        let own = self.header();
        if header[..8] != own[..8] {
            return Err(SnapshotError::Header);
        }
        if header != own {
            return Err(SnapshotError::Streams);
        }
        let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
        let record = |(entry, bytes): (usize, &[u8; ENTRY_BYTES])| {
            Record::from_bytes(*bytes, &self.limits).ok_or(SnapshotError::Entry { entry })
        };
        self.records = entries.iter().enumerate().map(record).collect::<Result<_, _>>()?;
        self.count_nodes();
        Ok(())
    }
}
