//! `centauri journal info`.

use super::JournalPath;
use crate::clock::now_ns;
use crate::journal::{Gap, JournalFile, JournalInfo};
use crate::serve::{Kept, parse_kept, time_text};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Say what is in a journal: its span, how much, rounds without decisions, how far timestamps were accepted, and the distributions
/// that were published last.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri journal info --journal centauri.journal")]
pub(super) struct Arguments {
    #[command(flatten)]
    journal: JournalPath,
    /// Print it as one JSON object; times are nanoseconds since 1970.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let file = JournalFile::open(&arguments.journal.file)?;
    let info = file.info()?;
    let kept = file.state(crate::serve::DISTRIBUTIONS)?;
    let distributions: BTreeMap<String, Kept> = kept
        .iter()
        .filter_map(|(name, value)| Some((String::from_utf8_lossy(name).into_owned(), parse_kept(value)?)))
        .collect();
    let text =
        if arguments.json { json(&info, &distributions)? } else { words(&info, &distributions, now_ns()) };
    crate::cli::print(&text)
}

fn words(info: &JournalInfo, distributions: &BTreeMap<String, Kept>, now_ns: i64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<16}{value}");
    };
    line("version", &info.version.to_string());
    line("decisions", &format!("{} in {} blocks, {} bytes", info.decisions, info.blocks, info.bytes));
    let span = |(from, to)| format!("{} to {}", time_text(from), time_text(to));
    line("span", &info.span_ns.map_or_else(|| "none".to_owned(), span));
    line("streams", &info.streams.to_string());
    let reserved = info.reserved_ns.map_or_else(|| "none".to_owned(), time_text);
    line("accepted up to", &reserved);
    line("last end", if info.was_clean { "in order" } else { "abrupt" });
    for gap in &info.gaps {
        line("gap", &gap_words(gap));
    }
    for (kind, summary) in &info.states {
        line("state", &format!("{kind}: {} entries, {} bytes", summary.entries, summary.bytes));
    }
    for (name, kept) in distributions {
        let age_s = now_ns.saturating_sub(kept.published_ns) / 1_000_000_000;
        line("distribution", &format!("{name}: published {}, {age_s} s ago", time_text(kept.published_ns)));
    }
    text
}

fn gap_words(gap: &Gap) -> String {
    let (from, until) = (time_text(gap.from_ns), time_text(gap.until_ns));
    format!("{from} to {until}: {} rounds of {} streams", gap.rounds(), gap.streams())
}

fn json(info: &JournalInfo, distributions: &BTreeMap<String, Kept>) -> anyhow::Result<String> {
    let run = |run: &crate::journal::GapRun| serde_json::json!({ "stream": run.stream, "streams": run.count, "first": run.first, "last": run.last });
    let gap = |gap: &Gap| {
        serde_json::json!({
            "from_ns": gap.from_ns,
            "until_ns": gap.until_ns,
            "streams": gap.streams(),
            "rounds": gap.rounds(),
            "runs": gap.runs.iter().map(run).collect::<Vec<_>>(),
        })
    };
    let states = info.states.iter().map(|(kind, summary)| {
        (kind.clone(), serde_json::json!({ "entries": summary.entries, "bytes": summary.bytes }))
    });
    let distributions = distributions.iter().map(|(name, kept)| {
        let words = centauri_files::distribution_to_toml(&kept.distribution);
        (name.clone(), serde_json::json!({ "published_ns": kept.published_ns, "distribution": words }))
    });
    let all = serde_json::json!({
        "version": info.version,
        "decisions": info.decisions,
        "blocks": info.blocks,
        "bytes": info.bytes,
        "oldest_ns": info.span_ns.map(|(oldest, _)| oldest),
        "newest_ns": info.span_ns.map(|(_, newest)| newest),
        "streams": info.streams,
        "reserved_ns": info.reserved_ns,
        "ended_in_order": info.was_clean,
        "gaps": info.gaps.iter().map(gap).collect::<Vec<_>>(),
        "state": states.collect::<serde_json::Map<_, _>>(),
        "distributions": distributions.collect::<serde_json::Map<_, _>>(),
    });
    Ok(serde_json::to_string(&all)? + "\n")
}
