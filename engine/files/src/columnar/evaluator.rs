//! Batches of readings in, batches of decisions out.

use super::columns::ReadingColumns;
use super::decisions::{DecisionColumns, Unproven};
use super::schema::decisions_schema;
use crate::decisions::DecisionRecord;
use crate::error::FileError;
use crate::readings::{Directory, Guess, Round, RoundCollector, Spill};
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};
use centauri_engine::{Backend, Fleet, Objective, Session, SessionError, StreamId};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// Rounds that are evaluated together.
const ROUNDS: usize = 4_096;

/// What errors call a batch.
const NAME: &str = "batch";

/// Decides rounds that come as Arrow record batches.
///
/// A batch holds whole rounds: rows of one round that come in two batches make two decisions. A stream whose prior follows
/// the round before remembers it from batch to batch, so its rounds must come in ascending order.
///
/// ```
/// use arrow_array::cast::AsArray;
/// use arrow_array::types::Float64Type;
/// use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
/// use centauri_engine::{Fleet, ScalarBackend};
/// use centauri_files::{BatchEvaluator, parse_model, readings_schema};
/// use std::sync::Arc;
///
/// let model = parse_model(
///     r#"
///     version = 1
///     [[streams]]
///     name = "road/7"
///     replicas = ["north", "south", "west"]
///     faults = 1
///     support = { min = 0, step = 1, points = 101 }
///     output = { computation = "identity", noise = { family = "normal", mean = 0, sd = 2 } }
///     "#,
///     "model.toml",
/// )?;
/// let mut evaluator = BatchEvaluator::new(Fleet::compile(&model)?, Box::new(ScalarBackend::new()));
/// let readings = RecordBatch::try_new(
///     readings_schema(),
///     vec![
///         Arc::new(StringArray::from(vec!["road/7"; 3])),
///         Arc::new(Int64Array::from(vec![1; 3])),
///         Arc::new(StringArray::from(vec!["north", "south", "west"])),
///         Arc::new(Float64Array::from(vec![Some(50.0), Some(50.0), Some(3.0)])),
///     ],
/// )?;
/// let decisions = evaluator.evaluate(&readings)?;
/// assert_eq!(decisions.num_rows(), 1);
/// let values = decisions.column_by_name("value").ok_or("a column is missing")?;
/// assert_eq!(values.as_primitive::<Float64Type>().value(0), 50.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchEvaluator {
    session: Session,
    directory: Directory,
    columns: DecisionColumns,
}

/// A batch that cannot be decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A column or row that is not as expected.
    #[error(transparent)]
    Readings(#[from] FileError),
    /// A round that cannot be decided, or not after those before.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A decision that makes no row: a number that is not finite.
    #[error("decisions: {0}")]
    Decision(#[from] io::Error),
    /// Columns that make no batch, because they are too large.
    #[error("decisions: {0}")]
    Arrow(#[from] ArrowError),
}

impl BatchEvaluator {
    /// Decides rounds of `fleet` with `backend`.
    #[must_use]
    pub fn new(fleet: Fleet, backend: Box<dyn Backend>) -> Self {
        let names = |stream: &centauri_engine::Stream| (stream.name().to_owned(), stream.replicas().to_vec());
        let directory = fleet.streams().iter().map(names).collect();
        Self { session: Session::new(fleet, backend), directory, columns: DecisionColumns::new() }
    }

    /// Decides by `objective` instead of each model's own.
    #[must_use]
    pub fn with_objective(mut self, objective: Option<Objective>) -> Self {
        self.session = self.session.with_objective(objective);
        self
    }

    /// The decisions on the rounds in `readings`, with the columns of [`decisions_schema`], in order of stream name (UTF-8
    /// bytes), then round.
    ///
    /// `readings` has the columns of [`readings_schema`](super::readings_schema) in any order. Names may also be large utf8,
    /// views, binary or dictionaries of these, `round` any signed integer, `value` float32 or a signed integer. A null
    /// `value` is missing. Where a search for a quorum could not prove its result, the batch's metadata tells the rows
    /// ([`UNPROVEN_ROWS_KEY`](super::UNPROVEN_ROWS_KEY)).
    ///
    /// # Errors
    /// [`BatchError::Readings`] for a column or row that is not as expected: nothing of the batch has then been decided.
    /// [`BatchError::Session`] for a round that a following prior cannot take, or a backend that fails; rounds of the
    /// batch before it are then decided, and lost.
    pub fn evaluate(&mut self, readings: &RecordBatch) -> Result<RecordBatch, BatchError> {
        self.columns = DecisionColumns::new();
        let mut unproven = Unproven::default();
        let mut rounds = collect(readings, &self.directory)?.finish()?;
        let mut round = Round::default();
        while rounds.read(&mut round)? {
            let stream = StreamId(u32::try_from(round.stream).unwrap_or(u32::MAX));
            if self.session.pending().len() >= ROUNDS || self.session.must_flush_before(stream) {
                flush(&mut self.session, &mut self.columns, &mut unproven)?;
            }
            self.session.push(stream, round.round, &round.reports)?;
        }
        flush(&mut self.session, &mut self.columns, &mut unproven)?;
        let batch = self.columns.finish()?;
        match unproven.metadata() {
            None => Ok(batch),
            Some((key, value)) => {
                let metadata = HashMap::from([(key.to_owned(), value)]);
                let schema = Schema::new_with_metadata(decisions_schema().fields().clone(), metadata);
                Ok(batch.with_schema(Arc::new(schema))?)
            }
        }
    }
}

fn collect<'d>(readings: &RecordBatch, directory: &'d Directory) -> Result<RoundCollector<'d>, FileError> {
    let columns = ReadingColumns::new(readings)
        .map_err(|problem| FileError::Columns { file: NAME.to_owned(), problem })?;
    // The batch is in memory already, so its rows need no disk.
    let spill = Spill { memory_bytes: usize::MAX, ..Spill::default() };
    let mut collector = RoundCollector::with_spill(directory, spill);
    let mut guess = Guess::default();
    for index in 0..columns.rows() {
        let row = columns.row(index, index as u64);
        let reading = row.and_then(|row| guess.resolve(directory, &row));
        collector.push(&reading.map_err(|error| error.in_columns(NAME))?)?;
    }
    Ok(collector)
}

fn flush(
    session: &mut Session,
    columns: &mut DecisionColumns,
    unproven: &mut Unproven,
) -> Result<(), BatchError> {
    session.flush()?;
    let decided = session.decided();
    for (i, &(stream, round)) in session.flushed().iter().enumerate() {
        let Some(info) = session.fleet().stream(stream) else { continue };
        let decision = decided.decision(i);
        columns.push(&DecisionRecord {
            stream: info.name(),
            round,
            replicas: info.replicas(),
            decision,
            honest: decided.honest(i),
        })?;
        unproven.push(decision.exhaustive);
    }
    Ok(())
}
