//! How fast signed messages are taken in.

use super::{Context, Section, number};
use crate::report::document::{Block, Line, Table};
use crate::report::plot::PlotError;
use crate::report::text;
use crate::result::Ingest as Record;
use crate::speed::table::rate;

pub(super) struct Ingest;

impl Section for Ingest {
    fn id(&self) -> &'static str {
        "ingest"
    }

    fn title(&self) -> &'static str {
        "How fast signed messages are taken in"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["ingest"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        Ok(blocks(context))
    }
}

/// What it is, and the table; nothing without results.
pub(in crate::report) fn blocks(context: &Context<'_>) -> Vec<Block> {
    let records = &context.results.ingest;
    if records.is_empty() {
        return Vec::new();
    }
    let about = Line::text(
        "Signed frames go over loopback from one core to the node of centauri serve on another. Rates are per second \
         of the receiving thread’s processor time, user and system, medians of samples in turns. Nothing was lost, and every \
         counter was what had been sent.",
    );
    vec![Block::Paragraph(about), Block::Table(table(records))]
}

fn table(records: &[Record]) -> Table {
    let rows = records.iter().map(|record| {
        vec![
            Line::name(&record.work),
            Line::name(&record.verifier),
            Line::text(record.bytes.to_string()),
            Line::strong(rate(record.messages_per_cpu_s)),
            Line::text(record.records_per_cpu_s.map_or_else(|| "–".to_owned(), rate)),
            Line::text(record.decided_messages_per_cpu_s.map_or_else(|| "–".to_owned(), rate)),
            Line::text(text::percent(record.spread)),
            number(record.ratio.filter(|_| record.against.as_ref() != Some(&record.verifier))),
            record.against.as_ref().map_or_else(|| Line::text("–"), |against| Line::name(against)),
        ]
    });
    let head = [
        "Work",
        "Verified by",
        "Bytes",
        "Messages/s",
        "Records/s",
        "Messages/s, deciding too",
        "Spread",
        "Ratio",
        "To",
    ];
    let caption = Line::text(
        "Messages in a second of one core’s time, up to the table of open rounds; then with every round decided on the same core. \
         “Ratio”: of messages a second, to another work in turns with this one, or to the best batch equation.",
    );
    Table { caption, head: head.map(Line::text).into(), rows: rows.collect(), numbers_from: 2 }
}
