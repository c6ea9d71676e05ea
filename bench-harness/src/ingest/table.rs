//! The results for a terminal.

use crate::report::text::{clip, percent};
use crate::result::{Ingest, Line};
use crate::speed::table::rate;
use std::fmt::Write as _;

/// The results as text.
#[must_use]
pub fn of(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        match line {
            Line::Run(run) => {
                let quick = if run.quick { ", quick" } else { "" };
                let _ = writeln!(
                    text,
                    "centauri-bench ingest: seed {}{quick}\n{}\n\nRates are per second of one core's time, medians.\n{HEAD}",
                    run.seed, run.machine
                );
            }
            Line::Ingest(ingest) => row(&mut text, ingest),
            _ => {}
        }
    }
    text
}

const HEAD: &str = "  work           verified by               bytes   messages/s      records/s  µs each  spread  with deciding  compared\n";

fn row(text: &mut String, ingest: &Ingest) {
    let records = ingest.records_per_cpu_s.map_or_else(|| "–".to_owned(), rate);
    let compared = match (&ingest.against, ingest.ratio) {
        (Some(against), Some(ratio)) if *against != ingest.verifier => {
            format!("{ratio:.2} × {}", clip(against, 24))
        }
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "  {:<14} {:<23} {:>7} {:>12} {:>14} {:>8.3} {:>7} {:>14}  {}",
        clip(&ingest.work, 14),
        clip(&ingest.verifier, 23),
        ingest.bytes,
        rate(ingest.messages_per_cpu_s),
        records,
        1e6 / ingest.messages_per_cpu_s,
        percent(ingest.spread),
        ingest.decided_messages_per_cpu_s.map_or_else(|| "–".to_owned(), rate),
        compared
    );
}
