//! Decisions into columns.

use super::schema::{UNPROVEN_ROWS_KEY, decisions_schema, honest_fields, quorum_element};
use super::sink::{BATCH_ROWS, ParquetSink, refused};
use crate::decisions::{DecisionRecord, numbers, optional, quorum};
use crate::rows::RowSink;
use arrow_array::builder::{
    Float64Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

/// Ranges of unproven rows that are told apart.
const RANGES_MAX: usize = 1 << 16;

/// Decisions on their way into a batch.
#[derive(Debug)]
pub(super) struct DecisionColumns {
    rows: usize,
    stream: StringBuilder,
    round: Int64Builder,
    status: StringBuilder,
    numbers: [Float64Builder; 6],
    quorum: ListBuilder<StringBuilder>,
    optional: [Float64Builder; 3],
    honest: MapBuilder<StringBuilder, Float64Builder>,
}

impl DecisionColumns {
    pub(super) fn new() -> Self {
        let names =
            MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
        let mut honest = MapBuilder::new(Some(names), StringBuilder::new(), Float64Builder::new());
        if let [key, value] = honest_fields().as_ref() {
            honest = honest.with_keys_field(Arc::clone(key)).with_values_field(Arc::clone(value));
        }
        Self {
            rows: 0,
            stream: StringBuilder::new(),
            round: Int64Builder::new(),
            status: StringBuilder::new(),
            numbers: std::array::from_fn(|_| Float64Builder::new()),
            quorum: ListBuilder::new(StringBuilder::new()).with_field(quorum_element()),
            optional: std::array::from_fn(|_| Float64Builder::new()),
            honest,
        }
    }

    /// Adds one row, or nothing of it.
    pub(super) fn push(&mut self, record: &DecisionRecord<'_>) -> io::Result<()> {
        check_finite(record)?;
        self.stream.append_value(record.stream);
        self.round.append_value(record.round);
        self.status.append_value(record.decision.status.name());
        for (column, (_, value)) in self.numbers.iter_mut().zip(numbers(record.decision)) {
            column.append_value(value);
        }
        self.quorum.append_value(quorum(record).map(Some));
        for (column, (_, value)) in self.optional.iter_mut().zip(optional(record.decision)) {
            column.append_option(value);
        }
        for (name, &p) in record.replicas.iter().zip(record.honest.unwrap_or_default()) {
            self.honest.keys().append_value(name);
            self.honest.values().append_value(p);
        }
        self.honest.append(record.honest.is_some()).map_err(refused)?;
        self.rows += 1;
        Ok(())
    }

    /// The rows since the last batch.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.stream.finish()),
            Arc::new(self.round.finish()),
            Arc::new(self.status.finish()),
        ];
        columns.extend(self.numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.quorum.finish()));
        columns.extend(self.optional.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.honest.finish()));
        self.rows = 0;
        RecordBatch::try_new(decisions_schema(), columns)
    }
}

/// The other formats have no words for what is not finite, and neither format has half a row.
fn check_finite(record: &DecisionRecord<'_>) -> io::Result<()> {
    let decision = record.decision;
    let optional = optional(decision).into_iter().filter_map(|(_, value)| value);
    let all = numbers(decision).into_iter().map(|(_, value)| value).chain(optional);
    match all.chain(record.honest.unwrap_or_default().iter().copied()).find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => {
            let problem = format!("found {value}, expected a finite number");
            Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
        }
    }
}

/// Rows of which the search for the quorum could not prove its result.
#[derive(Debug, Default)]
pub(super) struct Unproven {
    rows: u64,
    ranges: Vec<(u64, u64)>,
}

impl Unproven {
    pub(super) fn push(&mut self, exhaustive: bool) {
        let row = self.rows;
        self.rows += 1;
        if exhaustive {
            return;
        }
        let full = self.ranges.len() >= RANGES_MAX;
        match self.ranges.last_mut() {
            Some((_, end)) if full || *end + 1 == row => *end = row,
            _ => self.ranges.push((row, row)),
        }
    }

    /// Key and value of the metadata, where there is something to tell.
    pub(super) fn metadata(&self) -> Option<(&'static str, String)> {
        let mut text = String::new();
        for &(first, last) in &self.ranges {
            let comma = if text.is_empty() { "" } else { "," };
            let range = if first == last {
                write!(text, "{comma}{first}")
            } else {
                write!(text, "{comma}{first}-{last}")
            };
            range.ok()?;
        }
        (!text.is_empty()).then_some((UNPROVEN_ROWS_KEY, text))
    }
}

/// Decisions on their way into a Parquet file.
#[derive(Debug)]
pub(crate) struct DecisionSink {
    sink: ParquetSink,
    columns: DecisionColumns,
    unproven: Unproven,
}

impl DecisionSink {
    fn encode(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.sink.write(&self.columns.finish().map_err(refused)?, out)
    }
}

impl RowSink for DecisionSink {
    type Record<'a> = DecisionRecord<'a>;

    fn new() -> io::Result<Self> {
        let sink = ParquetSink::new(decisions_schema())?;
        Ok(Self { sink, columns: DecisionColumns::new(), unproven: Unproven::default() })
    }

    fn push(&mut self, record: &DecisionRecord<'_>, out: &mut impl Write) -> io::Result<()> {
        self.columns.push(record)?;
        self.unproven.push(record.decision.exhaustive);
        if self.columns.rows >= BATCH_ROWS { self.encode(out) } else { Ok(()) }
    }

    fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.encode(out)?;
        self.sink.finish(self.unproven.metadata(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unproven_rows_are_told_in_ranges() {
        let of = |rows: &[bool]| {
            let mut unproven = Unproven::default();
            rows.iter().for_each(|&exhaustive| unproven.push(exhaustive));
            unproven.metadata().map(|(_, text)| text)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[true, true]), None);
        assert_eq!(of(&[false, true, true, false, false, false, true]).as_deref(), Some("0,3-5"));
        let many: Vec<bool> = (0..4 * RANGES_MAX).map(|row| row % 2 == 0).collect();
        let text = of(&many).unwrap();
        assert_eq!(text.split(',').count(), RANGES_MAX);
        assert!(
            text.ends_with(&format!(",{}-{}", 2 * RANGES_MAX - 1, 4 * RANGES_MAX - 1)),
            "no row is left out"
        );
    }
}
