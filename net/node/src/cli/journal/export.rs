//! `centauri journal export`.

use super::super::explain::is_same_place;
use super::{JournalPath, time};
use crate::journal::{Entry, JournalFile, StreamEntry};
use anyhow::ensure;
use centauri_engine::Decision;
use centauri_files::{AtomicFile, DecisionRecord, DecisionWriter, Format};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;

/// Write the decisions of a journal to a file, in order of stream name and round, with the columns of `centauri eval`.
///
/// The file appears whole or not at all. Where the journal is large it is read several times, so that memory does not grow with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  centauri journal export --journal centauri.journal --output decisions.parquet
  centauri journal export --journal centauri.journal --output last-hour.csv --stream 'road/*' --from 2026-11-26T16:00:00Z

The formats are told by the extensions: .csv, .jsonl or .parquet. `-` as output is standard output, as JSON Lines.")]
pub(super) struct Arguments {
    #[command(flatten)]
    journal: JournalPath,
    /// Where the decisions go (.csv, .jsonl or .parquet, or - for standard output).
    #[arg(long, value_name = "DECISIONS")]
    output: PathBuf,
    /// Only streams of this name; `*` stands for any characters, `?` for one.
    #[arg(long, value_name = "PATTERN")]
    stream: Option<String>,
    /// Only rounds closed at this time or later: RFC 3339, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_hyphen_values = true)]
    from: Option<i64>,
    /// Only rounds closed before this time.
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_hyphen_values = true)]
    to: Option<i64>,
}

/// So many decisions are sorted in memory at a time: some 300 bytes each.
const SORTED_MAX: u64 = 1 << 20;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let output = &arguments.output;
    let format = if output.as_os_str() == "-" { Format::JsonLines } else { Format::from_path(output)? };
    ensure!(
        !is_same_place(output, &arguments.journal.file),
        "--output: found {}, which is read from, expected another place",
        output.display()
    );
    let file = JournalFile::open(&arguments.journal.file)?;
    let selection = Selection::new(arguments, &file)?;
    let mut out = AtomicFile::create(output)?;
    let mut writer = DecisionWriter::new(format, &mut out);
    for ranks in selection.parts(&file, SORTED_MAX)? {
        selection.write(&file, ranks, &mut writer)?;
    }
    writer.finish()?;
    out.commit()?;
    tell_gaps(&file, &selection)
}

/// Whoever takes the file for all that was decided should know what it lacks.
fn tell_gaps(file: &JournalFile, selection: &Selection) -> anyhow::Result<()> {
    let gaps = file.info()?.gaps;
    let within =
        gaps.iter().filter(|gap| gap.until_ns >= selection.times.start && gap.from_ns < selection.times.end);
    let (count, rounds) =
        within.fold((0_u64, 0_u64), |(count, rounds), gap| (count + 1, rounds.saturating_add(gap.rounds())));
    if count > 0 {
        tracing::info!(
            gaps = count,
            rounds,
            "the journal has no decisions of some rounds; `centauri journal info` says which"
        );
    }
    Ok(())
}

/// Which decisions are wanted.
struct Selection {
    /// By number.
    streams: BTreeMap<u32, StreamEntry>,
    /// By number, where the stream stands among the names that are wanted; streams of one name stand in one place.
    ranks: BTreeMap<u32, u32>,
    times: Range<i64>,
}

/// A decision that waits to be sorted.
struct Held {
    rank: u32,
    round: i64,
    stream: u32,
    decision: Decision,
    honest: Option<Range<usize>>,
}

impl Selection {
    fn new(arguments: &Arguments, file: &JournalFile) -> anyhow::Result<Self> {
        let mut streams = file.streams()?;
        if let Some(pattern) = &arguments.stream {
            let known = !streams.is_empty();
            streams.retain(|_, entry| matches(pattern, &entry.name));
            ensure!(!known || !streams.is_empty(), "--stream: found no stream that {pattern:?} stands for");
        }
        let mut by_name: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (number, entry) in &streams {
            by_name.entry(&entry.name).or_default().push(*number);
        }
        let ranks = (0..).zip(by_name.values());
        let ranks =
            ranks.flat_map(|(rank, numbers)| numbers.iter().map(move |number| (*number, rank))).collect();
        let times = arguments.from.unwrap_or(i64::MIN)..arguments.to.unwrap_or(i64::MAX);
        Ok(Self { streams, ranks, times })
    }

    /// Shows every decision that is wanted with its rank.
    fn for_each(&self, file: &JournalFile, visit: &mut dyn FnMut(u32, &Entry<'_>)) -> anyhow::Result<()> {
        file.for_each(self.times.start, &mut |entry| {
            if self.times.contains(&entry.closed_ns)
                && let Some(rank) = self.ranks.get(&entry.stream)
            {
                visit(*rank, entry);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Divides the ranks so that the decisions of each part fit memory; a stream is never divided.
    fn parts(&self, file: &JournalFile, sorted_max: u64) -> anyhow::Result<Vec<Range<u32>>> {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        self.for_each(file, &mut |rank, _| *counts.entry(rank).or_default() += 1)?;
        let (mut parts, mut current, mut held) = (Vec::new(), 0..0, 0);
        for (rank, count) in counts {
            if held > 0 && held + count > sorted_max {
                parts.push(current.clone());
                (current.start, held) = (rank, 0);
            }
            (current.end, held) = (rank + 1, held + count);
        }
        parts.push(current);
        Ok(parts)
    }

    fn write<W: Write>(
        &self,
        file: &JournalFile,
        ranks: Range<u32>,
        writer: &mut DecisionWriter<W>,
    ) -> anyhow::Result<()> {
        let (mut all, mut probabilities) = (Vec::new(), Vec::new());
        self.for_each(file, &mut |rank, entry| {
            if !ranks.contains(&rank) {
                return;
            }
            let honest = entry.honest.map(|honest| {
                let start = probabilities.len();
                probabilities.extend_from_slice(honest);
                start..probabilities.len()
            });
            let Entry { round, stream, decision, .. } = *entry;
            all.push(Held { rank, round, stream, decision: *decision, honest });
        })?;
        // Stable: what the journal has of one round stays in its order.
        all.sort_by_key(|held| (held.rank, held.round));
        for held in &all {
            let Some(entry) = self.streams.get(&held.stream) else { continue };
            let honest = held.honest.clone().and_then(|range| probabilities.get(range));
            let (stream, replicas, decision) =
                (entry.name.as_str(), entry.replicas.as_slice(), &held.decision);
            writer.write(&DecisionRecord { stream, round: held.round, replicas, decision, honest })?;
        }
        Ok(())
    }
}

/// Whether `*` and `?` in the pattern can stand for characters so that it is the text.
fn matches(pattern: &str, text: &str) -> bool {
    centauri_roles::glob(pattern, text, Some('?'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some(('*', rest)), _) => (0..=text.len()).any(|skip| by_definition(rest, &text[skip..])),
            (Some((wanted, rest)), Some((found, more))) => {
                (*wanted == '?' || wanted == found) && by_definition(rest, more)
            }
            (Some(_), None) => false,
        }
    }

    /// A journal of three streams, decided in turns, with so many rounds.
    fn journal(path: &std::path::Path, rounds: i64) {
        use crate::journal::{BlockBuilder, JournalSettings, OpenedJournal, Place};
        use centauri_engine::{Quorum, Status};
        let entry = |name: &str| StreamEntry {
            name: name.to_owned(),
            replicas: vec!["r".to_owned()],
            epoch_ns: 0,
            period_ns: 1,
            close_after_ns: 1,
        };
        let streams = ["c", "a", "b"].map(entry).to_vec();
        let now = crate::clock::now_ns();
        let opened = OpenedJournal::open(Place::file(path), streams).unwrap();
        let (journal, _) = opened.begin(JournalSettings::default(), now).unwrap();
        let mut builder = BlockBuilder::new();
        for round in 0..rounds {
            for stream in 0..3 {
                let value = (round * 3 + i64::from(stream)) as f64;
                let decision = Decision {
                    status: Status::NoQuorum,
                    value,
                    point: 0,
                    confidence: 0.5,
                    mean: value,
                    sd: 1.0,
                    low: value,
                    high: value,
                    quorum: Quorum::EMPTY,
                    log_evidence: None,
                    region: None,
                    exhaustive: true,
                };
                let honest = Some([0.5].as_slice()).filter(|_| round % 2 == 0);
                let entry = Entry { stream, round, closed_ns: now, decision: &decision, replicas: 1, honest };
                assert!(builder.push(&entry));
            }
            assert!(journal.handle().store(builder.take().unwrap()));
        }
        assert_eq!(journal.close(None).decisions, 3 * rounds.unsigned_abs());
    }

    #[test]
    fn what_does_not_fit_memory_is_written_in_parts_with_the_same_result() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        journal(&path, 50);
        let file = JournalFile::open(&path).unwrap();
        let arguments = Arguments {
            journal: JournalPath { file: path },
            output: "-".into(),
            stream: None,
            from: None,
            to: None,
        };
        let selection = Selection::new(&arguments, &file).unwrap();
        let written = |sorted_max| {
            let mut writer = DecisionWriter::new(Format::Csv, Vec::new());
            let parts = selection.parts(&file, sorted_max).unwrap();
            for ranks in parts.clone() {
                selection.write(&file, ranks, &mut writer).unwrap();
            }
            (parts.len(), String::from_utf8(writer.finish().unwrap()).unwrap())
        };
        let (parts, whole) = written(SORTED_MAX);
        assert_eq!((parts, whole.lines().count()), (1, 151));
        let streams: Vec<&str> = whole.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert!(streams.is_sorted() && streams.iter().filter(|name| **name == "b").count() == 50);
        for (sorted_max, expected) in [(1, 3), (100, 2), (149, 2), (150, 1)] {
            assert_eq!(written(sorted_max), (expected, whole.clone()), "{sorted_max}");
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_they_are_defined_to(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), by_definition(&chars(&pattern), &chars(&text)));
        }
    }
}
