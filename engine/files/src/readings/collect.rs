//! From rows in any order to rounds in order.

use super::sort::{Row, Sorted, Sorter, Spill};
use super::{Directory, Reading};
use crate::error::FileError;
use centauri_engine::Report;

/// Everything that came for one round of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// The position of the stream in the [`Directory`].
    pub stream: usize,
    /// The number of the round.
    pub round: i64,
    /// A report for each replica, in the order of the model.
    pub reports: Vec<Report>,
}

/// Collects rows in any order.
///
/// Up to a limit ([`Spill`]) the rows are kept in memory; beyond it they go as sorted runs to a temporary file, and are
/// merged when the rounds are read. What comes out is the same.
#[derive(Debug)]
pub struct RoundCollector<'d> {
    directory: &'d Directory,
    sorter: Sorter,
}

impl<'d> RoundCollector<'d> {
    /// Collects rows whose positions are those of `directory`, within the memory of [`Spill::default`].
    #[must_use]
    pub fn new(directory: &'d Directory) -> Self {
        Self::with_spill(directory, Spill::default())
    }

    /// Collects rows whose positions are those of `directory`, as `spill` allows.
    #[must_use]
    pub fn with_spill(directory: &'d Directory, spill: Spill) -> Self {
        Self { directory, sorter: Sorter::new(spill) }
    }

    /// Takes in one row. A row of a stream or replica that the directory does not have is left out.
    ///
    /// # Errors
    /// [`FileError::Io`] when rows must go to the temporary file and it cannot be created or written.
    pub fn push(&mut self, reading: &Reading) -> Result<(), FileError> {
        if reading.replica >= self.directory.replicas(reading.stream).len() {
            return Ok(());
        }
        self.sorter.push(Row {
            round: reading.round,
            value: reading.value.unwrap_or(f64::NAN),
            rank: self.directory.rank(reading.stream),
            replica: u32::try_from(reading.replica).unwrap_or(u32::MAX),
        })
    }

    /// The rounds in order of stream name (UTF-8 bytes), then round.
    ///
    /// # Errors
    /// [`FileError::Io`] when the temporary file cannot be written or read.
    pub fn finish(self) -> Result<Rounds<'d>, FileError> {
        let mut rows = self.sorter.finish()?;
        let ahead = rows.next()?;
        Ok(Rounds { directory: self.directory, rows, ahead, rows_read: 0 })
    }
}

/// The rounds that rows make, in order of stream name (UTF-8 bytes), then round.
#[derive(Debug)]
pub struct Rounds<'d> {
    directory: &'d Directory,
    rows: Sorted,
    /// The first row of the next round.
    ahead: Option<Row>,
    rows_read: u64,
}

impl Rounds<'_> {
    /// Puts the next round into `round`, whose memory is used again; `false` after the last one.
    ///
    /// # Errors
    /// [`FileError::Io`] when the temporary file cannot be read.
    pub fn read(&mut self, round: &mut Round) -> Result<bool, FileError> {
        let Some(first) = self.ahead.take() else { return Ok(false) };
        round.stream = self.directory.at_rank(first.rank).unwrap_or_default();
        round.round = first.round;
        round.reports.clear();
        round.reports.resize(self.directory.replicas(round.stream).len(), Report::Missing);
        let mut next = Some(first);
        while let Some(row) = next.filter(|row| row.round_key() == first.round_key()) {
            if !row.value.is_nan()
                && let Some(report) = round.reports.get_mut(row.replica as usize)
            {
                report.absorb(row.value);
            }
            self.rows_read += 1;
            next = self.rows.next()?;
        }
        self.ahead = next;
        Ok(true)
    }

    /// How many rows the rounds that have been read were made of.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// How many rows there are in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.count
    }
}

impl Iterator for Rounds<'_> {
    type Item = Result<Round, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut round = Round::default();
        self.read(&mut round).map(|more| more.then_some(round)).transpose()
    }
}

/// Collects all of `readings` to rounds, within the memory of [`Spill::default`].
///
/// The same value twice from one replica is one message, different ones are an equivocation; a row without value
/// claims nothing, and makes its round exist.
///
/// # Errors
/// The first error of `readings`, and those of a [`RoundCollector`].
pub fn collect_rounds<'d>(
    readings: impl IntoIterator<Item = Result<Reading, FileError>>,
    directory: &'d Directory,
) -> Result<Rounds<'d>, FileError> {
    let mut collector = RoundCollector::new(directory);
    for reading in readings {
        collector.push(&reading?)?;
    }
    collector.finish()
}
