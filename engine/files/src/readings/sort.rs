//! Rows in order, however many: sorted runs in a temporary file, merged when they are read.

use crate::error::FileError;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a row in the temporary file: rank, round, replica and value, little-endian.
const ROW_BYTES: usize = 24;
/// Bytes of memory that a row takes while it is sorted: itself, and half as much again to merge into.
const SORTED_ROW_BYTES: usize = ROW_BYTES + ROW_BYTES / 2;
/// What is read of a run at once, at least and at most.
const RUN_BUFFER_ROWS: std::ops::RangeInclusive<usize> = 170..=10_922;
/// What is written at once.
const WRITE_ROWS: usize = 4_096;

/// When rows that wait for the end of the input go to a disk, and where.
///
/// The temporary file has no name there and goes with the process, however that ends. It takes 24 bytes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spill {
    /// Memory for rows, in bytes. Up to as many rows as fit in it stay in memory; with more, it is what sorting takes,
    /// and again what merging takes (or 4 KiB for each time it was filled, where that is more).
    pub memory_bytes: usize,
    /// The directory of the temporary file. It should be on a disk: where it is itself memory (as `/tmp` sometimes is),
    /// nothing is won.
    pub directory: PathBuf,
}

impl Default for Spill {
    /// 64 MiB, and the system's directory for temporary files (`TMPDIR`).
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, directory: std::env::temp_dir() }
    }
}

/// A row in the order of the output: by name of the stream, round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) round: i64,
    /// NaN where the row has no value: it makes the round exist and claims nothing.
    pub(super) value: f64,
    pub(super) rank: u32,
    pub(super) replica: u32,
}

impl Row {
    pub(super) fn round_key(&self) -> (u32, i64) {
        (self.rank, self.round)
    }

    fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        let (rank, rest) = bytes.split_at_mut(4);
        let (round, rest) = rest.split_at_mut(8);
        let (replica, value) = rest.split_at_mut(4);
        rank.copy_from_slice(&self.rank.to_le_bytes());
        round.copy_from_slice(&self.round.to_le_bytes());
        replica.copy_from_slice(&self.replica.to_le_bytes());
        value.copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Option<Self> {
        let (rank, rest) = bytes.split_first_chunk()?;
        let (round, rest) = rest.split_first_chunk()?;
        let (replica, rest) = rest.split_first_chunk()?;
        let value = rest.first_chunk()?;
        Some(Self {
            rank: u32::from_le_bytes(*rank),
            round: i64::from_le_bytes(*round),
            replica: u32::from_le_bytes(*replica),
            value: f64::from_le_bytes(*value),
        })
    }
}

/// Takes in rows in any order; gives them in order, rows of one round in the order in which they came.
#[derive(Debug)]
pub(super) struct Sorter {
    spill: Spill,
    rows_max: usize,
    rows: Vec<Row>,
    runs: Option<Runs>,
    count: u64,
}

impl Sorter {
    pub(super) fn new(spill: Spill) -> Self {
        let rows_max = (spill.memory_bytes / SORTED_ROW_BYTES).max(1);
        Self { spill, rows_max, rows: Vec::new(), runs: None, count: 0 }
    }

    pub(super) fn push(&mut self, row: Row) -> Result<(), FileError> {
        if self.rows.len() >= self.rows_max {
            self.spill()?;
        }
        if self.rows.len() == self.rows.capacity() {
            // Doubled, but never beyond the limit.
            let more = self.rows.len().clamp(1_024, usize::MAX / 2).min(self.rows_max - self.rows.len());
            self.rows.reserve_exact(more);
        }
        self.rows.push(row);
        self.count += 1;
        Ok(())
    }

    fn spill(&mut self) -> Result<(), FileError> {
        // Stable, and linear where the rows came in order.
        self.rows.sort_by_key(Row::round_key);
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(Runs::create(&self.spill.directory)?),
        };
        runs.append(&self.rows).map_err(told(&self.spill.directory, "writing"))?;
        self.rows.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Sorted, FileError> {
        if self.runs.is_some() && !self.rows.is_empty() {
            self.spill()?;
        }
        let source = match self.runs {
            None => {
                self.rows.sort_by_key(Row::round_key);
                Source::Memory(self.rows.into_iter())
            }
            Some(runs) => {
                drop(self.rows);
                let merge = Merge::new(runs, self.spill.memory_bytes);
                Source::Disk(Box::new(merge.map_err(told(&self.spill.directory, "reading"))?))
            }
        };
        Ok(Sorted { source, directory: self.spill.directory, count: self.count })
    }
}

fn told(directory: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let file = format!("temporary file in {}", directory.display());
    move |reason| FileError::Io { file, action, reason }
}

/// The rows in order.
#[derive(Debug)]
pub(super) struct Sorted {
    source: Source,
    directory: PathBuf,
    /// How many rows there are in all.
    pub(super) count: u64,
}

#[derive(Debug)]
enum Source {
    Memory(std::vec::IntoIter<Row>),
    Disk(Box<Merge>),
}

impl Sorted {
    pub(super) fn next(&mut self) -> Result<Option<Row>, FileError> {
        match &mut self.source {
            Source::Memory(rows) => Ok(rows.next()),
            Source::Disk(merge) => merge.next().map_err(told(&self.directory, "reading")),
        }
    }
}

/// Sorted runs, one after the other in a file without a name.
#[derive(Debug)]
struct Runs {
    file: File,
    /// Where each run ends, in bytes.
    ends: Vec<u64>,
    last_key: Option<(u32, i64)>,
    bytes: Vec<u8>,
}

impl Runs {
    fn create(directory: &Path) -> Result<Self, FileError> {
        let file = tempfile::tempfile_in(directory).map_err(told(directory, "creating"))?;
        Ok(Self { file, ends: Vec::new(), last_key: None, bytes: Vec::new() })
    }

    /// Adds sorted rows: to the last run where they go on from it, so that input in order makes one run.
    fn append(&mut self, rows: &[Row]) -> io::Result<()> {
        for piece in rows.chunks(WRITE_ROWS) {
            self.bytes.clear();
            self.bytes.extend(piece.iter().flat_map(|row| row.to_bytes()));
            self.file.write_all(&self.bytes)?;
        }
        let before = self.ends.last().copied().unwrap_or(0);
        let end = before + rows.len() as u64 * ROW_BYTES as u64;
        let goes_on = self.last_key.is_some() && self.last_key <= rows.first().map(Row::round_key);
        match self.ends.last_mut() {
            Some(last) if goes_on => *last = end,
            _ => self.ends.push(end),
        }
        self.last_key = rows.last().map(Row::round_key);
        Ok(())
    }
}

/// Runs being merged.
#[derive(Debug)]
struct Merge {
    file: File,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<Head>>,
}

/// What is left of a run.
#[derive(Debug)]
struct Run {
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

/// The first row of what is left of a run.
#[derive(Clone, Copy, Debug)]
struct Head {
    row: Row,
    run: usize,
}

impl Head {
    fn key(&self) -> (u32, i64, usize) {
        (self.row.rank, self.row.round, self.run)
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head {}

impl Merge {
    fn new(runs: Runs, memory_bytes: usize) -> io::Result<Self> {
        let Runs { mut file, ends, .. } = runs;
        let rows = memory_bytes / ROW_BYTES / ends.len().max(1);
        let buffer_bytes = rows.clamp(*RUN_BUFFER_ROWS.start(), *RUN_BUFFER_ROWS.end()) * ROW_BYTES;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let run = |(at, &end)| {
            let size = buffer_bytes.min(usize::try_from(end - at).unwrap_or(usize::MAX));
            Run { at, end, buffer: vec![0; size], used: size }
        };
        let mut runs: Vec<_> = starts.zip(&ends).map(run).collect();
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next(&mut file)?.map(|row| Reverse(Head { row, run: index })));
        }
        Ok(Self { file, runs, heads })
    }

    fn next(&mut self) -> io::Result<Option<Row>> {
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse(Head { row, run }) = *head;
        match self.runs.get_mut(run).map(|run| run.next(&mut self.file)).transpose()?.flatten() {
            Some(next) => *head = Reverse(Head { row: next, run }),
            None => drop(PeekMut::pop(head)),
        }
        Ok(Some(row))
    }
}

impl Run {
    fn next(&mut self, file: &mut File) -> io::Result<Option<Row>> {
        if self.used == self.buffer.len() {
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            self.buffer.truncate(left);
            self.used = 0;
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(&mut self.buffer)?;
            self.at += self.buffer.len() as u64;
        }
        let row = self.buffer.get(self.used..).and_then(|rest| rest.first_chunk()).and_then(Row::from_bytes);
        self.used += if row.is_some() { ROW_BYTES } else { 0 };
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rank: u32, round: i64, replica: u32) -> Row {
        Row { round, value: f64::from(replica) + 0.5, rank, replica }
    }

    fn sorted(spill: Spill, rows: &[Row]) -> Vec<[u8; ROW_BYTES]> {
        let mut sorter = Sorter::new(spill);
        for &row in rows {
            sorter.push(row).unwrap();
        }
        let mut sorted = sorter.finish().unwrap();
        assert_eq!(sorted.count, rows.len() as u64);
        std::iter::from_fn(|| sorted.next().unwrap()).map(Row::to_bytes).collect()
    }

    /// Runs of one row up to runs that hold everything, all the same as a stable sort in memory.
    #[test]
    fn any_limit_gives_the_same_order() {
        let directory = tempfile::tempdir().unwrap();
        let rows: Vec<_> = (0..5_000u32)
            .map(|i| row(i.wrapping_mul(2_654_435_761) >> 30, i64::from(i % 7) - 3, i))
            .collect();
        let mut expected = rows.clone();
        expected.sort_by_key(Row::round_key);
        let expected: Vec<_> = expected.into_iter().map(Row::to_bytes).collect();
        for memory_bytes in [0, 100, 3_000, 40_000, 1 << 20] {
            let spill = Spill { memory_bytes, directory: directory.path().to_owned() };
            assert_eq!(sorted(spill, &rows), expected, "{memory_bytes}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn input_in_order_makes_one_run() {
        let spill = Spill { memory_bytes: 100 * SORTED_ROW_BYTES, ..Spill::default() };
        let mut sorter = Sorter::new(spill);
        for i in 0..10_000 {
            sorter.push(row(i / 5_000, i64::from(i / 3), i)).unwrap();
        }
        assert_eq!(sorter.runs.as_ref().map(|runs| runs.ends.len()), Some(1));
        sorter.push(row(0, 0, 0)).unwrap();
        let mut sorted = sorter.finish().unwrap();
        let Source::Disk(merge) = &sorted.source else { panic!("on disk") };
        assert_eq!(merge.runs.len(), 2);
        let first: Vec<_> = (0..4).map(|_| sorted.next().unwrap().unwrap().replica).collect();
        assert_eq!(first, [0, 1, 2, 0], "rows of a round in the order in which they came");
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let spill = Spill { memory_bytes: 0, directory: "/nowhere/at/all".into() };
        let mut sorter = Sorter::new(spill);
        sorter.push(row(0, 0, 0)).unwrap();
        let error = sorter.push(row(0, 1, 0)).unwrap_err().to_string();
        let expected = "temporary file in /nowhere/at/all: creating: No such file or directory";
        assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
    }
}
