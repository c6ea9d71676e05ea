//! The results for a terminal.

use crate::report::text::{number, percent};
use crate::result::{Fleet, Line};
use crate::speed::table::rate;
use std::fmt::Write as _;

/// The traffic is to leave within this of its schedule (99 % of it), or the run says that it did not.
pub const SENDER_LATE_MAX_US: f64 = 1_000.0;

/// The results as text.
#[must_use]
pub fn of(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        match line {
            Line::Run(run) => {
                let quick = if run.quick { ", quick" } else { "" };
                let _ = writeln!(text, "centauri-bench fleet: seed {}{quick}\n{}", run.seed, run.machine);
            }
            Line::Fleet(fleet) => one(&mut text, fleet),
            _ => {}
        }
    }
    text
}

fn one(text: &mut String, fleet: &Fleet) {
    let ms = |us: Option<f64>| us.map_or_else(|| "never".to_owned(), |us| format!("{} ms", number(us / 1e3)));
    let mib = |bytes: u64| number(bytes as f64 / f64::from(1 << 20));
    let bytes = fleet.bytes_per_stream.map_or_else(|| "–".to_owned(), |bytes| format!("{bytes:.0} B"));
    let cores = fleet.cores.map_or_else(
        || "on any core".to_owned(),
        |[server, load]| format!("the server on core {server}, the traffic on core {load}"),
    );
    let load = fleet.load.map_or_else(String::new, |load| format!(", load {load}"));
    let _ = writeln!(
        text,
        "
{} streams of {} replicas ({} lying, f = {}), {} rounds/s each due at {} moments, loss {}, {} s; {cores}{load}
received by {}, verified by {}, decided by {}

  rounds          {} due, {} decided, {} missing, {} twice, {} early; {} of {} compared are wrong
  after deadline  p50 {}, p90 {}, p99 {}, p99.9 {}, latest {}
  rates           {} frames/s, {} decisions/s
  processor       {} µs a decision, {} of a core
  memory          {bytes} a stream; {} MiB, at most {} MiB; started in {} s
  server counts   closed at most {} late, {} rounds more than a millisecond late, {} records late,
                  {} dropped by the kernel, {} thrown away; {} of {} frames accepted
  traffic         left {} late (p99), {} at most",
        fleet.streams,
        fleet.replicas,
        fleet.liars,
        fleet.faults,
        number(fleet.rate),
        fleet.phases,
        percent(fleet.loss),
        number(fleet.seconds),
        fleet.driver,
        fleet.verifier,
        fleet.backend,
        fleet.due,
        fleet.decided,
        fleet.missing,
        fleet.duplicate,
        fleet.early,
        fleet.wrong,
        fleet.sampled,
        ms(fleet.p50_us),
        ms(fleet.p90_us),
        ms(fleet.p99_us),
        ms(fleet.p999_us),
        ms(fleet.max_us),
        rate(fleet.frames_per_s),
        rate(fleet.decisions_per_s),
        number(fleet.cpu_us_per_decision),
        percent(fleet.cpu_share),
        mib(fleet.resident_bytes),
        mib(fleet.peak_bytes),
        number(fleet.start_s),
        ms(Some(fleet.close_late_max_us)),
        fleet.rounds_missed,
        fleet.records_late,
        fleet.kernel_drops,
        fleet.datagrams_shed,
        fleet.frames_accepted,
        fleet.frames_sent,
        ms(Some(fleet.sender_late_p99_us)),
        ms(Some(fleet.sender_late_max_us)),
    );
    if fleet.sender_late_p99_us > SENDER_LATE_MAX_US {
        text.push_str(
            "\nThe traffic itself was late: what is said of the server is said of it under bursts, on a machine with other work.\n",
        );
    }
}
