//! Decisions: one row a round.

pub(crate) mod text;

use crate::columnar::DecisionSink;
use crate::format::Format;
use crate::rows::RowWriter;
use centauri_engine::Decision;
use std::io::{self, Write};

/// The columns, in the order of CSV and of the keys in JSON.
const HEADER: &str =
    "stream,round,status,value,confidence,mean,sd,low,high,quorum,log_evidence,region_low,region_high,honest";

/// The decision on one round of one stream, with the names that go with it.
#[derive(Clone, Copy, Debug)]
pub struct DecisionRecord<'a> {
    /// The name of the stream.
    pub stream: &'a str,
    /// The number of the round.
    pub round: i64,
    /// The names of the stream's replicas, in the order of the model.
    pub replicas: &'a [String],
    /// What was decided.
    pub decision: &'a Decision,
    /// For each replica the probability that it is honest; `None` without a quorum.
    pub honest: Option<&'a [f64]>,
}

/// Writes decisions, in the order in which they come.
///
/// In JSON Lines `quorum` is a list of names, `honest` an object in the model's order, and what is absent is null; the
/// key `exhaustive` is there, and false, only where the search for the quorum could not prove its result. In CSV
/// `quorum` is names joined by `;` and `honest` `name=p` joined by `;`; what is absent is empty. Names are not escaped
/// there: a name may itself hold `;` or `=`, and who has such names reads another format. Every number reads back as the same
/// float64. Parquet has the columns of [`decisions_schema`](crate::decisions_schema), in row groups that are held in
/// memory until they are whole, and tells in its metadata ([`UNPROVEN_ROWS_KEY`](crate::UNPROVEN_ROWS_KEY)) what
/// `exhaustive` tells in JSON.
///
/// ```
/// use centauri_engine::{Decision, Quorum, Status};
/// use centauri_files::{DecisionRecord, DecisionWriter, Format};
///
/// let decision = Decision {
///     status: Status::Decided, value: 2.0, point: 2, confidence: 0.9, mean: 1.9, sd: 0.3, low: 1.0, high: 2.0,
///     quorum: Quorum::EMPTY.with(0), log_evidence: Some(-4.5), region: None, exhaustive: true,
/// };
/// let replicas = ["top".to_owned(), "middle".to_owned()];
/// let mut writer = DecisionWriter::new(Format::JsonLines, Vec::new());
/// writer.write(&DecisionRecord {
///     stream: "coin", round: 1, replicas: &replicas, decision: &decision, honest: Some(&[0.75, 0.25]),
/// })?;
/// assert_eq!(
///     String::from_utf8(writer.finish()?).unwrap(),
///     r#"{"stream":"coin","round":1,"status":"decided","value":2.0,"confidence":0.9,"mean":1.9,"sd":0.3,"low":1.0,"high":2.0,"#.to_owned()
///         + r#""quorum":["top"],"log_evidence":-4.5,"region_low":null,"region_high":null,"honest":{"top":0.75,"middle":0.25}}"#
///         + "\n",
/// );
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct DecisionWriter<W> {
    rows: RowWriter<W, DecisionSink>,
    cell: String,
}

impl<W: Write> DecisionWriter<W> {
    /// Writes to `out`, in many small pieces: it should have a buffer, as [`AtomicFile`](crate::AtomicFile) has.
    #[must_use]
    pub fn new(format: Format, out: W) -> Self {
        Self { rows: RowWriter::new(format, HEADER, out), cell: String::new() }
    }

    /// What is written to, for flushing it between decisions. Writing to it yourself breaks rows.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.rows.out
    }

    /// Writes one decision: the whole row or, where the record cannot be written, nothing of it.
    ///
    /// # Errors
    /// What `out` says; `InvalidInput` for a number that is not finite or names that don't go with the decision.
    pub fn write(&mut self, record: &DecisionRecord<'_>) -> io::Result<()> {
        check(record)?;
        let cell = &mut self.cell;
        self.rows.write(record, |row| csv_row(row, cell, record), |row| json_row(row, record))
    }

    /// Writes what is left (the header where there was no decision, the footer of Parquet), flushes `out` and gives it back.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(self) -> io::Result<W> {
        self.rows.finish()
    }
}

/// Names must go with positions: a row that says the wrong names would be worse than none.
fn check(record: &DecisionRecord<'_>) -> io::Result<()> {
    let invalid = |problem: String| Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    let n = record.replicas.len();
    if let Some(position) = record.decision.quorum.positions().find(|&position| position >= n) {
        return invalid(format!("found replica {position} in a quorum, expected positions below {n}"));
    }
    match record.honest {
        Some(honest) if honest.len() != n => {
            invalid(format!("found {} probabilities of being honest, expected {n}", honest.len()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn quorum<'a>(record: &DecisionRecord<'a>) -> impl Iterator<Item = &'a str> {
    let names = record.replicas;
    record.decision.quorum.positions().filter_map(move |position| names.get(position)).map(String::as_str)
}

fn json_row(row: &mut Vec<u8>, record: &DecisionRecord<'_>) -> io::Result<()> {
    let decision = record.decision;
    row.extend_from_slice(b"{\"stream\":");
    text::json_text(row, record.stream)?;
    write!(row, ",\"round\":{},\"status\":\"{}\"", record.round, decision.status.name())?;
    for (key, value) in numbers(decision) {
        write!(row, ",\"{key}\":")?;
        text::number(row, value)?;
    }
    row.extend_from_slice(b",\"quorum\":[");
    for (i, name) in quorum(record).enumerate() {
        row.extend_from_slice(if i > 0 { b"," } else { b"" });
        text::json_text(row, name)?;
    }
    row.push(b']');
    for (key, value) in optional(decision) {
        write!(row, ",\"{key}\":")?;
        text::json_number(row, value)?;
    }
    row.extend_from_slice(b",\"honest\":");
    match record.honest {
        None => row.extend_from_slice(b"null"),
        Some(honest) => {
            row.push(b'{');
            for (i, (name, &p)) in record.replicas.iter().zip(honest).enumerate() {
                row.extend_from_slice(if i > 0 { b"," } else { b"" });
                text::json_text(row, name)?;
                row.push(b':');
                text::number(row, p)?;
            }
            row.push(b'}');
        }
    }
    row.extend_from_slice(if decision.exhaustive { b"}\n" } else { b",\"exhaustive\":false}\n" });
    Ok(())
}

fn csv_row(row: &mut Vec<u8>, cell: &mut String, record: &DecisionRecord<'_>) -> io::Result<()> {
    use std::fmt::Write as _;
    let decision = record.decision;
    text::csv_text(row, record.stream);
    write!(row, ",{},{}", record.round, decision.status.name())?;
    for (_, value) in numbers(decision) {
        row.push(b',');
        text::number(row, value)?;
    }
    cell.clear();
    for (i, name) in quorum(record).enumerate() {
        cell.push_str(if i > 0 { ";" } else { "" });
        cell.push_str(name);
    }
    row.push(b',');
    text::csv_text(row, cell);
    for (_, value) in optional(decision) {
        row.push(b',');
        value.map_or(Ok(()), |value| text::number(row, value))?;
    }
    cell.clear();
    for (i, (name, &p)) in record.replicas.iter().zip(record.honest.unwrap_or_default()).enumerate() {
        let separator = if i > 0 { ";" } else { "" };
        write!(cell, "{separator}{name}={p:?}").map_err(io::Error::other)?;
        if !p.is_finite() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("found {p}, expected a probability"),
            ));
        }
    }
    row.push(b',');
    text::csv_text(row, cell);
    row.push(b'\n');
    Ok(())
}

pub(crate) fn numbers(decision: &Decision) -> [(&'static str, f64); 6] {
    [
        ("value", decision.value),
        ("confidence", decision.confidence),
        ("mean", decision.mean),
        ("sd", decision.sd),
        ("low", decision.low),
        ("high", decision.high),
    ]
}

pub(crate) fn optional(decision: &Decision) -> [(&'static str, Option<f64>); 3] {
    [
        ("log_evidence", decision.log_evidence),
        ("region_low", decision.region.map(|region| region.low)),
        ("region_high", decision.region.map(|region| region.high)),
    ]
}
