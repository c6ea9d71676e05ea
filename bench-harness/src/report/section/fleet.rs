//! How punctual a server is under a fleet's traffic.

use super::{Context, Section};
use crate::report::document::{Block, Line, Table};
use crate::report::plot::PlotError;
use crate::report::text::{number, percent};
use crate::result::Fleet as Record;
use crate::speed::table::rate;

pub(super) struct Fleet;

impl Section for Fleet {
    fn id(&self) -> &'static str {
        "fleet"
    }

    fn title(&self) -> &'static str {
        "How punctual a server is"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["fleet"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        Ok(blocks(context))
    }
}

/// What it is, and the tables; nothing without results.
pub(in crate::report) fn blocks(context: &Context<'_>) -> Vec<Block> {
    let records = &context.results.fleet;
    if records.is_empty() {
        return Vec::new();
    }
    let about = Line::text(
        "A fleet reports to a running centauri serve on a schedule that waits for nobody. Times go from a round’s deadline to \
         when its decision was read from the server’s output; every round that was due counts, and one without a decision as \
         later than all.",
    );
    vec![Block::Paragraph(about), Block::Table(times(records)), Block::Table(costs(records))]
}

fn size(record: &Record) -> Line {
    let Record { streams, replicas, faults, liars, rate, loss, .. } = record;
    let mut text = format!("{streams} streams, n = {replicas}, f = {faults}, {} rounds/s", number(*rate));
    if *liars > 0 {
        text += &format!(", {liars} lying");
    }
    if *loss > 0.0 {
        text += &format!(", loss {}", percent(*loss));
    }
    Line::text(text)
}

fn milliseconds(us: Option<f64>) -> String {
    us.map_or_else(|| "never".to_owned(), |us| number(us / 1e3))
}

fn times(records: &[Record]) -> Table {
    let rows = records.iter().map(|record| {
        vec![
            size(record),
            Line::text(record.due.to_string()),
            Line::text(record.missing.to_string()),
            Line::text(format!("{} of {}", record.wrong, record.sampled)),
            Line::text(milliseconds(record.p50_us)),
            Line::strong(milliseconds(record.p99_us)),
            Line::text(milliseconds(record.p999_us)),
            Line::text(milliseconds(record.max_us)),
            Line::text(number(record.sender_late_p99_us / 1e3)),
        ]
    });
    let head = [
        "Fleet",
        "Due",
        "Missing",
        "Wrong",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "Latest ms",
        "Sender’s own p99 ms",
    ];
    let caption = Line::text(
        "From the deadline to the decision. “Wrong”: decisions that have no room for what is true, of those compared. “Sender’s \
         own”: how late the traffic left.",
    );
    Table { caption, head: head.map(Line::text).into(), rows: rows.collect(), numbers_from: 1 }
}

fn costs(records: &[Record]) -> Table {
    let mebibytes = |bytes: u64| number(bytes as f64 / f64::from(1 << 20));
    let rows = records.iter().map(|record| {
        vec![
            size(record),
            Line::name(&record.driver),
            Line::name(&record.verifier),
            Line::name(&record.backend),
            Line::text(rate(record.frames_per_s)),
            Line::text(rate(record.decisions_per_s)),
            Line::strong(number(record.cpu_us_per_decision)),
            Line::text(percent(record.cpu_share)),
            Line::text(record.bytes_per_stream.map_or_else(|| "–".to_owned(), number)),
            Line::text(mebibytes(record.resident_bytes)),
            Line::text(mebibytes(record.peak_bytes)),
            Line::text(number(record.start_s)),
        ]
    });
    let head = [
        "Fleet",
        "Received by",
        "Verified by",
        "Decided by",
        "Frames/s",
        "Decisions/s",
        "CPU µs a decision",
        "Of a core",
        "Bytes a stream",
        "MiB",
        "MiB at most",
        "Start s",
    ];
    let caption = Line::text(
        "What it takes: the server’s processor time, user and system, in the measured span; memory at the end, and the most of it, \
         which is while the configuration is read.",
    );
    Table { caption, head: head.map(Line::text).into(), rows: rows.collect(), numbers_from: 4 }
}
