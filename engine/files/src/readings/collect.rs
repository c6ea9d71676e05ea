//! From rows in any order to rounds in order.

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

/// Collects rows in any order; 32 bytes of memory for each.
///
/// Rows are kept as they come and put in order at the end, so that a collector for files larger than memory can put
/// sorted runs on disk and merge them behind the same [`Rounds`].
#[derive(Clone, Debug)]
pub struct RoundCollector<'d> {
    directory: &'d Directory,
    rows: Vec<Row>,
}

/// A row in the order of the output: by name of the stream, round, replica.
#[derive(Clone, Copy, Debug)]
struct Row {
    round: i64,
    /// NaN where the row has no value: it makes the round exist and claims nothing.
    value: f64,
    rank: u32,
    replica: u32,
}

impl Row {
    fn round_key(&self) -> (u32, i64) {
        (self.rank, self.round)
    }
}

impl<'d> RoundCollector<'d> {
    /// Collects rows whose positions are those of `directory`.
    #[must_use]
    pub fn new(directory: &'d Directory) -> Self {
        Self { directory, rows: Vec::new() }
    }

    /// Takes in one row. A row of a stream or replica that the directory does not have is left out.
    pub fn push(&mut self, reading: &Reading) {
        if reading.replica >= self.directory.replicas(reading.stream).len() {
            return;
        }
        self.rows.push(Row {
            round: reading.round,
            value: reading.value.unwrap_or(f64::NAN),
            rank: self.directory.rank(reading.stream),
            replica: u32::try_from(reading.replica).unwrap_or(u32::MAX),
        });
    }

    /// The rounds in order of stream name (UTF-8 bytes), then round.
    #[must_use]
    pub fn finish(mut self) -> Rounds<'d> {
        self.rows.sort_by_key(Row::round_key);
        Rounds { directory: self.directory, rows: self.rows, next: 0 }
    }
}

/// The rounds that rows make, in order of stream name (UTF-8 bytes), then round.
#[derive(Clone, Debug)]
pub struct Rounds<'d> {
    directory: &'d Directory,
    rows: Vec<Row>,
    next: usize,
}

impl Rounds<'_> {
    /// Puts the next round into `round`, whose memory is used again; `false` after the last one.
    ///
    /// # Errors
    /// None today; what is read back from a disk may fail.
    pub fn read(&mut self, round: &mut Round) -> Result<bool, FileError> {
        let rest = self.rows.get(self.next..).unwrap_or_default();
        let Some(first) = rest.first() else { return Ok(false) };
        let count = rest.iter().take_while(|row| row.round_key() == first.round_key()).count();
        round.stream = self.directory.at_rank(first.rank).unwrap_or_default();
        round.round = first.round;
        round.reports.clear();
        round.reports.resize(self.directory.replicas(round.stream).len(), Report::Missing);
        for row in rest.iter().take(count).filter(|row| !row.value.is_nan()) {
            if let Some(report) = round.reports.get_mut(row.replica as usize) {
                report.absorb(row.value);
            }
        }
        self.next += count;
        Ok(true)
    }
}

impl Iterator for Rounds<'_> {
    type Item = Result<Round, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut round = Round::default();
        self.read(&mut round).map(|more| more.then_some(round)).transpose()
    }
}

/// Collects all of `readings` to rounds.
///
/// The same value twice from one replica is one message, different ones are an equivocation; a row without value
/// claims nothing, and makes its round exist.
///
/// # Errors
/// The first error of `readings`.
pub fn collect_rounds<'d>(
    readings: impl IntoIterator<Item = Result<Reading, FileError>>,
    directory: &'d Directory,
) -> Result<Rounds<'d>, FileError> {
    let mut collector = RoundCollector::new(directory);
    for reading in readings {
        collector.push(&reading?);
    }
    Ok(collector.finish())
}
